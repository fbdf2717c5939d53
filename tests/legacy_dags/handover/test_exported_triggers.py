"""Who starts a DAG without a clock, from DAG files by real Airflows to the mirrors' `triggered_by`."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]  # a small part of it is used here
import pytest

from dagster_defs.inventory.document import Task, read_document
from dagster_defs.inventory.drafts import DagDraft, Draft
from dagster_defs.inventory.triggers import with_triggers
from tests.support.exporting import PYTHONS, Exported, export, schema

pytestmark = pytest.mark.airflow

DAGS = """
from datetime import datetime, timezone
from airflow import DAG
try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
    from airflow.sdk import Asset as Dataset
except ImportError:
    from airflow.datasets import Dataset
    from airflow.operators.bash import BashOperator
    from airflow.operators.trigger_dagrun import TriggerDagRunOperator

START = datetime(2024, 3, 1, tzinfo=timezone.utc)
A, B, C = (Dataset(f"s3://lake/{name}") for name in "abc")


class Own(TriggerDagRunOperator):
    pass


with DAG("up", schedule="0 6 * * *", start_date=START, catchup=True):
    load = BashOperator(task_id="load", bash_command="true", outlets=[A, B])
    again = TriggerDagRunOperator(
        task_id="again", trigger_dag_id="down", logical_date="{{ data_interval_start }}", reset_dag_run=True,
        wait_for_completion=True,
    )
    load >> again
    load >> TriggerDagRunOperator(task_id="start", trigger_dag_id="down", conf={"day": "{{ ds }}", "n": 1})
    load >> TriggerDagRunOperator(task_id="named", trigger_dag_id="down", trigger_run_id="x__{{ ds }}")
    load >> TriggerDagRunOperator(task_id="hidden", trigger_dag_id="{{ 'down' }}")
    load >> Own(task_id="own", trigger_dag_id="down")
with DAG("more", schedule="0 7 * * *", start_date=START, catchup=True):
    BashOperator(task_id="load", bash_command="true", outlets=[C])
with DAG("down", schedule=None, start_date=START):
    BashOperator(task_id="work", bash_command="true")
with DAG("nested", schedule=(A & (B | C)), start_date=START):
    BashOperator(task_id="work", bash_command="true")
with DAG("listed", schedule=[A, B], start_date=START):
    BashOperator(task_id="work", bash_command="true")
"""


@pytest.fixture(scope="module")
def exported(version: str, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp(version)
    (folder / "dags").mkdir()
    (folder / "dags" / "starting.py").write_text(DAGS)
    out = folder / "inventory.json"
    interval = {"AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": "True"}
    done = export(PYTHONS[version], folder / "dags", out, ("2024-03-04", "2024-03-05"), **interval)
    assert done.returncode == 0, done.stderr
    return Exported(out, done.stderr, version)


def triggered_by(exported: Exported) -> dict[str, dict[str, Any]]:
    """By DAG, if each shell command had a mirror."""
    inventory = read_document(exported.document, "inventory.json")
    drafts = []
    for dag in inventory.dags:
        own = tuple(
            Draft(
                f"{dag.dag_id}.{task.task_id}",
                None,
                operator={"schedule": {}} if task.classes[0].endswith("BashOperator") else None,
            )
            for task in dag.tasks
            if isinstance(task, Task)
        )
        drafts.append(DagDraft(dag, own))
    found = with_triggers(drafts, airflow_version=inventory.airflow_version)
    schedules = {
        draft.dag.dag_id: each.operator["schedule"]
        for draft in found
        for each in draft.drafts
        if each.operator is not None
    }
    return {dag_id: dict(each.get("triggered_by", {})) for dag_id, each in schedules.items()}


def test_tasks_are_told_as_their_dag_file_has_them(exported: Exported) -> None:
    """What Dagster can do in a task's place has `after`; an argument's default is none that was given."""
    jsonschema.validate(exported.document, schema())
    tasks = {each["task"]: each for each in triggered_by(exported)["down"]["tasks"]}

    assert tasks == {
        "up.again": {
            "task": "up.again", "after": ["load"], "logical_date": "{{ data_interval_start }}", "reset": True
        },
        "up.named": {"task": "up.named"},
        "up.own": {"task": "up.own"},
        "up.start": {"task": "up.start", "after": ["load"], "conf": {"day": "{{ ds }}", "n": 1}},
    }  # fmt: skip


def test_conditions_are_told_with_who_writes_them(exported: Exported) -> None:
    """The same in both versions, except that a run of assets has no dates in Airflow 3."""
    found = triggered_by(exported)
    of_version = {"dates": False} if exported.version == "airflow3" else {}

    assert found["nested"] == {
        "datasets": {"all": ["s3://lake/a", {"any": ["s3://lake/b", "s3://lake/c"]}]},
        "written_by": {"s3://lake/a": ["up.load"], "s3://lake/b": ["up.load"], "s3://lake/c": ["more.load"]},
        **of_version,
    }
    assert found["listed"]["datasets"] == {"all": ["s3://lake/a", "s3://lake/b"]}
    assert (found["up"], found["more"]) == ({}, {})
