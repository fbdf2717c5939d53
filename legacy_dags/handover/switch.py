"""The switch: an enrolled task stays the operator that it is, and asks when it executes whose its window is.

Its class becomes a subclass of the same name, made for this task when Airflow parses the file. So what Airflow shows
and stores of the task is unchanged, and a move is effective for the next try that starts, whatever was parsed before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.exceptions import AirflowException

from handover.dagster_try import DagsterTry
from handover.facts import facts
from handover.mapped import document, in_mapped_group, is_mapped, maps_over_xcom, readers_in_airflow
from handover.names import ENROLLED, job_name
from handover.owners import Answer, ask, ask_or_assume
from handover.shown import show_owner, shown_as_dagsters

WAY_BACK = "resume_from_dagster"
FAILED = "__fail__"  # where a deferred task comes back to whose trigger has failed, or whose time is up


@dataclass(frozen=True)
class Enrolment:
    """`readers`: of a mapped task, the tasks that read its XComs; each one that is not `enrolled` is Airflow's.
    `fails_open`: whether an unknown owner is Airflow."""

    conn_id: str
    deferrable: bool
    patience: float | None
    fails_open: bool = False
    readers: tuple[str, ...] = ()
    enrolled: frozenset[str] = frozenset()


class Switch:
    """Goes before the operator's own class in the order of its bases."""

    _enrolment: Enrolment
    _answer: Answer | None = None
    _dagster_try: DagsterTry | None = None

    def execute(self, context: Any, **kwargs: Any) -> Any:
        """`kwargs`: by which Airflow knows from 2.10 on that it calls `execute` itself."""
        if not self._is_dagsters():
            show_owner(context["task_instance"], dagsters=False)
            own: Any = super()
            return own.execute(context, **kwargs)
        self._refuse_readers()
        show_owner(context["task_instance"], dagsters=True)
        self._try().run(context)
        return None

    def resume_from_dagster(self, context: Any, event: dict[str, str]) -> None:
        """Continue after the trigger has seen Dagster's run end."""
        self._try().resume(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """A try that began as Airflow's own goes on as that, and one that waits for Dagster goes on waiting."""
        task = context["task_instance"]
        if next_method == FAILED and task.map_index in shown_as_dagsters(task):
            self._try().end_if_timed_out(next_method, next_kwargs, context)
        own: Any = super()
        return own.resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        if self._dagster_try is not None:
            self._dagster_try.end()
        elif self._answer is not None and not self._answer.proxied:
            own: Any = super()
            own.on_kill()

    def pre_execute(self, context: Any) -> None:
        """The hook that was passed to the task is called by either; what its class does is Airflow's."""
        if self._goes_on_in_dagster(context):
            facts.BaseOperator.pre_execute(self, context)
        else:
            own: Any = super()
            own.pre_execute(context)

    def post_execute(self, context: Any, result: Any = None) -> None:
        if self._goes_on_in_dagster(context):
            facts.BaseOperator.post_execute(self, context, result)
        else:
            own: Any = super()
            own.post_execute(context, result)

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        """Fields that only Airflow's own task needs may rest on what a task in Dagster has not left in Airflow."""
        task: Any = self
        own: Any = super()
        try:
            own._do_render_template_fields(parent, *args, **kwargs)
        except Exception as error:
            if parent is not self or not self._is_dagsters():
                raise
            task.log.info(
                "Not rendered, which Dagster's run does not need: %s: %s", type(error).__name__, error
            )

    def _goes_on_in_dagster(self, context: Any) -> bool:
        """A try that comes back from a deferral is whose it was."""
        task = context["task_instance"]
        waiting = facts.waits_for(task)
        if waiting == FAILED:
            self._answer = Answer(task.map_index in shown_as_dagsters(task))
        elif waiting:
            self._answer = Answer(waiting == WAY_BACK)
        return self._is_dagsters()

    def _is_dagsters(self) -> bool:
        """The answer to the try's first question holds for the whole try.

        Raises OwnerUnknown; with `when_unknown="legacy"` that is a warning, and the window is Airflow's.
        """
        if self._answer is None:
            enrolment = self._enrolment
            self._answer = ask_or_assume(
                self, conn_id=enrolment.conn_id, patience=enrolment.patience, fails_open=enrolment.fails_open
            )
        return bool(self._answer.proxied)

    def _ask(self, task_id: str) -> Answer:
        task: Any = self
        return ask(task.dag_id, task_id, self._enrolment.conn_id, self._enrolment.patience)

    def _try(self) -> DagsterTry:
        """With the position that this try obeyed, which Dagster's run compares with that of the mark on record."""
        if self._dagster_try is None:
            enrolment = self._enrolment
            self._dagster_try = DagsterTry(
                self,
                conn_id=enrolment.conn_id,
                deferrable=enrolment.deferrable,
                patience=enrolment.patience,
                way_back=WAY_BACK,
                position=self._answer.position if self._answer else "",
            )
        return self._dagster_try

    def _refuse_readers(self) -> None:
        """Raises AirflowException if a task that stays in Airflow would read the XComs of this mapped task."""
        task: Any = self
        enrolled = self._enrolment.enrolled
        left = [
            name for name in self._enrolment.readers if name not in enrolled or not self._ask(name).proxied
        ]
        if left:
            names = ", ".join(left)
            raise AirflowException(
                f"task {task.task_id!r} is mapped and Dagster's, and {names} would find its XComs empty. Hand over "
                f"{names} as well, or roll back {task.dag_id}.{task.task_id}"
            )


def enrol(task: Any, enrolled: frozenset[str], **settings: Any) -> str:
    """Put the switch into a task of a DAG; returns why the task cannot have one, or an empty string."""
    if in_mapped_group(task):
        return "is in a mapped task group"
    mapped = is_mapped(task)
    if mapped and facts.NO_SWITCH_IF_MAPPED:
        return str(facts.NO_SWITCH_IF_MAPPED)
    if mapped and maps_over_xcom(task):
        return "is mapped over an XCom, which decides before a task starts how many instances there are"
    if getattr(task, "inherits_from_empty_operator", False) and not _is_started(task):
        return "does nothing, so Airflow never starts it"
    readers = tuple(readers_in_airflow(task, ())) if mapped else ()
    own = task.operator_class if mapped else type(task)
    try:
        made = _with_switch(own, Enrolment(readers=readers, enrolled=enrolled, **settings))
        if mapped:
            task.operator_class = made
        else:
            task.__class__ = made
    except TypeError as error:
        return f"is of a class that takes no switch ({error})"
    job = job_name(task.dag_id, task.task_id)
    document(task, task.doc_md, f"Runs in Airflow, or in Dagster as job `{job}`: {ENROLLED}.")
    return ""


def _is_started(task: Any) -> bool:
    """Whether Airflow starts a task that does nothing, as its scheduler decides it."""
    return bool(task.on_execute_callback or task.on_success_callback or task.outlets)


def _with_switch(own: type, enrolment: Enrolment) -> type:
    names = {
        "__module__": own.__module__,
        "__qualname__": own.__qualname__,
        "__doc__": own.__doc__,
        "_enrolment": enrolment,
    }
    return type(own)(own.__name__, (Switch, own), names)
