"""What a task that runs, or its trigger, learns about itself in Airflow 3, where it cannot read the metadata database.

It asks its supervisor, which asks Airflow's execution API. Some of these questions are Airflow's own business, and may
be gone in its next version: then the answer is that it is not known, which makes a try wait for an earlier run and
launch another, rather than follow it.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.sdk.definitions.xcom_arg import XComArg
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

__all__ = ["AirflowFailException", "AirflowSkipException", "BaseHook", "BaseOperator", "SkipMixin", "XComArg"]

# The supervisor kills a task five seconds after it has asked it to end.
KILL_SECONDS = 3.0
# A signal may come while the task itself waits for its supervisor's answer: the question could then never be sent.
ASK_SECONDS_AT_END = 2.0
ASK_SECONDS = 120.0  # the supervisor itself tries again for a minute where the API is slow or away
NO_SWITCH_IF_MAPPED = "is mapped, and in Airflow 3 a task does not learn what its other instances do"
OVER = ("success", "failed", "skipped", "upstream_failed", "removed")


class NotKnown(Exception):
    """Airflow does not say."""


UNREADABLE = NotKnown


def registered_dags() -> Iterable[tuple[Any, Any]]:
    """The DAGs that Airflow has seen while it parses, each with its module."""
    return list(DagContext.autoregistered_dags)


def waits_for(task: Any) -> str | None:
    """The method that a try which comes back from a deferral goes on with."""
    known = getattr(task, "_ti_context_from_server", None)
    method: str | None = getattr(known, "next_method", None)
    return method


def ends_of(context: Any, task_ids: Collection[str]) -> list[datetime] | None:
    """When these tasks of the run have ended, those that have; None if that cannot be learned."""
    try:
        newest = [_newest(context["dag_run"], task_id) for task_id in task_ids]
    except NotKnown:
        return None
    return [one.end_date for one in newest if one.end_date]


def identity_of_run(dag_run: Any) -> str:
    """A DAG run that was deleted and created again began at another time. So does one that was cleared, which is told
    apart all the same: its tries launch runs of their own."""
    began = dag_run.start_date
    return f"{began.isoformat() if began else ''}.{dag_run.clear_number or 0}"


def has_later_try(task: Any) -> bool:
    """Whether Airflow has gone on to another try; False if that cannot be learned before the task is killed."""
    try:
        run = task._ti_context_from_server.dag_run
        newest = _newest(run, task.task_id, task.map_index, seconds=ASK_SECONDS_AT_END)
    except (NotKnown, AttributeError):
        return False
    return bool(newest.try_number > task.try_number)


def is_over(task: Any) -> bool:
    """Whether the instance has ended, or is gone together with its DAG run. Raises NotKnown."""
    answer = _ask(
        "GetTaskStates", dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
    )  # fmt: skip
    states = getattr(answer, "task_states", None)
    if states is None:
        raise NotKnown(f"Airflow answers {answer!r}")
    found = [str(getattr(state, "value", state)) for of in states.values() for state in of.values()]
    return not found or found[0] in OVER


def instances_of(task: Any, dag_run: Any) -> list[Any]:
    raise NotKnown(NO_SWITCH_IF_MAPPED)


def begun(task: Any, instances: Collection[Any]) -> list[Any]:
    raise NotKnown(NO_SWITCH_IF_MAPPED)


def has_waiting_sibling(task: Any, compare: Callable[[Any, Any], Any] | None = None) -> bool:
    raise NotKnown(NO_SWITCH_IF_MAPPED)


def xcom_by_index(task: Any, key: str) -> dict[int, Any]:
    """What the instance itself has left under the key, by its map index."""
    value = task.xcom_pull(task_ids=task.task_id, key=key, map_indexes=task.map_index)
    return {} if value is None else {task.map_index: value}


def set_note(task: Any, text: str, ours: str) -> None:
    """A task cannot write notes in Airflow 3; the XCom and its button lead to the run."""


def variable(name: str) -> tuple[bool, str | None]:
    """Whether there is one, and its value. One of this environment would be as old as its process. Raises NotKnown.

    Airflow's server says "not found" also where its database has failed it. So that is believed only if the names of
    its Variables, which it reads from the table itself, lack this one.
    """
    if f"AIRFLOW_VAR_{name.upper()}" in os.environ:
        raise NotKnown(f"AIRFLOW_VAR_{name.upper()} is set, and hides the Variable {name} of Airflow's table")
    answer = _ask("GetVariable", key=name)
    if hasattr(answer, "value"):
        return True, answer.value
    if str(getattr(getattr(answer, "error", None), "value", "")) != "VARIABLE_NOT_FOUND":
        raise NotKnown(f"Airflow answers {answer!r}")
    listed = _ask("GetVariableKeys", prefix=name)
    names = getattr(listed, "keys", None)
    if not isinstance(names, list):
        raise NotKnown(f"Airflow answers {listed!r}")
    if name in names:
        raise NotKnown(f"the Variable {name} is there, and Airflow could not read it")
    return False, None


def skip(context: Any, task_id: str, tasks: Collection[Any]) -> None:
    """As a branch does: they are skipped again when they are cleared. Where the supervisor cannot be told, raises
    DownstreamTasksSkipped, as a branch does, and nothing is done after it."""
    skips = SkipMixin()
    skips.task_id = task_id  # for XCom, by which Airflow skips them again
    try:
        skips.skip(context["task_instance"], list(tasks))
    except DownstreamTasksSkipped as skipped:
        try:
            _ask("SkipDownstreamTasks", tasks=list(skipped.tasks))
        except NotKnown:
            raise skipped from None


def _newest(dag_run: Any, task_id: str, map_index: int = -1, *, seconds: float = ASK_SECONDS) -> Any:
    """The newest try of a task of this DAG run: of all that are dated before the next instant, the last one."""
    if dag_run.logical_date is None:
        raise NotKnown("the run has no logical date, by which Airflow could be asked")
    answer = _ask(
        "GetPreviousTI",
        dag_id=dag_run.dag_id,
        task_id=task_id,
        logical_date=dag_run.logical_date + timedelta(microseconds=1),
        map_index=map_index,
        seconds=seconds,
    )
    found = getattr(answer, "task_instance", None)
    if found is None or found.run_id != dag_run.run_id:
        raise NotKnown(f"Airflow answers {answer!r}")
    return found


def _ask(question: str, *, seconds: float = ASK_SECONDS, **about: Any) -> Any:
    """The supervisor's answer. Raises NotKnown if there is none, or no such question in this version."""
    answers: list[Any] = []

    def send() -> None:
        try:
            comms = importlib.import_module("airflow.sdk.execution_time.comms")
            runner = importlib.import_module("airflow.sdk.execution_time.task_runner")
            answers.append(runner.SUPERVISOR_COMMS.send(getattr(comms, question)(**about)))
        except Exception as error:
            # A refusal is an answer: it says what is not there.
            refusal = getattr(error, "error", None)
            answers.append(refusal or NotKnown(f"{question}: {type(error).__name__}: {error}"))

    asking = threading.Thread(target=send, daemon=True)
    asking.start()
    asking.join(seconds)
    if not answers:
        raise NotKnown(f"{question}: no answer in {seconds:.0f} s")
    if isinstance(answers[0], NotKnown):
        raise answers[0]
    return answers[0]
