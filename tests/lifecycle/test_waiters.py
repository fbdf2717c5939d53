"""What in Airflow would miss a DAG that is retired."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dagster_defs.inventory.document import Dag, Inventory, Outlet, Schedule, Task
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.histories import histories
from dagster_defs.lifecycle.starters import Starters, Trigger
from dagster_defs.lifecycle.waiters import waiters
from dagster_defs.usecases.move.facts import OnRecord
from tests.inventory.test_triggers import DAILY, LOAD, NONE, WORK, fed, trigger
from tests.support.owned import entries_to

ASSET = {"asset": {"uri": "s3://b", "name": "zones", "group": "asset"}}


def dag(*tasks: Task, schedule: Schedule = DAILY) -> Dag:
    return Dag(tasks[0].dag_id, schedule, "UTC", tasks)


def told(*dags: Dag) -> dict[str, list[str]]:
    return {name: [*map(str, each)] for name, each in waiters(Inventory("2.11.0", (), dags)).items()}


def test_sensors_and_what_is_started_are_named() -> None:
    """By the DAG that they would miss, with what starts them; a dataset of either version, whatever the condition."""
    writer = Task("up", "write", LOAD.classes, {}, outlets=(Outlet("", "s3://a"), Outlet("zones", "s3://b")))
    sensor = Task(
        "other", "wait", ("airflow.sensors.external_task.ExternalTaskSensor",), {"external_dag_id": "up"}
    )
    eater = Task("eater", "eat", LOAD.classes, {})
    condition = {"all": ["s3://elsewhere", {"any": ["s3://a", ASSET]}]}

    assert told(
        dag(LOAD, writer, trigger("load")), dag(sensor), dag(WORK, schedule=NONE),
        dag(eater, schedule=fed(condition)),
    ) == {
        "up": [
            "other.wait", "down (which up.start starts)", "eater (which s3://a starts)", "eater (which s3://b starts)"
        ]
    }  # fmt: skip


def test_a_dag_does_not_miss_itself() -> None:
    """It may write what starts it, and start itself."""
    again = Task("up", "load", LOAD.classes, {}, outlets=(Outlet("", "s3://a"),))

    assert told(dag(again, trigger("load", trigger_dag_id="up"), schedule=fed({"any": ["s3://a"]}))) == {}


@pytest.mark.parametrize(("stage", "after", "is_disposed"), [
    (Stage.RETIRED, ("load",), True), (Stage.CUT_OVER, ("load",), False), (Stage.RETIRED, (), False),
])  # fmt: skip
def test_a_task_is_replaced_once_what_it_starts_is_retired(
    stage: Stage, after: tuple[str, ...], is_disposed: bool
) -> None:
    """Until then the DAG is in Airflow, where nobody in Dagster starts it; and only if Dagster can."""
    unit, start = Unit("down", "work"), Unit("up", "start")
    mirror: Any = SimpleNamespace(waits=(), starters=Starters((Trigger(start, after),)))
    found = histories([*entries_to(unit, stage)])
    record = OnRecord(histories=found, marks=SimpleNamespace(), mirrors={unit: mirror})  # type: ignore[arg-type]

    assert (start in record.disposed) is is_disposed
