"""What a task that runs, or its trigger, learns about itself in Airflow 2: from the metadata database."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

from airflow.exceptions import AirflowFailException, AirflowSkipException
from airflow.hooks.base import BaseHook
from airflow.models import BaseOperator
from airflow.models.dag import DagContext
from airflow.models.skipmixin import SkipMixin
from airflow.models.taskinstance import TaskInstance
from airflow.models.variable import Variable
from airflow.models.xcom import XCom
from airflow.models.xcom_arg import XComArg
from airflow.utils.session import create_session
from airflow.utils.state import State, TaskInstanceState
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.exc import DetachedInstanceError

__all__ = ["AirflowFailException", "AirflowSkipException", "BaseHook", "BaseOperator", "SkipMixin", "XComArg"]

# Airflow kills a task 60 seconds after it has asked it to end ([core] killed_task_cleanup_time).
KILL_SECONDS = 20.0
WAITING = (TaskInstanceState.RUNNING, TaskInstanceState.DEFERRED)
NO_SWITCH_IF_MAPPED = ""
UNREADABLE = SQLAlchemyError  # what is raised by whatever cannot be read


def registered_dags() -> Iterable[tuple[Any, Any]]:
    """The DAGs that Airflow has seen while it parses, each with its module."""
    return list(DagContext.autoregistered_dags)


def waits_for(task: Any) -> str | None:
    """The method that a try which comes back from a deferral goes on with."""
    method: str | None = task.next_method
    return method


def ends_of(context: Any, task_ids: Collection[str]) -> list[datetime] | None:
    """When these tasks of the run have ended, those that have; None if that cannot be learned."""
    return [
        instance.end_date
        for instance in context["dag_run"].get_task_instances()
        if instance.task_id in task_ids and instance.end_date
    ]


def identity_of_run(dag_run: Any) -> str:
    """A DAG run that was deleted and created again has another id in the database."""
    return str(getattr(dag_run, "id", None))


def has_later_try(task: Any) -> bool:
    """Whether Airflow has gone on to another try; False if its database cannot be asked."""
    with contextlib.suppress(Exception), create_session() as session:
        try_number = session.query(TaskInstance.try_number).filter_by(
            dag_id=task.dag_id, run_id=task.run_id, task_id=task.task_id, map_index=task.map_index
        )
        return bool((try_number.scalar() or 0) > task.try_number)
    return False


def is_over(task: Any) -> bool:
    """Whether the instance has ended, or is gone together with its DAG run."""
    with create_session() as session:
        row = (
            session.query(TaskInstance.state)
            .filter_by(dag_id=task.dag_id, run_id=task.run_id, task_id=task.task_id, map_index=task.map_index)
            .one_or_none()
        )
    return row is None or row.state in State.finished


def instances_of(task: Any, dag_run: Any) -> list[Any]:
    """The instances of the task in its DAG run, itself among them."""
    found = dag_run.get_task_instances()
    return [one for one in found if one.task_id == task.task_id and one.state != TaskInstanceState.REMOVED]


def begun(task: Any, instances: Collection[Any]) -> list[Any]:
    """The other instances that are under way or have ended by work of their own."""
    return [
        one
        for one in instances
        if one.state in (*State.finished, *WAITING)
        and one.state != TaskInstanceState.UPSTREAM_FAILED
        and one.map_index != task.map_index
    ]


def has_waiting_sibling(task: Any, compare: Callable[[Any, Any], Any] = operator.ne) -> bool:
    """Whether another instance waits for the same run. `compare`: its index with the task's, as in `operator.lt`."""
    with create_session() as session:
        states = session.query(TaskInstance.state).filter(
            TaskInstance.dag_id == task.dag_id,
            TaskInstance.run_id == task.run_id,
            TaskInstance.task_id == task.task_id,
            compare(TaskInstance.map_index, task.map_index),
            TaskInstance.state.in_(WAITING),
        )
        return states.first() is not None


def xcom_by_index(task: Any, key: str) -> dict[int, Any]:
    """What the instances of the task have left under the key, by map index. Raises SQLAlchemyError."""
    with create_session() as session:
        rows = session.query(XCom.map_index, XCom.value).filter_by(
            dag_id=task.dag_id, run_id=task.run_id, task_id=task.task_id, key=key
        )
        return {row.map_index: XCom.deserialize_value(row) for row in rows}


def set_note(task: Any, text: str, ours: str) -> None:
    """A note that does not begin with `ours` is a person's, and stays.

    On the running instance itself where its note is loaded, because Airflow writes that back when the try ends. A
    worker's has not loaded it, so there it is written into the row.
    """

    def put(instance: Any) -> None:
        if not instance.note or instance.note.startswith(ours):
            instance.note = text or None

    try:
        put(task)
    except DetachedInstanceError:
        with create_session() as session:
            put(
                session.query(TaskInstance)
                .filter_by(
                    dag_id=task.dag_id, run_id=task.run_id, task_id=task.task_id, map_index=task.map_index
                )
                .one()
            )


def variable(name: str) -> tuple[bool, str | None]:
    """Whether there is one, and its value, None if it cannot be decrypted.

    From the table itself: `Variable.get` takes a database that is away for a Variable that is not there, and one of
    the environment goes before the table.
    """
    with create_session() as session:
        row = session.query(Variable).filter(Variable.key == name).one_or_none()
        return row is not None, None if row is None else row.get_val()


def skip(context: Any, task_id: str, tasks: Collection[Any]) -> None:
    """As a branch does: they are skipped again when they are cleared."""
    skips = SkipMixin()
    skips.task_id = task_id  # for XCom, by which Airflow skips them again
    run = context["dag_run"]
    skips.skip(run, run.execution_date, list(tasks))
