"""Whether what a mirror's schedule waits for is what Airflow's sensors ask about.

A sensor of Airflow's that `waits_for` does not name is the affair of the gate `whole_dag`: it has a mirror of its own,
or the DAG cannot be retired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.external_sensors import tasks_of
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.waits import WEEK, Wait
from dagster_defs.older_python import datetime_of


def with_waits(ordering: Facet, dag: Dag, waits: Sequence[Wait]) -> Facet:
    """The facet of the order, which differs if the schedule would wait for something else than Airflow does."""
    if ordering.agrees is Agreement.DIFFERS or not (different := next(_different(dag, waits), "")):
        return ordering
    detail = f"{different}: run parity scaffold on this inventory, or correct `waits_for`"
    return replace(ordering, agrees=Agreement.DIFFERS, detail=detail)


def _different(dag: Dag, waits: Sequence[Wait]) -> Iterator[str]:
    sensors = {task.task_id: task for task in tasks_of(dag)}
    for wait in waits:
        if (task := sensors.get(wait.sensor)) is None or task.waits is None:
            yield f"the mirror waits as the sensor {wait.sensor} does, which Airflow does not have"
        else:
            yield from _of_sensor(task, wait)


def _of_sensor(task: Task, wait: Wait) -> Iterator[str]:
    name, own = task.task_id, task.waits
    assert own is not None  # noqa: S101 - asked before
    dag_id = task.templated.get("external_dag_id") or task.settings.get("external_dag_id")
    if isinstance(dag_id, str) and "{" not in dag_id and dag_id != wait.dag:
        yield f"{name} waits for {dag_id} in Airflow, and for {wait.dag} in the mirror"
    of_tasks = any(
        task.templated.get(each) or task.settings.get(each)
        for each in ("external_task_id", "external_task_ids", "external_task_group_id")
    )
    if of_tasks is not bool(wait.tasks):
        what = ("tasks of the DAG", "the whole DAG")
        yield f"{name} waits for {what[not of_tasks]} in Airflow, and for {what[of_tasks]} in the mirror"
    delta = timedelta(seconds=own.delta_seconds or 0)
    if own.by_function is not (wait.dates is not None):
        yield f"a function says which date {name} asks about on one side alone"
    elif wait.dates is None and delta != wait.delta:
        yield f"{name} asks about {delta} earlier in Airflow, and {wait.delta} earlier in the mirror"
    elif wait.dates is not None:
        yield from _of_dates(
            name, {_instant(at): frozenset(map(_instant, of)) for at, of in own.asks.items()}, wait
        )
    for said, theirs, ours in (
        ("allowed_states", _states(task, "allowed_states") or {"success"}, wait.allowed),
        ("failed_states", _states(task, "failed_states"), wait.failed),
        ("skipped_states", frozenset(own.skipped_states), wait.skipped),
        ("timeout", task.settings.get("timeout", WEEK), wait.timeout),
        ("soft_fail", bool(task.settings.get("soft_fail")), wait.soft_fail),
    ):
        if theirs != ours:
            yield f"{said} of {name} is {_said(theirs)} in Airflow, and {_said(ours)} in the mirror"


def _of_dates(name: str, asks: dict[datetime, frozenset[datetime]], wait: Wait) -> Iterator[str]:
    ours = {at: frozenset(dates) for at, dates in (wait.dates or {}).items()}
    for at, dates in sorted(asks.items()):
        if at in ours and ours[at] != dates:
            yield f"for {at:%Y-%m-%d %H:%M} UTC the function of {name} returns another date now"
            return


def _instant(text: str) -> datetime:
    return datetime_of(text).astimezone(timezone.utc)


def _states(task: Task, name: str) -> frozenset[str]:
    return frozenset(map(str, task.settings.get(name) or ()))


def _said(value: object) -> str:
    return ", ".join(sorted(value)) or "empty" if isinstance(value, set | frozenset) else str(value)
