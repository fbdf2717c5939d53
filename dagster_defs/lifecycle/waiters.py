"""What in Airflow would miss a DAG that no longer runs there: sensors that wait for it, and DAGs that it starts."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_defs.inventory.document import Inventory, Task
from dagster_defs.inventory.external_sensors import tasks_of
from dagster_defs.inventory.triggers import addresses_in, triggers_of
from dagster_defs.lifecycle.units import Unit


@dataclass(frozen=True, slots=True)
class Fed:
    """A DAG that another one starts. `by`: the task, or the dataset, that does."""

    dag_id: str
    by: str

    def __str__(self) -> str:
        return f"{self.dag_id} (which {self.by} starts)"


Waiter = Unit | Fed


def waiters(inventory: Inventory) -> dict[str, list[Waiter]]:
    """By DAG, the sensors of other DAGs that wait for it, and the other DAGs that its tasks or its datasets start."""
    found: dict[str, dict[Waiter, None]] = {}
    tasks = [task for dag in inventory.dags for task in tasks_of(dag)]
    for task in tasks:
        if (other := _waits_for(task)) and other != task.dag_id:
            found.setdefault(other, {})[Unit(task.dag_id, task.task_id)] = None
    for target, starting in triggers_of(tasks).items():
        for task in starting:
            if target != task.dag_id:
                found.setdefault(task.dag_id, {})[Fed(target, f"{task.dag_id}.{task.task_id}")] = None
    for dag in inventory.dags:
        addresses = {*addresses_in(dag.schedule.condition)}
        for task in tasks:
            for outlet in task.outlets:
                if task.dag_id != dag.dag_id and outlet.uri in addresses:
                    found.setdefault(task.dag_id, {})[Fed(dag.dag_id, outlet.uri)] = None
    return {dag_id: list(each) for dag_id, each in found.items()}


def _waits_for(task: Task) -> str:
    name = "external_dag_id"
    return str(task.templated.get(name) or task.settings.get(name) or "")
