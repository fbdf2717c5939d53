"""A mapped task with a mirror is told once for each window, when all of its instances have ended."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import dagster as dg
import pendulum
import pytest

from dagster_defs.lifecycle import tags
from tests.support.fakes import FakeAirflow
from tests.support.observing import NOW, Observer, materialized, spring_run

ZONES = ("taxi_daily", "dbt_zones")  # one model
WRITTEN = {("stg_zones", "2024-03-09")}
ROUND = tags.AIRFLOW_ROUND


def ended(airflow: FakeAirflow, run: str, states: Sequence[str], max_tries: int = 0) -> None:
    """One instance for each state, a second apart, all within one tick."""
    for index, state in enumerate(states):
        airflow.finish(*ZONES, run, NOW.add(seconds=index), state=state, map_index=index, max_tries=max_tries)


def states_told(events: Sequence[dg.AssetMaterialization | dg.AssetObservation]) -> list[str]:
    return [str(event.metadata[tags.SHOWN_STATE].value) for event in events]


def launched(
    observer: Observer,
    run: str,
    round_: str,
    ends: dg.DagsterEventType,
    at: pendulum.DateTime = NOW,
    seconds: float = 0,
) -> None:
    """The run that the proxy of some index has launched for all of them, and that took so many seconds."""
    said = {
        tags.AIRFLOW_DAG: ZONES[0],
        tags.AIRFLOW_RUN: run,
        tags.AIRFLOW_TASK: ZONES[1],
        tags.AIRFLOW_MAP_INDEX: "-1",
        tags.AIRFLOW_TRY: "1",
        tags.LAUNCH: f"{len(observer.instance.get_runs()):032x}",
        ROUND: round_,
    }
    job = observer.estate.definitions.resolve_job_def("taxi_daily__dbt_zones")
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr("dagster._core.storage.runs.sql_run_storage.get_current_datetime", lambda: at)
        found = observer.instance.create_run_for_job(job, tags={**job.tags, **said})
    for kind, instant in ((dg.DagsterEventType.RUN_START, at), (ends, at.add(seconds=seconds))):
        observer.instance.report_dagster_event(
            dg.DagsterEvent(kind.value, found.job_name), found.run_id, timestamp=instant.timestamp()
        )


def test_the_last_instance_tells_the_task(observer: Observer, airflow: FakeAirflow) -> None:
    """Nothing is told while an instance runs; then one materialization, from the first start to the last end."""
    run = spring_run(airflow)
    ended(airflow, run, ["success", "success"])
    airflow.finish(*ZONES, run, NOW, state="running", map_index=2)
    assert observer.tick() == []

    airflow.finish(*ZONES, run, NOW.add(minutes=1), map_index=2)
    [told] = observer.until_quiet()

    assert isinstance(told, dg.AssetMaterialization)
    assert told.metadata["Map indices"].value == "3 success"
    assert told.metadata[tags.BEGAN].value == NOW.subtract(seconds=7).timestamp()
    assert told.metadata[tags.ENDED].value == NOW.add(minutes=1).timestamp()


@pytest.mark.parametrize("seed", range(6))
def test_however_they_end_the_window_is_told_once(
    observer: Observer, airflow: FakeAirflow, seed: int
) -> None:
    """Instances that end together or apart, whose rows come in another order, with ticks in between: exactly one
    materialization."""
    drawn = Random(seed)  # noqa: S311 - a law, not a secret
    run = spring_run(airflow)
    ends = [NOW.add(seconds=drawn.randrange(4)) for _ in range(drawn.randint(1, 9))]
    for index, end in enumerate(ends):
        airflow.finish(*ZONES, run, end, state="running", map_index=index)
    told = []
    for index in drawn.sample(range(len(ends)), len(ends)):
        airflow.finish(*ZONES, run, ends[index], map_index=index)
        if drawn.random() < 0.4:
            told += observer.tick()
    told += observer.until_quiet()

    assert [type(event) for event in told] == [dg.AssetMaterialization]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (["success", "failed", "success"], "failed"),
        (["success", "skipped", "success"], "success"),
        (["skipped", "skipped"], "skipped"),
        (["success", "upstream_failed"], "upstream_failed"),
    ],
)
def test_one_state_for_all_of_them(
    observer: Observer, airflow: FakeAirflow, states: list[str], said: str
) -> None:
    """One failure fails the window; a skip among successes does not, as in Airflow's own summary of the task."""
    ended(airflow, spring_run(airflow), states)

    events = observer.tick()

    assert states_told(events) == [said]
    assert materialized(events) == (WRITTEN if said == "success" else set())


def test_no_instances_at_all(observer: Observer, airflow: FakeAirflow) -> None:
    """Airflow skips a task that has nothing to map over: the window is observed as skipped."""
    airflow.finish(*ZONES, spring_run(airflow), NOW, state="skipped")

    assert states_told(observer.tick()) == ["skipped"]


def test_a_missing_index_tells_nothing(observer: Observer, airflow: FakeAirflow) -> None:
    """An instance whose row is gone may have failed: the window is not said to be written."""
    run = spring_run(airflow)
    airflow.finish(*ZONES, run, NOW, map_index=0)
    airflow.finish(*ZONES, run, NOW, map_index=2)

    assert observer.tick() == []


def test_an_index_that_is_cleared_is_told_again(observer: Observer, airflow: FakeAirflow) -> None:
    """A failed index that somebody has cleared makes the window whole when it succeeds."""
    run = spring_run(airflow)
    observer.stores = True
    ended(airflow, run, ["success", "failed"])
    assert states_told(observer.tick()) == ["failed"]

    airflow.finish(*ZONES, run, NOW.add(minutes=2), map_index=1, try_number=2)

    assert materialized(observer.until_quiet()) == WRITTEN


def test_proxied_instances_share_a_run(observer: Observer, airflow: FakeAirflow) -> None:
    """Whatever their tries, a run of their round that has succeeded is what wrote the window: it has told it."""
    run = spring_run(airflow)
    launched(observer, run, "7.5", dg.DagsterEventType.RUN_SUCCESS)
    airflow.finish(*ZONES, run, NOW, state="up_for_retry", map_index=0, max_tries=2)
    airflow.finish(*ZONES, run, NOW.add(seconds=2), map_index=0, try_number=2, max_tries=2)
    airflow.finish(*ZONES, run, NOW.add(seconds=1), map_index=1, max_tries=3)

    assert observer.tick() == []


def test_an_instance_that_is_cleared_follows_a_run_of_before(
    observer: Observer, airflow: FakeAirflow
) -> None:
    """A deferred instance that is cleared begins another round, and goes on with the run that lives: Dagster has told
    the window, and Airflow has written nothing."""
    run = spring_run(airflow)
    launched(observer, run, "7.2", dg.DagsterEventType.RUN_SUCCESS, NOW.subtract(minutes=10), seconds=600)
    airflow.finish(*ZONES, run, NOW, map_index=0, max_tries=1)
    airflow.finish(*ZONES, run, NOW.add(seconds=2), map_index=1, try_number=2, max_tries=2)

    assert observer.tick() == []


def test_airflows_own_instances_after_a_proxied_round(observer: Observer, airflow: FakeAirflow) -> None:
    """The task was proxied, rolled back and cleared: its instances' own success is told, as an overlap."""
    run = spring_run(airflow)
    launched(observer, run, "7.2", dg.DagsterEventType.RUN_SUCCESS)
    for index in range(2):
        airflow.finish(*ZONES, run, NOW, map_index=index, max_tries=1)
        airflow.finish(*ZONES, run, NOW.add(hours=1), map_index=index, try_number=2, max_tries=2)

    assert materialized(observer.tick()) == WRITTEN


def test_a_success_whose_run_failed_is_nobodys(observer: Observer, airflow: FakeAirflow) -> None:
    """Somebody has marked all instances as successful, and their Dagster run has failed: no materialization."""
    run = spring_run(airflow)
    launched(observer, run, "7.2", dg.DagsterEventType.RUN_FAILURE)
    ended(airflow, run, ["success", "success"], max_tries=1)

    events = observer.tick()

    assert materialized(events) == set()
    assert "has failed" in str([event.description for event in events])
