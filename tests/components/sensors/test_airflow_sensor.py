"""The sensor that watches Airflow, against a loopback Airflow and with a real Dagster instance."""

from __future__ import annotations

import dagster as dg
import pendulum
import pytest
from dagster import AssetKey

from dagster_defs.lifecycle import tags
from tests.support.fakes import FakeAirflow
from tests.support.observing import DAILY, NOW, SPRING, Observer, materialized, spring_run


def test_a_finished_task_materializes_its_models(observer: Observer, airflow: FakeAirflow) -> None:
    """A task that Airflow has finished is a materialization of each of its models, and of no other asset."""
    airflow.finish(*DAILY, spring_run(airflow), NOW.subtract(minutes=1))

    events = observer.tick()

    assert materialized(events) == {
        (model, "2024-03-09") for model in ("stg_trips", "location_metrics", "daily_metrics")
    }
    metadata = events[0].metadata
    assert metadata["parity/window_start"].value == pendulum.datetime(2024, 3, 9, 11).timestamp()
    assert metadata["parity/window_end"].value == pendulum.datetime(2024, 3, 10, 10).timestamp()
    assert "dag_run_id=scheduled__2024-03-09T11%3A00%3A00%2B00%3A00" in str(metadata["Airflow run"].value)


def test_what_a_unit_writes_beside_its_own_is_observed(observer: Observer, airflow: FakeAirflow) -> None:
    """A model that another unit's mirror defines is observed, with the window and the unit that has written it."""
    airflow.finish(*DAILY, spring_run(airflow), NOW.subtract(minutes=1))

    [told] = [event for event in observer.tick() if isinstance(event, dg.AssetObservation)]

    assert told.asset_key == AssetKey("stg_zones")
    assert told.metadata[tags.WRITTEN_BY].value == "taxi_daily.dbt_daily"
    assert told.metadata[tags.WINDOW_START].value == pendulum.datetime(2024, 3, 9, 11).timestamp()
    assert told.metadata[tags.ENDED].value == NOW.subtract(minutes=1).timestamp()


def test_the_partition_is_the_local_day(observer: Observer, airflow: FakeAirflow) -> None:
    """A month that begins at 04:00 UTC is New York's month: the key is the local date of the data interval."""
    run = airflow.add_run("taxi_ingest", "monthly", "2024-04-01T04:00:00+00:00", "2024-05-01T04:00:00+00:00")
    airflow.finish("taxi_ingest", "load_trips", run, NOW.subtract(minutes=1))

    assert materialized(observer.tick()) == {("taxi_trips", "2024-04-01")}


def test_the_logical_date_does_not_matter(observer: Observer, airflow: FakeAirflow) -> None:
    """A manual run's logical date lies a day after its interval: the interval decides."""
    run = airflow.add_run("taxi_daily", "manual__x", *SPRING)
    airflow.dag_runs["taxi_daily", run]["logical_date"] = SPRING[1]
    airflow.finish(*DAILY, run, NOW.subtract(minutes=1))

    assert {partition for _, partition in materialized(observer.tick())} == {"2024-03-09"}


def test_each_finished_task_is_told_once(observer: Observer, airflow: FakeAirflow) -> None:
    """However often the sensor looks, and however the look-backs overlap, a task is reported exactly once."""
    run = spring_run(airflow)
    told: list[tuple[str, str | None]] = []
    for minute in range(5):
        airflow.finish("taxi_daily", f"unmirrored_{minute}", run, NOW.add(minutes=minute))
        told += [*materialized(observer.tick()), *materialized(observer.tick())]

    assert sorted(told) == [(f"airflow/taxi_daily/unmirrored_{minute}", None) for minute in range(5)]


def test_a_task_that_is_committed_late_is_told(observer: Observer, airflow: FakeAirflow) -> None:
    """A task whose end lies before what was seen last, by less than the overlap, is not lost."""
    run = spring_run(airflow)
    airflow.finish("taxi_daily", "first", run, NOW)
    observer.tick()

    airflow.finish("taxi_daily", "late", run, NOW.subtract(seconds=90))

    assert materialized(observer.tick()) == {("airflow/taxi_daily/late", None)}


def test_a_cleared_task_is_told_again(observer: Observer, airflow: FakeAirflow) -> None:
    """A second try that ends later is news, not a repetition."""
    run = spring_run(airflow)
    airflow.finish(*DAILY, run, NOW)
    assert observer.tick()

    airflow.finish(*DAILY, run, NOW.add(seconds=30), try_number=2)

    assert {event.metadata["Try"].value for event in observer.tick()} == {2}


def test_more_tasks_than_one_page(observer: Observer, airflow: FakeAirflow) -> None:
    """Airflow answers a hundred task instances at most; all 250 are told."""
    run = spring_run(airflow)
    for number in range(250):
        airflow.finish("taxi_daily", f"task_{number}", run, NOW.add(seconds=number % 60))

    assert len(materialized(observer.tick())) == 250
    assert observer.tick() == []


def test_an_unaligned_run_is_shown_and_not_guessed(observer: Observer, airflow: FakeAirflow) -> None:
    """A run whose interval is no window becomes observations with the reason, and no materialization."""
    run = airflow.add_run(
        "taxi_daily", "manual__odd", "2024-03-09T12:34:00+00:00", "2024-03-10T12:34:00+00:00"
    )
    airflow.finish(*DAILY, run, NOW)

    events = observer.tick()

    assert materialized(events) == set()
    told = {event.asset_key: event.description or "" for event in events}
    assert told.pop(AssetKey("stg_zones")) == "also built by taxi_daily.dbt_daily"
    assert told.keys() == {AssetKey(model) for model in ("stg_trips", "location_metrics", "daily_metrics")}
    assert all("is not a window of" in description for description in told.values())


@pytest.mark.parametrize("interval", [(None, None), (SPRING[0], SPRING[0])])
def test_a_run_without_a_window_is_unaligned(
    observer: Observer, airflow: FakeAirflow, interval: tuple[str | None, str | None]
) -> None:
    """A run without a data interval, or with an empty one, is shown as unaligned."""
    airflow.finish(*DAILY, airflow.add_run("taxi_daily", "manual__none", *interval), NOW)

    events = observer.tick()

    assert all(isinstance(event, dg.AssetObservation) for event in events)
    unaligned = [event for event in events if event.asset_key != AssetKey("stg_zones")]
    assert unaligned
    assert all("unaligned" in (event.description or "") for event in unaligned)


def test_one_unaligned_run_stops_nothing(observer: Observer, airflow: FakeAirflow) -> None:
    """Other tasks and other DAGs go on being observed beside an unaligned run, in the same tick and later."""
    odd = airflow.add_run(
        "taxi_daily", "manual__odd", "2024-03-09T12:34:00+00:00", "2024-03-10T12:34:00+00:00"
    )
    airflow.finish(*DAILY, odd, NOW)
    airflow.finish("taxi_daily", "dbt_zones", spring_run(airflow), NOW)

    assert materialized(observer.tick()) == {("stg_zones", "2024-03-09")}

    month = airflow.add_run("taxi_ingest", "m", "2024-03-01T05:00:00+00:00", "2024-04-01T04:00:00+00:00")
    airflow.finish("taxi_ingest", "load_zones", month, NOW.add(minutes=1))
    assert materialized(observer.tick()) == {("taxi_zones", "2024-03-01")}


def test_a_failed_task_is_observed(observer: Observer, airflow: FakeAirflow) -> None:
    """A failure is an observation of each model, with its partition, try and state, and no materialization."""
    airflow.finish(*DAILY, spring_run(airflow), NOW, state="failed", try_number=1)

    told = [event for event in observer.tick() if isinstance(event, dg.AssetObservation)]

    assert {(event.asset_key.to_user_string(), event.partition) for event in told} == {
        (model, "2024-03-09") for model in ("stg_trips", "location_metrics", "daily_metrics")
    }
    assert {event.description for event in told} == {"failed in Airflow, try 1"}
    assert {event.metadata["State"].value for event in told} == {"failed"}
    assert not any(tags.WRITTEN_BY in event.metadata for event in told)


def test_a_failed_task_materializes_nothing(observer: Observer, airflow: FakeAirflow) -> None:
    """Only success is a materialization; a task counts even while its DAG run still runs or has failed."""
    run = airflow.add_run("taxi_daily", "scheduled__x", *SPRING, state="failed")
    airflow.finish(*DAILY, run, NOW, state="failed")
    airflow.finish("taxi_daily", "export_daily", run, NOW, state="upstream_failed")
    airflow.finish("taxi_daily", "dbt_zones", run, NOW)

    assert materialized(observer.tick()) == {("stg_zones", "2024-03-09")}


def test_a_proxied_task_is_not_told_twice(observer: Observer, airflow: FakeAirflow) -> None:
    """A task that ran as a Dagster run has told everything itself: the sensor keeps quiet about it."""
    run = spring_run(airflow)
    airflow.finish(*DAILY, run, NOW)
    airflow.finish("taxi_daily", "dbt_zones", run, NOW)
    observer.instance.create_run_for_job(
        observer.estate.definitions.resolve_job_def("taxi_daily__dbt_daily"),
        tags={
            "dagster-airlift/airflow-dag-id": "taxi_daily",
            "dagster-airlift/airflow-dag-run-id": run,
            "dagster-airlift/airflow-task-id": "dbt_daily",
        },
    )

    assert materialized(observer.tick()) == {("stg_zones", "2024-03-09")}


def test_another_dags_run_of_the_same_name_is_no_proxy(observer: Observer, airflow: FakeAirflow) -> None:
    """Run ids repeat from DAG to DAG: only a Dagster run of the very same DAG, run and task counts as told."""
    run = spring_run(airflow)
    airflow.finish(*DAILY, run, NOW)
    observer.instance.create_run_for_job(
        observer.estate.definitions.resolve_job_def("taxi_daily__dbt_daily"),
        tags={
            "dagster-airlift/airflow-dag-id": "another_dag",
            "dagster-airlift/airflow-dag-run-id": run,
            "dagster-airlift/airflow-task-id": "dbt_daily",
        },
    )

    assert len(materialized(observer.tick())) == 3


def test_an_unreachable_airflow_is_a_reason_to_skip(observer: Observer, airflow: FakeAirflow) -> None:
    """While Airflow shows a login page the sensor skips with the reason; afterwards nothing is missing."""
    airflow.finish(*DAILY, spring_run(airflow), NOW)
    airflow.login_page = True
    assert observer.tick() == []
    [reason] = observer.skipped
    assert "login page" in reason
    assert airflow.url in reason

    airflow.login_page = False

    assert len(materialized(observer.tick())) == 3


def test_airlifts_own_tag_names(observer: Observer) -> None:
    """The tags that the sensor looks for are those that Airlift's proxy base class writes."""
    from dagster_airlift import constants

    assert tags.AIRFLOW_DAG == constants.DAG_ID_TAG_KEY
    assert tags.AIRFLOW_RUN == constants.DAG_RUN_ID_TAG_KEY
    assert tags.AIRFLOW_TASK == constants.TASK_ID_TAG_KEY
    assert tags.TASK_MAPPING == constants.TASK_MAPPING_METADATA_KEY
