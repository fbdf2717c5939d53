"""What the exporter says about sensors that wait for another DAG, by real Airflows."""

from __future__ import annotations

import jsonschema  # type: ignore[import-untyped]  # a small part of it is used here
import pytest

from dagster_defs.inventory.document import ExternalSensor, Task, read_document
from tests.support.exporting import EXPORTER, PYTHONS, Exported, export, schema

pytestmark = pytest.mark.airflow

LIMIT = 2  # windows for which a function is called, in place of thousands
FEW = """
import sys
sys.path.insert(0, {folder!r})
import inventory
inventory.MAX_ASKED = {limit}
sys.exit(inventory.main())
"""
DAGS = """
from datetime import datetime, timedelta, timezone
from airflow import DAG
try:
    from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
except ImportError:
    from airflow.sensors.external_task import ExternalTaskSensor


def before_noon(logical_date, data_interval_end):
    noon = data_interval_end.replace(hour=12)
    return [noon - timedelta(days=1), logical_date]


START = datetime(2024, 3, 1, tzinfo=timezone.utc)
with DAG("often", schedule="0 */6 * * *", start_date=START, catchup=True):
    ExternalTaskSensor(task_id="by_function", external_dag_id="other", execution_date_fn=lambda date: date)
with DAG("waiting", schedule="0 6 * * *", start_date=START, catchup=True):
    ExternalTaskSensor(
        task_id="by_delta", external_dag_id="other", external_task_ids=["a", "b"], execution_delta=timedelta(hours=1),
        allowed_states=["success"], skipped_states=["skipped"], failed_states=["failed"], soft_fail=True, timeout=60,
    )
    ExternalTaskSensor(task_id="by_function", external_dag_id="other", execution_date_fn=before_noon)
    ExternalTaskSensor(
        task_id="by_history", external_dag_id="other",
        execution_date_fn=lambda date, prev_start_date_success: prev_start_date_success.start_of("day"),
    )
    ExternalTaskSensor(task_id="broken", external_dag_id="other", execution_date_fn=lambda date: date.nothing)
    ExternalTaskSensor(task_id="deferred", external_dag_id="other", deferrable=True, check_existence=True)
"""


@pytest.fixture(scope="module")
def exported(version: str, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp(version)
    (folder / "dags").mkdir()
    (folder / "dags" / "waiting.py").write_text(DAGS)
    out = folder / "inventory.json"
    # In Airflow 3 a cron without this setting has ticks instead of windows.
    interval = {"AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": "True"}
    few = folder / "few.py"
    few.write_text(FEW.format(folder=str(EXPORTER.parent), limit=LIMIT))
    days = ("2024-03-04", "2024-03-05")
    done = export(PYTHONS[version], folder / "dags", out, days, program=str(few), **interval)
    assert done.returncode == 0, done.stderr
    return Exported(out, done.stderr, version)


def test_sensors_are_told_as_airflow_evaluates_them(exported: Exported) -> None:
    """By delta, by a function that Airflow calls with each window's context, and why a function's answer is unknown."""
    jsonschema.validate(exported.document, schema())
    [_, dag] = read_document(exported.document, "inventory.json").dags
    tasks = {task.task_id: task for task in dag.tasks if isinstance(task, Task)}
    said = {name: task.waits or ExternalSensor() for name, task in tasks.items()}

    assert said["by_delta"] == ExternalSensor(("skipped",), 3600.0)
    assert tasks["by_delta"].settings["failed_states"] == ["failed"]
    assert said["by_function"].asks == {
        f"2024-03-0{day}T06:00:00+00:00": (f"2024-03-0{day}T12:00:00+00:00", f"2024-03-0{day}T06:00:00+00:00")
        for day in (4, 5)
    }
    assert "prev_start_date_success, which only a run knows" in said["by_history"].asks_unknown
    assert "its function fails: AttributeError" in said["broken"].asks_unknown
    assert said["deferred"].unlike == ("check_existence", "deferrable")


def test_of_too_many_windows_the_newest_count(exported: Exported) -> None:
    """The schedule continues behind them; the export says how many were left out."""
    [dag, _] = read_document(exported.document, "inventory.json").dags
    [task] = [task for task in dag.tasks if isinstance(task, Task)]
    asks = (task.waits or ExternalSensor()).asks

    assert sorted(asks) == [start for start, _ in dag.windows][-LIMIT:]
    [warning] = exported.document["dags"][0]["warnings"]
    assert warning == f"task by_function: its function was called for the newest {LIMIT} of its 8 windows"
