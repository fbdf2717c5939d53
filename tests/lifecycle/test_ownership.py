"""Who may write a unit's windows where everybody reads them: each row of the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest

from dagster_defs.errors import NotOwner
from dagster_defs.lifecycle import Owner, Stage, Unit, UnitState, tags
from dagster_defs.lifecycle.claims import RunRecord
from dagster_defs.lifecycle.histories import Backfilled, CutOver, UnitHistory, backfills_of, histories
from dagster_defs.lifecycle.ledger import Entry, Kind, OpenMove, Requested
from dagster_defs.lifecycle.ownership import WriteRequest, refuse_foreign_run
from dagster_defs.lifecycle.stages import Move
from dagster_defs.windows import Window
from tests.support.histories import history_at

UNIT, OTHER = Unit("taxi_daily", "dbt_daily"), Unit("taxi_daily", "dbt_zones")
FIRST = pendulum.datetime(2024, 3, 9)
WINDOWS = [Window(FIRST.add(days=day), FIRST.add(days=day + 1)) for day in range(2)]
JOB = {tags.UNIT: str(UNIT), tags.SIDE: "legacy"}
LAUNCH = "0123456789abcdef0123456789abcdef"
WHOLE = {
    **JOB,
    tags.AIRFLOW_DAG: UNIT.dag_id,
    tags.AIRFLOW_RUN: "scheduled__1",
    tags.AIRFLOW_TASK: UNIT.task_id,
    tags.AIRFLOW_TASK_INSTANCE: f"{UNIT} scheduled__1",
    tags.AIRFLOW_MAP_INDEX: "-1",
    tags.AIRFLOW_TRY: "1",
    tags.AIRFLOW_ROUND: "7.0",
    tags.AIRFLOW_UPSTREAM: "",
    tags.LAUNCH: LAUNCH,
    tags.PARTITION: "2024-03-09",
    tags.WINDOW_START: WINDOWS[0].start.isoformat(),
    tags.WINDOW_END: WINDOWS[0].end.isoformat(),
}


def a_run(said: Mapping[str, str], run_id: str = "r", **changes: Any) -> RunRecord:
    return replace(RunRecord(run_id, UNIT.identifier, said), **changes)


BY_HAND = WriteRequest(WINDOWS, ("2024-03-09", "2024-03-10"), a_run(JOB))
PROXIED = WriteRequest(WINDOWS[:1], ("2024-03-09", "2024-03-09"), a_run(WHOLE), bounds=WINDOWS[0])
FOREIGN = replace(PROXIED, run=a_run({**WHOLE, tags.AIRFLOW_TASK: OTHER.task_id}))
BACKFILL = replace(BY_HAND, run=a_run({**JOB, tags.BACKFILL: "b1"}))
INTENT = Entry(
    "a", datetime(2024, 3, 8, tzinfo=timezone.utc), "ada", UNIT, Move.CUTOVER, Kind.INTENDED, Stage.SHADOWED
)
WANTED = replace(
    INTENT, id="b1", move=Move.BACKFILL, kind=Kind.BACKFILLED, stage=Stage.CUT_OVER,
    windows=Requested(WINDOWS[0].start, WINDOWS[-1].end),
)  # fmt: skip
REQUESTED = Backfilled("b1", WINDOWS[0].start, WINDOWS[-1].end)

IN_THE_MIDDLE = {
    "": None,
    "cutover": OpenMove(INTENT),
    "cutover-undone": OpenMove(INTENT, back=True),
    "rollback": OpenMove(replace(INTENT, move=Move.ROLLBACK, stage=Stage.CUT_OVER)),
    "retire": OpenMove(replace(INTENT, move=Move.RETIRE, stage=Stage.CUT_OVER)),
    "retire-undone": OpenMove(replace(INTENT, move=Move.RETIRE, stage=Stage.CUT_OVER), back=True),
}
RULED_OUT = {
    "observed": ["its windows are Airflow's", "parity shadow taxi_daily.dbt_daily --apply"],
    "airflows": ["its windows are Airflow's", "Cut it over: parity cutover taxi_daily.dbt_daily --apply"],
    "gone-back": ["Airflow owns it again", "Clear the task: Airflow then runs it itself"],
    "nobody-asked": [
        "Airflow's task starts its runs, but did not start this one",
        "parity backfill taxi_daily.dbt_daily --from 2024-03-09 --to 2024-03-10 --apply",
    ],
    "foreign": ["the proxy of taxi_daily.dbt_zones has launched it", "Run the unit's own job"],
    "both": ["it is retired", "Pause taxi_daily in Airflow, or remove it there"],
}
OBSERVED, SHADOWED, CUT_OVER, RETIRED = Stage
AIRFLOW, DAGSTER = Owner


def refusal(state: UnitState, history: UnitHistory, wanted: WriteRequest) -> str:
    with pytest.raises(NotOwner) as refused:
        refuse_foreign_run(state, history, wanted)
    return str(refused.value)


@pytest.mark.parametrize(
    ("stage", "marked", "middle", "wanted"),
    [
        (CUT_OVER, None, "", PROXIED),
        (CUT_OVER, None, "", BACKFILL),
        (CUT_OVER, None, "retire", PROXIED),
        (CUT_OVER, None, "retire-undone", PROXIED),
        (CUT_OVER, AIRFLOW, "rollback", PROXIED),
        (SHADOWED, DAGSTER, "cutover", PROXIED),
        (SHADOWED, None, "cutover-undone", PROXIED),
        (SHADOWED, DAGSTER, "", PROXIED),
        (RETIRED, None, "", BY_HAND),
        (RETIRED, None, "", BACKFILL),
    ],
    ids=[
        "proxied", "backfill", "retirement-under-way", "retirement-undone", "queued-before-its-rollback",
        "half-cut-over", "queued-before-its-undoing", "drifted-mark", "retired", "retired-backfill",
    ],
)  # fmt: skip
def test_the_owners_run_may_write(
    stage: Stage, marked: Owner | None, middle: str, wanted: WriteRequest
) -> None:
    """A run that Airflow's task waits for, one that the ledger wants, and any of a retired unit may write."""
    history = history_at(UNIT, stage, IN_THE_MIDDLE[middle], (REQUESTED,))

    refuse_foreign_run(UnitState(UNIT, stage, marked), history, wanted)


@pytest.mark.parametrize(
    ("stage", "marked", "middle", "wanted", "why"),
    [
        (OBSERVED, None, "", BY_HAND, "observed"),
        (SHADOWED, None, "", BY_HAND, "airflows"),
        (SHADOWED, None, "", BACKFILL, "airflows"),
        (SHADOWED, None, "cutover", BY_HAND, "airflows"),
        (SHADOWED, DAGSTER, "cutover", BY_HAND, "nobody-asked"),
        (CUT_OVER, AIRFLOW, "rollback", BY_HAND, "airflows"),
        (CUT_OVER, None, "", BY_HAND, "nobody-asked"),
        (CUT_OVER, None, "retire", BY_HAND, "nobody-asked"),
        (OBSERVED, None, "", PROXIED, "gone-back"),
        (SHADOWED, None, "", PROXIED, "gone-back"),
        (SHADOWED, None, "cutover", PROXIED, "gone-back"),
        (CUT_OVER, AIRFLOW, "", PROXIED, "gone-back"),
        (RETIRED, None, "", PROXIED, "both"),
        *((stage, None, "", FOREIGN, "foreign") for stage in Stage),
    ],
)
def test_anybody_elses_run_is_refused(
    stage: Stage, marked: Owner | None, middle: str, wanted: WriteRequest, why: str
) -> None:
    """Every other run is refused, with the reason, that nothing was written, and the command that would make it
    legal."""
    history = history_at(UNIT, stage, IN_THE_MIDDLE[middle])

    said = refusal(UnitState(UNIT, stage, marked), history, wanted)

    assert "this run may not write taxi_daily.dbt_daily" in said
    assert "Nothing was written." in said
    assert all(part in said for part in RULED_OUT[why]), said


@pytest.mark.parametrize(
    "backfill",
    [
        replace(REQUESTED, id="b2"),
        replace(REQUESTED, end=WINDOWS[0].end),
        replace(REQUESTED, start=WINDOWS[1].start),
        replace(REQUESTED, end=WINDOWS[1].end - timedelta(seconds=1)),
    ],
    ids=["another", "ends-before", "begins-after", "a-second-short"],
)
def test_a_backfill_is_for_its_own_windows_only(backfill: Backfilled) -> None:
    """An entry lets only the run that names it write, and only windows that lie in it as a whole."""
    history = CutOver(UNIT, backfills=(backfill,))

    assert "did not start this one" in refusal(UnitState(UNIT, CUT_OVER), history, BACKFILL)


@pytest.mark.parametrize(
    ("run", "earlier", "why"),
    [
        (a_run({**JOB, tags.BACKFILL: "b1"}), [a_run({**JOB, tags.BACKFILL: "b1"}, "before")], "run before has used"),
        (a_run({**JOB, tags.BACKFILL: "b1"}, parent="before"), [], "re-executes run before"),
        (a_run({**JOB, tags.BACKFILL: "b1"}, whole=False), [], "a part of the unit"),
        (a_run({**JOB, tags.BACKFILL: "b1"}, job="everything"), [], "a run of the job everything"),
        (a_run({**JOB, tags.BACKFILL: "b1", "dagster/backfill": "x"}), [], "a backfill in Dagster's UI"),
        (a_run({tags.BACKFILL: "b1"}), [], "parity/side were changed"),
        (a_run({**JOB, tags.BACKFILL: "b1", tags.PARTITION: "2024-03-09"}), [], "in addition to its range"),
    ],
    ids=["used", "again", "a-part", "another-job", "the-uis", "no-unit", "one-of-them"],
)  # fmt: skip
def test_a_backfill_is_for_one_run(run: RunRecord, earlier: Sequence[RunRecord], why: str) -> None:
    """The entry permits the one run that `parity backfill` has launched for it, whole, and nothing that copies it."""
    history = CutOver(UNIT, backfills=(REQUESTED,))
    wanted = replace(BACKFILL, run=run, earlier=earlier)

    assert why in refusal(UnitState(UNIT, CUT_OVER), history, wanted)


def test_a_backfill_ends_with_the_next_cutover() -> None:
    """What was wanted before a rollback is not wanted after it: neither while the next cutover is under way, nor
    after it, nor while nothing moves and somebody has flipped the mark."""
    moves = [
        (Move.CUTOVER, SHADOWED), (Move.BACKFILL, CUT_OVER), (Move.ROLLBACK, CUT_OVER), (Move.CUTOVER, SHADOWED)
    ]  # fmt: skip
    entries = []
    for number, (move, stage) in enumerate(moves):
        if move is Move.BACKFILL:
            entries.append(WANTED)
            continue
        intent = replace(INTENT, id=str(number), move=move, stage=stage)
        entries += [intent, replace(intent, kind=Kind.DONE)]

    permitted = [bool(backfills_of(histories(entries[:count])[UNIT])) for count in range(1, len(entries) + 1)]

    assert permitted == [False, False, True, True, False, False, False]


@pytest.mark.parametrize("name", sorted({*WHOLE} - {tags.AIRFLOW_DAG, tags.AIRFLOW_TASK}))
def test_the_whole_set_of_tags_is_needed(name: str) -> None:
    """Without any one of them a run is not the proxy's."""
    said = {key: value for key, value in WHOLE.items() if key != name}

    assert "Airflow's task has started it, but it" in wrong(said) or "parity/side were changed" in wrong(said)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({tags.AIRFLOW_TASK_INSTANCE: f"{UNIT} scheduled__2"}, "is not the task of scheduled__1"),
        ({tags.AIRFLOW_RUN: "scheduled__2"}, "is not the task of scheduled__2"),
        ({tags.AIRFLOW_MAP_INDEX: "3"}, "the instances of a mapped task share a run"),
        ({tags.AIRFLOW_TRY: "one"}, "is not a number"),
        ({tags.LAUNCH: "mine"}, "is not the id of a launch"),
        ({tags.LAUNCH: LAUNCH.upper()}, "is not the id of a launch"),
        ({tags.UNIT: str(OTHER)}, "parity/side were changed"),
        ({tags.SIDE: "candidate"}, "parity/side were changed"),
        ({tags.PARTITION: "2024-03-10"}, "it writes 2024-03-09"),
        ({tags.RANGE_START: "2024-03-09"}, "a range of partitions"),
        ({tags.PARENT_RUN: "p"}, "re-executes run p"),
        ({tags.ROOT_RUN: "p"}, "re-executes run p"),
        ({"dagster/sensor_name": "s"}, "was started by a sensor"),
        ({"dagster/schedule_name": "s"}, "was started by a schedule"),
        ({"dagster/backfill": "s"}, "was started by a backfill in Dagster's UI"),
        ({tags.REFUSED: "NotOwner"}, "it carries parity/refused"),
    ],
)
def test_a_set_of_tags_that_does_not_fit_together(changes: Mapping[str, str], why: str) -> None:
    """Each tag is held against the others, and against what no proxy does."""
    assert why in wrong({**WHOLE, **changes})


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (replace(PROXIED, bounds=None), "it names the window None"),
        (replace(PROXIED, bounds=WINDOWS[1]), "it names the window"),
        (replace(PROXIED, windows=WINDOWS, keys=("2024-03-09", "2024-03-10")), "it writes 2024-03-09 … 2024-03-10"),
        (replace(PROXIED, run=a_run(WHOLE, whole=False)), "a part of the unit"),
        (replace(PROXIED, run=a_run(WHOLE, job="__ASSET_JOB")), "a run of the job __ASSET_JOB"),
        (replace(PROXIED, run=a_run(WHOLE, parent="p")), "re-executes run p"),
    ],
    ids=["no-bounds", "other-bounds", "a-range", "a-part", "another-job", "again"],
)  # fmt: skip
def test_a_proxys_run_is_one_window_of_the_whole_unit(wanted: WriteRequest, why: str) -> None:
    """Of another window, of several, of a part, of another job, or executed again, it is not the proxy's."""
    assert why in refusal(UnitState(UNIT, CUT_OVER), CutOver(UNIT), wanted)


NEXT = {**WHOLE, tags.LAUNCH: LAUNCH[::-1], tags.AIRFLOW_TRY: "2"}
OTHER_TRY = {**NEXT, tags.LAUNCH: "f" * 32}


@pytest.mark.parametrize(
    ("said", "earlier", "why"),
    [
        (WHOLE, [a_run(WHOLE, "first")], "run first was launched with the same parity/launch_id"),
        (WHOLE, [a_run({tags.LAUNCH: LAUNCH}, "first")], "run first was launched with the same parity/launch_id"),
        (NEXT, [a_run(WHOLE, "first", succeeded=True)], "run first has already done this"),
        (NEXT, [a_run(WHOLE, "first")], ""),
        (NEXT, [a_run({**WHOLE, tags.AIRFLOW_ROUND: "7.1"}, "first", succeeded=True)], ""),
        (NEXT, [a_run({**WHOLE, tags.AIRFLOW_UPSTREAM: "10:00"}, "first", succeeded=True)], ""),
        (
            NEXT,
            [a_run({**OTHER_TRY, tags.REFUSED: "NotOwner"}), a_run(WHOLE, "first", succeeded=True)],
            "run first has already done this",
        ),
        (
            NEXT,
            [a_run({**WHOLE, tags.PARENT_RUN: "first"}, "r"), a_run(WHOLE, "first", succeeded=True)],
            "run first has already done this",
        ),
        (NEXT, [a_run(OTHER_TRY), a_run(WHOLE, "first", succeeded=True)], ""),
    ],
    ids=["twice", "id-used-up", "done", "failed", "cleared", "newer-input", "refused-between", "again-between",
         "failed-since"],
)  # fmt: skip
def test_a_proxys_run_counts_once(said: Mapping[str, str], earlier: Sequence[RunRecord], why: str) -> None:
    """A launch counts once; and a run counts only where a try that looks first would have launched it."""
    assert why in wrong(said, earlier) if why else wrong(said, earlier) == ""


@pytest.mark.parametrize(
    ("obeyed", "recorded", "why"),
    [
        (17, 17, ""),
        (None, None, ""),
        (16, 17, "obeyed the mark of position 16, and on record is that of position 17"),
        (18, 17, "obeyed the mark of position 18"),  # the store is an old copy
        (17, None, "on record is one that no move has set"),
        (None, 17, "Update airflow-parity-handover where Airflow runs"),
    ],
)
def test_only_the_mark_on_record_counts(obeyed: int | None, recorded: int | None, why: str) -> None:
    """A task that has read an old copy of its mark, or a store that is one, writes nothing."""
    said = WHOLE if obeyed is None else {**WHOLE, tags.POSITION: str(obeyed)}

    problem = wrong(said, position=recorded)

    assert why in problem if why else problem == ""


def test_a_run_that_waited_while_its_unit_is_rolled_back_still_counts() -> None:
    """The rollback waits for it: its mark is not the one on record any more."""
    history = replace(CutOver(UNIT), open=IN_THE_MIDDLE["rollback"])
    request = replace(PROXIED, run=a_run({**WHOLE, tags.POSITION: "17"}), position=19)

    refuse_foreign_run(UnitState(UNIT, Stage.SHADOWED), history, request)


def wrong(said: Mapping[str, str], earlier: Sequence[RunRecord] = (), position: int | None = None) -> str:
    """Why a run with these tags is refused; empty if it is not."""
    request = replace(PROXIED, run=a_run(said), earlier=earlier, position=position)
    try:
        refuse_foreign_run(UnitState(UNIT, CUT_OVER), CutOver(UNIT), request)
    except NotOwner as error:
        return str(error)
    return ""
