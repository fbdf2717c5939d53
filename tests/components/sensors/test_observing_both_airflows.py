"""The estate's observer, with real servers of Airflow 2.11 and 3.3 in the place of the loopback one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey

from dagster_defs.adapters.dagster.last_seen import read_estate
from dagster_defs.components.sensors.airflow_estate import AirflowEstate
from dagster_defs.lifecycle import tags
from tests.support.airflow_servers import VERSIONS, ServedAirflow, served
from tests.support.estate import Estate
from tests.support.instances import instance_for_test
from tests.support.observing import NOW, SPRING, Observer, materialized

pytestmark = pytest.mark.airflow

MODELS = ("stg_trips", "location_metrics", "daily_metrics")


def run(run_id: str, ago: int, **of_run: Any) -> Mapping[str, Any]:
    """Whose task ended as many minutes ago."""
    ended = NOW.subtract(minutes=ago)
    task = {
        "task_id": "dbt_daily",
        "state": "success",
        "start": ended.subtract(seconds=7).isoformat(),
        "end": ended.isoformat(),
    }
    return {"dag_id": "taxi_daily", "run_id": run_id, "run_type": "manual", **of_run, "tasks": [task]}


def runs(version: str) -> Iterator[Mapping[str, Any]]:
    start, end = SPRING
    yield run("scheduled__spring", 1, run_type="scheduled", logical_date=start, start=start, end=end)
    yield run("a_tick", 2, logical_date=end, start=end, end=end)
    if version == "3.3":
        yield run("a_person", 3, logical_date=None, run_after=end)
        yield run("a_key", 4, logical_date=None, run_after=end, partition_key="2024-03-10")
        yield run("an_asset", 5, run_type="asset_triggered", logical_date=None, run_after=end)


@pytest.fixture(scope="module", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedAirflow]:
    airflow = served(request.param, tmp_path_factory.mktemp("airflow"))
    airflow.write(list(runs(airflow.version)), {})
    with airflow.serving():
        yield airflow


@pytest.fixture
def observer(estate: Estate, server: ServedAirflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observer]:
    for name, value in (("URL", server.url), ("USER", "admin"), ("PASSWORD", "admin")):
        monkeypatch.setenv(f"AIRFLOW_{name}", value)
    monkeypatch.setattr("dagster_defs.components.sensors.airflow_sensor.pendulum.now", lambda *_: NOW)
    with instance_for_test() as instance:
        yield Observer(estate, instance)


def test_a_window_is_a_partition_and_nothing_else_is(observer: Observer, server: ServedAirflow) -> None:
    """A data interval materializes its partition in both. A run without one is observed without a partition, and says
    what it was about; nothing is told twice."""
    events = observer.until_quiet()

    assert materialized(events) == {(model, "2024-03-09") for model in MODELS}
    told = {
        str(event.metadata[tags.SHOWN_RUN_ID].value): event.description or ""
        for event in events
        if event.asset_key == AssetKey("daily_metrics") and isinstance(event, dg.AssetObservation)
    }
    said = {"a_tick": "an empty data interval at 2024-03-10 10:00 UTC"}
    if server.version == "3.3":
        said |= {
            "a_person": "a run without a data interval",
            "a_key": "of the partition key 2024-03-10",
            "an_asset": "assets started",
        }
    assert told.keys() == said.keys()
    assert all(reason in told[run_id] for run_id, reason in said.items())
    assert all(event.partition is None for event in events if isinstance(event, dg.AssetObservation))
    assert observer.skipped == []


def test_what_it_says_of_a_run(observer: Observer, server: ServedAirflow) -> None:
    """Its window, its times, and its page in the UI of that version."""
    [event] = [
        event
        for event in observer.tick()
        if isinstance(event, dg.AssetMaterialization) and event.asset_key == AssetKey("daily_metrics")
    ]
    link = str(event.metadata[tags.SHOWN_RUN].value)
    assert ("/runs/scheduled__spring/tasks/dbt_daily" in link) is (server.version == "3.3")
    assert event.metadata[tags.ENDED].value == NOW.subtract(minutes=1).timestamp()
    assert event.metadata[tags.WINDOW_START].value == 1709982000


def test_what_airflow_contains(observer: Observer, server: ServedAirflow, tmp_path: Path) -> None:
    """DAGs and tasks become assets, with their schedules, sources and classes."""
    component = AirflowEstate()
    file = tmp_path / "state"
    component.write_state_to_path(file)

    specs = {spec.key.path[-1]: spec for spec in component._asset_specs(read_estate(file), {})}

    assert {"windows", "by_hand", "many", "group.inner"} <= specs.keys()
    assert "0 6 * * *" in str(specs["windows"].metadata["Schedule"])
    assert "CronDataIntervalTimetable" in str(specs["windows"].metadata["Source Code"])
    assert specs["windows"].metadata["Link to DAG"].value == f"{server.url}/dags/windows"
    assert specs["many"].metadata["Operator"] == "BashOperator"
