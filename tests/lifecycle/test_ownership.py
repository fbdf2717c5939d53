"""Who may write a unit's windows where everybody reads them: each row of the decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pendulum
import pytest

from dagster_defs.errors import NotOwner
from dagster_defs.lifecycle import Owner, Stage, Unit, UnitState
from dagster_defs.lifecycle.ledger import Entry, Kind, OpenMove, UnitHistory
from dagster_defs.lifecycle.ownership import Asking, refuse_foreign_run
from dagster_defs.lifecycle.stages import Move
from dagster_defs.windows import Window

UNIT, OTHER = Unit("taxi_daily", "dbt_daily"), Unit("taxi_daily", "dbt_zones")
FIRST = pendulum.datetime(2024, 3, 9)
WINDOWS = [Window(FIRST.add(days=day), FIRST.add(days=day + 1)) for day in range(2)]
BY_HAND = Asking(WINDOWS, ("2024-03-09", "2024-03-10"))
PROXIED = replace(BY_HAND, proxied_by=UNIT)
FOREIGN = replace(BY_HAND, proxied_by=OTHER)
BACKFILL = replace(BY_HAND, backfill="b1")
INTENT = Entry(
    "a", datetime(2024, 3, 8, tzinfo=UTC), "ada", UNIT, Move.CUTOVER, Kind.INTENDED, Stage.SHADOWED
)
WANTED = replace(
    INTENT, id="b1", move=Move.BACKFILL, kind=Kind.BACKFILLED, stage=Stage.CUT_OVER,
    from_=WINDOWS[0].start, until=WINDOWS[-1].end,
)  # fmt: skip

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
    "gone-back": ["Airflow's own again", "Clear the task: Airflow runs it itself"],
    "nobody-asked": [
        "Airflow's task starts its runs, and did not start this one",
        "parity backfill taxi_daily.dbt_daily --from 2024-03-09 --to 2024-03-10 --apply",
    ],
    "foreign": ["the proxy of taxi_daily.dbt_zones has launched it", "Run the unit's own job"],
    "both": ["it is retired", "Pause taxi_daily in Airflow, or take it out of there"],
}
OBSERVED, SHADOWED, CUT_OVER, RETIRED = Stage
AIRFLOW, DAGSTER = Owner


def refusal(state: UnitState, history: UnitHistory, asking: Asking) -> str:
    with pytest.raises(NotOwner) as refused:
        refuse_foreign_run(state, history, asking)
    return str(refused.value)


@pytest.mark.parametrize(
    ("stage", "marked", "middle", "asking"),
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
def test_the_owners_run_may_write(stage: Stage, marked: Owner | None, middle: str, asking: Asking) -> None:
    """A run that Airflow's task waits for, one that the ledger wants, and any of a retired unit may write."""
    history = UnitHistory(UNIT, stage, IN_THE_MIDDLE[middle], backfills=(WANTED,))

    refuse_foreign_run(UnitState(UNIT, stage, marked), history, asking)


@pytest.mark.parametrize(
    ("stage", "marked", "middle", "asking", "why"),
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
    stage: Stage, marked: Owner | None, middle: str, asking: Asking, why: str
) -> None:
    """Every other run is refused, with the reason, that nothing was written, and the command that would make it
    legal."""
    history = UnitHistory(UNIT, stage, IN_THE_MIDDLE[middle])

    said = refusal(UnitState(UNIT, stage, marked), history, asking)

    assert "this run may not write taxi_daily.dbt_daily" in said
    assert "Nothing was written." in said
    assert all(part in said for part in RULED_OUT[why]), said


@pytest.mark.parametrize(
    "entry",
    [
        replace(WANTED, id="b2"),
        replace(WANTED, until=WINDOWS[0].end),
        replace(WANTED, from_=WINDOWS[1].start),
        replace(WANTED, until=WINDOWS[1].end - timedelta(seconds=1)),
        replace(WANTED, until=None),
    ],
    ids=["another", "ends-before", "begins-after", "a-second-short", "without-end"],
)
def test_a_backfill_is_for_its_own_windows_only(entry: Entry) -> None:
    """An entry lets only the run that names it write, and only windows that lie in it as a whole."""
    history = UnitHistory(UNIT, CUT_OVER, backfills=(entry,))

    assert "did not start this one" in refusal(UnitState(UNIT, CUT_OVER), history, BACKFILL)


def test_a_part_of_a_backfill_may_run_again() -> None:
    """A run over some of the windows that the entry names is let through: the rest of a run that broke off."""
    history = UnitHistory(UNIT, CUT_OVER, backfills=(WANTED,))

    refuse_foreign_run(UnitState(UNIT, CUT_OVER), history, replace(BACKFILL, windows=WINDOWS[1:]))
