"""What Airflow itself has written is told, whatever Dagster runs have carried the names of the task."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import pytest

from dagster_defs.lifecycle import tags
from tests.support.fakes import FakeAirflow
from tests.support.observing import DAILY, NOW, Observer, materialized, spring_run

KEY = "2024-03-09"
MODELS = {(model, KEY) for model in ("stg_trips", "location_metrics", "daily_metrics")}
SUCCESS, FAILURE, CANCELED = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
)
AIRLIFTS = (tags.AIRFLOW_DAG, tags.AIRFLOW_RUN, tags.AIRFLOW_TASK)


def launched(
    observer: Observer,
    run: str,
    airflow_try: int,
    *ends: dg.DagsterEventType,
    begins: bool = True,
    said: Mapping[str, str] | None = None,
    only: tuple[str, ...] = (),
) -> dg.DagsterRun:
    """A run that a try's proxy has launched, and how it went on."""
    whole = {
        tags.AIRFLOW_DAG: DAILY[0],
        tags.AIRFLOW_RUN: run,
        tags.AIRFLOW_TASK: DAILY[1],
        tags.AIRFLOW_MAP_INDEX: "-1",
        tags.AIRFLOW_TRY: str(airflow_try),
        tags.AIRFLOW_TASK_INSTANCE: f"taxi_daily.dbt_daily {run}",
        tags.LAUNCH: f"{airflow_try:032x}",
        tags.PARTITION: KEY,
        **(said or {}),
    }
    job = observer.estate.definitions.resolve_job_def("taxi_daily__dbt_daily")
    carried = {name: value for name, value in whole.items() if not only or name in only}
    found = observer.instance.create_run_for_job(job, tags={**job.tags, **carried})
    for kind in (*([dg.DagsterEventType.RUN_START] if begins else []), *ends):
        observer.instance.report_dagster_event(dg.DagsterEvent(kind.value, found.job_name), found.run_id)
    return found


def finished(airflow: FakeAirflow, *states: str) -> str:
    """The task's tries in Airflow, one after the other."""
    run = spring_run(airflow)
    for number, state in enumerate(states, start=1):
        airflow.finish(*DAILY, run, NOW.add(seconds=10 * number), state=state, try_number=number)
    return run


@pytest.mark.parametrize("end", [FAILURE, CANCELED])
def test_a_try_after_the_way_back_is_told(
    observer: Observer, airflow: FakeAirflow, end: dg.DagsterEventType
) -> None:
    """A proxied try fails, the unit is rolled back, and Airflow's own try of the same DAG run succeeds: it is a write
    of Airflow's. Of the proxied try nothing is told, its Dagster run has told it."""
    run = finished(airflow, "failed", "success")
    launched(observer, run, 1, end)

    events = observer.tick()

    assert materialized(events) == MODELS
    assert {event.metadata["Try"].value for event in events} == {2}


def test_a_cleared_task_that_airflow_ran_is_an_overlap(observer: Observer, airflow: FakeAirflow) -> None:
    """Dagster has written the window, the unit is rolled back and the task is cleared: both have written it."""
    run = finished(airflow, "success", "success")
    launched(observer, run, 1, SUCCESS)

    assert materialized(observer.tick()) == MODELS


@pytest.mark.parametrize("states", [("failed", "success"), ("failed", "failed", "success")])
def test_a_retry_that_took_an_earlier_run_is_proxied(
    observer: Observer, airflow: FakeAirflow, states: tuple[str, ...]
) -> None:
    """A try whose worker died leaves a run that succeeds; the retry follows or accepts it and launches none."""
    run = finished(airflow, *states)
    launched(observer, run, 1, SUCCESS)

    assert materialized(observer.tick()) == set()


def test_a_try_of_its_own_run_is_proxied(observer: Observer, airflow: FakeAirflow) -> None:
    """The second try has launched a second run, and that has succeeded."""
    run = finished(airflow, "failed", "success")
    launched(observer, run, 1, FAILURE)
    launched(observer, run, 2, SUCCESS)

    assert observer.tick() == []


@pytest.mark.parametrize("ends", [(FAILURE,), (CANCELED,), ()], ids=["failed", "canceled", "live"])
def test_a_success_that_its_run_contradicts_is_nobodys(
    observer: Observer, airflow: FakeAirflow, ends: tuple[dg.DagsterEventType, ...]
) -> None:
    """Airflow says success, as after "mark success", and the run of that very try did not succeed: no materialization,
    and an observation that says what is known, by which comparisons know that the tables may be another's."""
    run = finished(airflow, "success")
    runs = launched(observer, run, 1, *ends)

    events = observer.tick()

    assert materialized(events) == set()
    told = {event.description for event in events if event.partition == KEY}
    assert len(told) == 1
    assert f"success in Airflow, try 1, but its Dagster run {runs.run_id[:8]}" in str(told)
    assert all(tags.WRITTEN_BY in event.metadata for event in events)


@pytest.mark.parametrize(
    ("ends", "begins", "said"),
    [
        ((FAILURE,), True, {tags.REFUSED: "NotOwner"}),
        ((CANCELED,), False, {}),
        ((FAILURE,), False, {}),
        ((SUCCESS,), True, {tags.PARENT_RUN: "p", tags.ROOT_RUN: "p"}),
        ((SUCCESS,), True, {tags.AIRFLOW_MAP_INDEX: "2"}),
        ((SUCCESS,), True, {tags.AIRFLOW_TASK: "dbt_zones"}),
        ((SUCCESS,), True, {tags.AIRFLOW_MAP_INDEX: "none"}),
    ],
    ids=["refused", "never-began", "broke-before", "executed-again", "another-index", "another-task", "no-index"],
)  # fmt: skip
def test_a_run_that_wrote_nothing_hides_nothing(
    observer: Observer, airflow: FakeAirflow, ends: tuple[dg.DagsterEventType, ...], begins: bool,
    said: Mapping[str, str],
) -> None:  # fmt: skip
    """Tags of a task, on a run that was refused, that never began, that was executed again, or of another task
    instance, take no write from Airflow."""
    run = finished(airflow, "success")
    launched(observer, run, 1, *ends, begins=begins, said=said)

    assert materialized(observer.tick()) == MODELS


def test_airlifts_own_proxy_is_told_by_its_state(observer: Observer, airflow: FakeAirflow) -> None:
    """Its runs do not say which try has launched them: one that has failed is not a later try's success."""
    run = finished(airflow, "failed", "success")
    launched(observer, run, 1, FAILURE, only=AIRLIFTS)

    assert materialized(observer.tick()) == MODELS


def test_the_operators_name_decides_nothing(observer: Observer, airflow: FakeAirflow) -> None:
    """Airflow 3 shows the operator of another version of the DAG: a proxy's name on Airflow's own try, or the other
    way round."""
    run = finished(airflow, "failed", "success")
    launched(observer, run, 1, FAILURE)
    for task in airflow.tasks:
        task["operator"] = "ProxyToDagster"

    assert materialized(observer.tick()) == MODELS
