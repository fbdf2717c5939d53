"""What a schedule waits for, beside what Airflow's sensors ask about by the inventory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dagster_defs.inventory.document import Dag, ExternalSensor, Schedule, Task
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.waits import Wait
from dagster_defs.lifecycle.waits_facet import with_waits

HOUR = timedelta(hours=1)
NIGHT, DAY = (datetime(2024, 3, day, tzinfo=timezone.utc) for day in (9, 10))
SENSOR = Task(
    "trips",
    "for_stock",
    ("airflow.sensors.external_task.ExternalTaskSensor",),
    {"external_dag_id": "stock", "external_task_ids": ["load"]},
    settings={
        "allowed_states": ["success"],
        "failed_states": ["failed"],
        "timeout": 600.0,
        "soft_fail": True,
    },
    waits=ExternalSensor(skipped_states=("skipped",), delta_seconds=3600.0),
)
WAIT = Wait(
    "for_stock",
    "stock",
    ("load",),
    HOUR,
    failed=frozenset({"failed"}),
    skipped=frozenset({"skipped"}),
    timeout=600.0,
    soft_fail=True,
)
ORDERING = Facet("ordering", Agreement.UNDETERMINED, "after a", "first", "nothing that it reads comes from a")
BY_FUNCTION = replace(
    SENSOR,
    waits=ExternalSensor(
        skipped_states=("skipped",), by_function=True, asks={DAY.isoformat(): (NIGHT.isoformat(),)}
    ),
)
WITH_DATES = replace(WAIT, delta=timedelta(), dates={DAY: (NIGHT,)})


def facet(task: Task, *waits: Wait) -> Facet:
    schedule = Schedule("0 6 * * *", "cron", "0 6 * * *", "UTC", True)
    return with_waits(ORDERING, Dag("trips", schedule, "UTC", (task,)), waits)


@pytest.mark.parametrize(
    ("task", "wait"),
    [
        (SENSOR, WAIT),
        (replace(SENSOR, templated={**SENSOR.templated, "external_dag_id": "{{ var.value.dag }}"}), WAIT),
        (replace(SENSOR, templated={"external_dag_id": "stock", "external_task_id": "load"}), WAIT),
        (replace(SENSOR, templated={"external_dag_id": "stock"}), replace(WAIT, tasks=())),
        (BY_FUNCTION, WITH_DATES),
        (BY_FUNCTION, replace(WITH_DATES, dates={NIGHT: (DAY,), DAY: (NIGHT, NIGHT)})),
    ],
)
def test_what_waits_alike_changes_nothing(task: Task, wait: Wait) -> None:
    """A template of Airflow's is not guessed, and dates count where both sides know them."""
    assert facet(task, wait) == ORDERING
    assert facet(task) == ORDERING


@pytest.mark.parametrize(
    ("task", "wait", "said"),
    [
        (SENSOR, replace(WAIT, sensor="gone"), "as the sensor gone does, which Airflow does not have"),
        (replace(SENSOR, waits=None), WAIT, "which Airflow does not have"),
        (SENSOR, replace(WAIT, dag="orders"), "waits for stock in Airflow, and for orders in the mirror"),
        (SENSOR, replace(WAIT, tasks=()), "tasks of the DAG in Airflow, and for the whole DAG in the mirror"),
        (SENSOR, replace(WAIT, delta=2 * HOUR), "1:00:00 earlier in Airflow, and 2:00:00 earlier in the mirror"),
        (SENSOR, WITH_DATES, "a function says which date for_stock asks about on one side alone"),
        (BY_FUNCTION, WAIT, "a function says which date for_stock asks about on one side alone"),
        (BY_FUNCTION, replace(WITH_DATES, dates={DAY: (DAY,)}), "for 2024-03-10 00:00 UTC the function of for_stock"),
        (SENSOR, replace(WAIT, allowed=frozenset({"success", "skipped"})), "allowed_states of for_stock is success in"),
        (SENSOR, replace(WAIT, failed=frozenset()), "failed_states of for_stock is failed in Airflow, and empty in"),
        (SENSOR, replace(WAIT, skipped=frozenset()), "skipped_states of for_stock is skipped"),
        (SENSOR, replace(WAIT, timeout=60.0), "timeout of for_stock is 600.0 in Airflow, and 60.0 in the mirror"),
        (SENSOR, replace(WAIT, soft_fail=False), "soft_fail of for_stock is True in Airflow, and False"),
    ],
)  # fmt: skip
def test_what_waits_otherwise_differs(task: Task, wait: Wait, said: str) -> None:
    """With what differs and what to do, also where the order alone was undetermined."""
    found = facet(task, wait)

    assert found.agrees is Agreement.DIFFERS
    assert said in found.detail
    assert "run parity scaffold on this inventory" in found.detail


def test_an_order_that_differs_says_so_itself() -> None:
    """The first difference is the one that is shown."""
    differs = replace(ORDERING, agrees=Agreement.DIFFERS)
    dag = Dag("trips", Schedule("0 6 * * *", "cron", "0 6 * * *", "UTC", True), "UTC", (SENSOR,))

    assert with_waits(differs, dag, [replace(WAIT, delta=2 * HOUR)]) == differs
