"""Every way in which a run can come to a writing mirror, in a real Dagster instance: the owner's run writes, every
other one is refused before the function is called, and what has written is in the event log."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import dagster as dg
import pytest

from dagster_defs.lifecycle import Stage, tags
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move
from tests.support import warm
from tests.support.attacked import ASSET_JOB, JOB, KEYS, OTHER_JOB, UNIT, Attacked
from tests.support.estate import BIN, ROOT, foreign_environment
from tests.support.owned import LONG_AGO

OBSERVED, SHADOWED, CUT_OVER, RETIRED = Stage
SHADOW_JOB = f"shadow__{JOB}"
LIVE = dg.DagsterRunStatus.STARTED


def plain(day: str) -> dict[str, str]:
    return {tags.PARTITION: day}


def between(first: str, last: str) -> dict[str, str]:
    return {tags.RANGE_START: first, tags.RANGE_END: last}


def after(day: str, days: int = 1) -> str:
    return str((datetime.fromisoformat(day) + timedelta(days=days)).date())


def two_tags(day: str) -> dict[str, str]:
    """As somebody types them in."""
    return {**plain(day), tags.AIRFLOW_DAG: UNIT.dag_id, tags.AIRFLOW_TASK: UNIT.task_id}


def whole(day: str, *, airflow_try: int = 1) -> dict[str, str]:
    """What the proxy sends of a run of that day's window; each call is a launch."""
    run = f"scheduled__{day}"
    return {
        **two_tags(day),
        tags.AIRFLOW_RUN: run,
        tags.AIRFLOW_TASK_INSTANCE: f"{UNIT} {run}",
        tags.AIRFLOW_MAP_INDEX: "-1",
        tags.AIRFLOW_TRY: str(airflow_try),
        tags.AIRFLOW_ROUND: "7.0",
        tags.AIRFLOW_UPSTREAM: "",
        tags.LAUNCH: uuid.uuid4().hex,
        tags.WINDOW_START: f"{day}T00:00:00+00:00",
        tags.WINDOW_END: f"{after(day)}T00:00:00+00:00",
        tags.MAX_RETRIES: "0",
    }


def without(said: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in said.items() if name not in names}


def backfilled(attacked: Attacked, day: str) -> dict[str, str]:
    """The tags of `parity backfill` for two days, with its entry in the ledger."""
    entry = uuid.uuid4().hex[:12]
    attacked.permit(day, after(day), entry)
    return {**between(day, after(day)), tags.BACKFILL: entry, tags.MAX_RETRIES: "0"}


# Each way: what is done on a day that nobody else has used, and which of its days it writes, by stage.

Act = Callable[[Attacked, str], Sequence[str]]


def twice(attacked: Attacked, day: str) -> list[str]:
    said = whole(day)
    return [attacked.launch(said), attacked.launch(said)]


def copied(attacked: Attacked, day: str) -> list[str]:
    """The tags of a run that has done its work, under new launch ids, tried until one may get through."""
    return [attacked.launch(whole(day, airflow_try=number)) for number in (1, 2, 3)]


def again(strategy: str, said: Callable[[str], Mapping[str, str]]) -> Act:
    def act(attacked: Attacked, day: str) -> list[str]:
        parent = attacked.launch(said(day))
        return [parent, attacked.again(parent, strategy)]

    return act


def again_after_failure(attacked: Attacked, day: str) -> list[str]:
    """`Re-execute from failure` of a proxied run that broke off."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FAILING", day)
        parent = attacked.launch(whole(day))
    return [parent, attacked.again(parent, "FROM_FAILURE")]


def next_try(attacked: Attacked, day: str) -> list[str]:
    """A proxied run fails, Airflow tries again, and its proxy launches another."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FAILING", day)
        first = attacked.launch(whole(day))
    return [first, attacked.launch(whole(day, airflow_try=2))]


def steps_again(attacked: Attacked, day: str) -> list[str]:
    parent = attacked.launch(whole(day))
    return [parent, attacked.steps_again(parent)]


def backfill_twice(attacked: Attacked, day: str) -> list[str]:
    said = backfilled(attacked, day)
    first = attacked.launch(said)
    return [first, attacked.launch(said), attacked.again(first, "ALL_STEPS")]


def backfill_of_before(attacked: Attacked, day: str) -> list[str]:
    """The entry is from before a rollback and the cutover after it."""
    said = backfilled(attacked, day)
    for move, stage in ((Move.ROLLBACK, CUT_OVER), (Move.CUTOVER, SHADOWED)):
        intent = Entry(uuid.uuid4().hex[:12], LONG_AGO, "ada", UNIT, move, Kind.INTENDED, stage)
        attacked.append(intent, replace(intent, kind=Kind.DONE))
    return [attacked.launch(said)]


def with_tags(said: Callable[[str], Mapping[str, str]]) -> Act:
    return lambda attacked, day: [attacked.launch(said(day))]


class Way(NamedTuple):
    act: Act
    cut_over: Sequence[int] = ()  # offsets of the days that are written while the unit is cut over
    retired: Sequence[int] = ()


WAYS = {
    # The owner's.
    "the-proxy": Way(with_tags(whole), cut_over=[0]),
    "the-proxys-next-try": Way(next_try, cut_over=[0, 0]),
    "a-backfill": Way(lambda a, day: [a.launch(backfilled(a, day))], cut_over=[0, 1], retired=[0, 1]),
    # By hand and by Dagster's own means: of a retired unit only.
    "launchpad": Way(with_tags(plain), retired=[0]),
    "launchpad-range": Way(with_tags(lambda day: between(day, after(day))), retired=[0, 1]),
    "asset-page": Way(lambda a, day: [a.launch(plain(day), job=ASSET_JOB, assets=KEYS)], retired=[0]),
    "another-job": Way(lambda a, day: [a.launch(plain(day), job=OTHER_JOB)], retired=[0]),
    "sensor": Way(lambda a, day: [a.ask_sensor(day, {})], retired=[0]),
    "schedule": Way(lambda a, day: [a.ask_schedule(day, {})], retired=[0]),
    "uis-backfill": Way(lambda a, day: a.backfill([day, after(day)], {}), retired=[0, 1]),
    "again-by-hand": Way(again("ALL_STEPS", plain), retired=[0, 0]),
    # Executed again.
    "again-all": Way(again("ALL_STEPS", whole), cut_over=[0]),
    "again-from-failure": Way(again_after_failure, cut_over=[0]),
    "again-selected": Way(steps_again, cut_over=[0]),
    # Tags that somebody has typed in or copied.
    "two-tags": Way(with_tags(two_tags)),
    "two-tags-range": Way(
        with_tags(lambda day: without(two_tags(day), tags.PARTITION) | between(day, after(day)))
    ),
    "two-tags-asset-page": Way(lambda a, day: [a.launch(two_tags(day), job=ASSET_JOB, assets=KEYS)]),
    "task-instance-alone": Way(with_tags(lambda day: plain(day) | {tags.AIRFLOW_TASK_INSTANCE: f"{UNIT} r"})),
    "launch-id-alone": Way(with_tags(lambda day: plain(day) | {tags.LAUNCH: uuid.uuid4().hex})),
    "without-launch-id": Way(with_tags(lambda day: without(whole(day), tags.LAUNCH))),
    "without-bounds": Way(with_tags(lambda day: without(whole(day), tags.WINDOW_START, tags.WINDOW_END))),
    "start-alone": Way(with_tags(lambda day: without(whole(day), tags.WINDOW_END))),
    "plain-start-alone": Way(
        with_tags(lambda day: plain(day) | {tags.WINDOW_START: f"{day}T00:00:00+00:00"})
    ),
    "plain-other-bounds": Way(
        with_tags(
            lambda day: (
                plain(day)
                | {
                    tags.WINDOW_START: f"{day}T00:00:00+00:00",
                    tags.WINDOW_END: f"{after(day, 2)}T00:00:00+00:00",
                }
            )
        )
    ),
    "bounds-without-offset": Way(with_tags(lambda day: whole(day) | {tags.WINDOW_START: f"{day}T00:00:00"})),
    "another-day": Way(with_tags(lambda day: whole(day) | plain(after(day)))),
    "a-range-under-whole-tags": Way(
        with_tags(lambda day: without(whole(day), tags.PARTITION) | between(day, after(day)))
    ),
    "another-task": Way(with_tags(lambda day: whole(day) | {tags.AIRFLOW_TASK: "other"})),
    "unit-taken-out": Way(with_tags(lambda day: whole(day) | {tags.UNIT: ""})),
    "whole-asset-page": Way(lambda a, day: [a.launch(whole(day), job=ASSET_JOB, assets=KEYS)]),
    "whole-part": Way(lambda a, day: [a.launch(whole(day), assets=KEYS)]),
    "whole-another-job": Way(lambda a, day: [a.launch(whole(day), job=OTHER_JOB)]),
    "whole-sensor": Way(lambda a, day: [a.ask_sensor(day, whole(day))]),
    "whole-schedule": Way(lambda a, day: [a.ask_schedule(day, whole(day))]),
    "whole-uis-backfill": Way(lambda a, day: a.backfill([day], without(whole(day), tags.PARTITION))),
    "whole-twice": Way(twice, cut_over=[0]),
    "copied-after-success": Way(copied, cut_over=[0]),
    # Permissions that are used up, over, or of others.
    "backfill-twice": Way(backfill_twice, cut_over=[0, 1], retired=[0, 1] * 3),
    "backfill-of-before": Way(backfill_of_before),
    "backfill-of-nobody": Way(with_tags(lambda day: plain(day) | {tags.BACKFILL: "b1"}), retired=[0]),
    "a-part-of-a-backfill": Way(
        lambda a, day: [a.launch(without(backfilled(a, day), tags.RANGE_START, tags.RANGE_END) | plain(day))],
        retired=[0],
    ),
    "backfill-asset-page": Way(
        lambda a, day: [a.launch(backfilled(a, day), job=ASSET_JOB, assets=KEYS)], retired=[0, 1]
    ),
    # The candidate writes elsewhere.
    "the-shadow": Way(lambda a, day: [a.launch(plain(day), job=SHADOW_JOB)]),
}
NOT_RETIRED = ("backfill-of-before",)  # a ledger in which a retired unit moves cannot be read


@pytest.mark.parametrize("stage", [SHADOWED, CUT_OVER, RETIRED])
@pytest.mark.parametrize("name", WAYS)
def test_the_owners_run_writes(
    attacked: Attacked, monkeypatch: pytest.MonkeyPatch, name: str, stage: Stage
) -> None:
    """Each way, at each stage: just the days of the table are written, each of them is in the event log, and whatever
    else ran has failed without an event of an asset."""
    if stage is RETIRED and name in NOT_RETIRED:
        pytest.skip("there is no such ledger")
    if stage is SHADOWED and name == "backfill-of-before":
        pytest.skip("the moves of this way begin at cut_over")
    way, day = WAYS[name], attacked.free_day()
    attacked.owned(stage, monkeypatch)
    notes, seen, known = (
        attacked.notes(),
        attacked.seen(),
        {*attacked.instance.get_run_ids()},
    )

    way.act(attacked, day)

    offsets = {CUT_OVER: way.cut_over, RETIRED: way.retired}.get(stage, ())
    wanted = sorted(after(day, offset) for offset in offsets)
    new = [run_id for run_id in attacked.instance.get_run_ids() if run_id not in known]
    started = attacked.instance.get_runs(dg.RunsFilter(run_ids=new)) if new else []
    why = [attacked.failure(run.run_id) for run in started]
    assert sorted(attacked.notes()[len(notes) :]) == wanted, why
    told = [each for each in attacked.seen() if each not in seen]
    assert sorted(set(told)) == sorted(set(wanted) - attacked.broken(started)), why
    assert started
    for run in started:
        if run.job_name != SHADOW_JOB and not attacked.began_work(run.run_id):
            assert not run.is_success
            assert attacked.materialized(run.run_id) == []
            assert any(
                said in attacked.failure(run.run_id) for said in ("NotOwner", "WindowDiffers", "RunLives")
            )


@pytest.mark.parametrize("way", ["the-proxy", "launchpad", "two-tags", "asset-page", "a-backfill"])
@pytest.mark.parametrize(
    ("stage", "marked", "writes"),
    [(OBSERVED, None, ()), (CUT_OVER, False, ()), (SHADOWED, True, ("the-proxy",))],
    ids=["observed", "mark-taken-away", "mark-set-by-hand"],
)
def test_the_mark_decides_whose_the_windows_are(
    attacked: Attacked, monkeypatch: pytest.MonkeyPatch, way: str, stage: Stage, marked: bool | None,
    writes: Sequence[str],
) -> None:  # fmt: skip
    """Where mark and ledger disagree the run that Airflow's task waits for writes, or nobody's does."""
    attacked.owned(stage, monkeypatch, marked=marked)
    day, notes = attacked.free_day(), attacked.notes()

    if way == "a-backfill" and stage is not CUT_OVER:
        attacked.launch({**between(day, day), tags.BACKFILL: "b1"})
    else:
        WAYS[way].act(attacked, day)

    assert attacked.notes()[len(notes) :] == ([day] if way in writes else [])


def renamed(day: str) -> dict[str, str]:
    """Tags of a launch go over those of its job."""
    return plain(day) | {tags.UNIT: "nobody.knows", tags.SIDE: "candidate", tags.DAG: ""}


@pytest.mark.parametrize(
    ("job", "said", "is_met"),
    [
        (JOB, plain, True),
        (JOB, lambda day: between(after(day, -1), after(day)), True),
        (JOB, renamed, True),
        (ASSET_JOB, plain, True),
        (ASSET_JOB, lambda day: between(day, after(day)), True),
        (OTHER_JOB, plain, True),
        (OTHER_JOB, lambda day: plain(day) | {"dagster/backfill": "x"}, True),
        (OTHER_JOB, lambda day: plain(after(day)), False),
        (SHADOW_JOB, plain, False),
        (SHADOW_JOB, lambda day: plain(day) | {tags.UNIT: str(UNIT), tags.SIDE: "legacy"}, False),
    ],
    ids=["own", "own-range", "own-renamed", "asset-page", "asset-page-range", "another-job", "uis-backfill",
         "another-day", "shadow", "shadow-renamed"],
)  # fmt: skip
@pytest.mark.parametrize("status", [LIVE, dg.DagsterRunStatus.NOT_STARTED])
def test_live_runs_meet_by_asset_and_partition(
    attacked: Attacked,
    monkeypatch: pytest.MonkeyPatch,
    job: str,
    said: Callable[[str], Mapping[str, str]],
    is_met: bool,
    status: dg.DagsterRunStatus,
) -> None:
    """A run that lives and is to write the window, of whatever job and under whatever tags, is met by the next one;
    one of another window, or of the candidate, is not, whatever it says."""
    attacked.owned(RETIRED, monkeypatch)
    day, notes, found = attacked.free_day(), attacked.notes(), attacked.definitions.resolve_job_def(job)
    selection = frozenset(KEYS) if job == ASSET_JOB else None
    first = attacked.instance.create_run_for_job(
        found.get_subset(asset_selection=selection) if selection else found,
        tags={**found.tags, **said(day)},
        asset_selection=selection,
        status=status,
    )
    try:
        run = attacked.launch(plain(day))
    finally:
        attacked.instance.report_run_canceled(first)

    assert attacked.notes()[len(notes) :] == ([] if is_met else [day])
    assert (f"RunLives: run {first.run_id}" in attacked.failure(run)) is is_met


def test_a_window_is_free_when_its_live_run_has_ended(
    attacked: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal leaves nothing behind: after the live run is gone the same launch writes."""
    attacked.owned(RETIRED, monkeypatch)
    day, notes = attacked.free_day(), attacked.notes()
    job = attacked.definitions.resolve_job_def(JOB)
    first = attacked.instance.create_run_for_job(job, tags={**job.tags, **plain(day)}, status=LIVE)
    attacked.launch(plain(day))
    attacked.instance.report_run_canceled(first)

    attacked.launch(plain(day))

    assert attacked.notes()[len(notes) :] == [day]


def test_a_refused_run_says_so_in_its_tags(attacked: Attacked, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the proxy, the observer and the way back tell it from one that has broken off. One that wrote says
    nothing of the kind."""
    attacked.owned(CUT_OVER, monkeypatch)
    refused, written = (
        attacked.launch(plain(attacked.free_day())),
        attacked.launch(whole(attacked.free_day())),
    )

    said = [attacked.instance.get_run_by_id(run) for run in (refused, written)]

    assert [run and run.tags.get(tags.REFUSED) for run in said] == ["NotOwner", None]


def test_a_run_that_nobody_would_see_writes_nothing(
    attacked: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an instance that ends with its process, even a retired unit's run is refused: its event log is in no one's
    sight."""
    attacked.owned(RETIRED, monkeypatch)
    notes = attacked.notes()
    job = attacked.definitions.resolve_job_def(JOB)

    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance, tags=plain(attacked.free_day()), raise_on_error=False
        )

    assert not result.success
    assert attacked.notes() == notes


@pytest.mark.parametrize(
    ("stage", "at_home", "writes"),
    [(CUT_OVER, True, False), (RETIRED, False, False), (RETIRED, True, True)],
    ids=["cut-over", "without-a-home", "retired"],
)
def test_the_command_line(
    attacked: Attacked, monkeypatch: pytest.MonkeyPatch, stage: Stage, at_home: bool, writes: bool
) -> None:
    """`dagster job execute` is met like any run; without DAGSTER_HOME its record is removed when it ends, so it writes
    nothing."""
    attacked.owned(stage, monkeypatch)
    day, notes = attacked.free_day(), attacked.notes()
    home = {"DAGSTER_HOME": attacked.instance.root_directory} if at_home else {}
    location = str(attacked.root / "location.py")

    done = warm.run(
        "dagster", "job", "execute", "-f", location, "-j", JOB, "--tags", json.dumps(plain(day)),
        cwd=attacked.root,
        env={
            **{name: value for name, value in foreign_environment().items() if name != "DAGSTER_HOME"},
            **home,
            "PARITY_PROXIED_STATE": str(attacked.state),
            "NOTES": str(attacked.root),
            "PYTHONPATH": str(ROOT),
            "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
        },
        timeout=1200,
    )  # fmt: skip

    assert (done.returncode == 0) is writes, done.stderr[-2000:]
    assert attacked.notes()[len(notes) :] == ([day] if writes else [])
    assert (day in attacked.seen()) is writes
