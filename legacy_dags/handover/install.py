"""Replaces tasks by proxies, without ever breaking the DAG file that asks for it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow import DAG
from airflow.configuration import conf
from airflow.exceptions import AirflowException

from handover.facts import IS_AIRFLOW_3, facts
from handover.mapped import document, in_mapped_group, is_mapped, readers_in_airflow, stand_in_for_mapped
from handover.marks import Marks, read_marks
from handover.names import job_name
from handover.owners import FILE, OF_DAGSTER, OwnerUnknown, ask_or_assume, channel, marks_of
from handover.switch import enrol

logger = logging.getLogger(__name__)

ALL = "all"  # every task that does work
WHEN_UNKNOWN = (FAIL, LEGACY) = ("fail", "legacy")
BROKEN_TAG = "parity: proxied_state broken"
ENROLLED_TAG = "parity: enrolled"
IN_GROUP = "is in a mapped task group, whose instances follow each other index by index: expand it by itself"

# Set explicitly below, or meaningless for another operator. `pre_execute` and `post_execute` are methods of a task, not
# the hooks that were passed to it.
NOT_COPIED = ("self", "kwargs", "dag", "task_id", "task_group", "default_args", "doc_md", "params", "pre_execute",
              "post_execute", "resources", "weight_rule")  # fmt: skip
TAKEN_OVER = ("params", "resources", "weight_rule", "_pre_execute_hook", "_post_execute_hook", "upstream_task_ids",
              "downstream_task_ids", "_is_setup", "_is_teardown", "_on_failure_fail_dagrun")  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a DAG file requests for its proxies; see `install_proxies`."""

    conn_id: str
    deferrable: bool | Collection[str] | None = None
    patience: float | None = None
    enrolled: str | Collection[str] | None = None
    when_unknown: str = FAIL

    @property
    def fails_open(self) -> bool:
        """Whether an unknown owner is Airflow."""
        return self.when_unknown == LEGACY

    def of(self, task_id: str) -> dict[str, Any]:
        wanted = self.deferrable
        if wanted is None:
            wanted = conf.getboolean("operators", "default_deferrable", fallback=False)
        if not isinstance(wanted, bool):
            wanted = task_id in wanted
        return {"conn_id": self.conn_id, "deferrable": wanted, "patience": self.patience}


def install(dag_file_globals: Mapping[str, Any], folder: Path, proxy: type, settings: Settings) -> None:
    """Handles each DAG separately; what cannot be honoured is left to Airflow, with a warning and a tag on its DAG."""
    for dag in _dags(dag_file_globals):
        problems: list[str] = []
        try:
            _install(dag, folder, proxy, settings, problems)
        # Whatever this is, it must not remove this file's DAGs from Airflow.
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}")
        for problem in problems:
            logger.warning("proxied_state of DAG %s: %s", dag.dag_id, problem)
        if problems:
            _tag(dag, BROKEN_TAG)


def _install(dag: DAG, folder: Path, proxy: type, settings: Settings, problems: list[str]) -> None:
    marks = _marks(dag, folder, settings)
    problems += marks.problems
    working = [task_id for task_id, task in dag.task_dict.items() if not _steers(task)]
    asked = working if marks.whole else [task_id for task_id, proxied in marks.tasks.items() if proxied]
    problems += _unknown(dag, marks.tasks)
    if settings.enrolled is not None or IS_AIRFLOW_3 or channel() == OF_DAGSTER:
        asked = _enrol(dag, settings, working, asked, problems)
    if IS_AIRFLOW_3:
        # Whatever stands in for a task when the file is parsed, an older version of its bundle may run another one.
        problems += [f"task {task_id!r} {_refused_in_airflow3(dag.task_dict[task_id])}" for task_id in asked]
        return
    positions = {task_id: str(position) for task_id, position in marks.positions.items()}

    def build(task: Any) -> Any:
        position = positions.get(task.task_id, "")
        return stand_in(task, proxy, **settings.of(task.task_id), position=position)

    made, reasons = _stand_ins(dag, asked, build)
    problems += [f"task {task_id!r} {reason}" for task_id, reason in reasons.items()]
    installed = 0
    for task_id, proxied in made.items():
        try:
            _replace(dag, dag.task_dict[task_id], proxied)
            installed += 1
        except Exception as error:
            problems.append(f"task {task_id!r} cannot be replaced: {type(error).__name__}: {error}")
    if installed:
        # Airlift's own wording, so that a filter on its tag still works.
        _tag(dag, f"{installed} {'Task' if installed == 1 else 'Tasks'} Marked as Proxied to Dagster")


def _marks(dag: DAG, folder: Path, settings: Settings) -> Marks:
    """As they are when Airflow parses the file. They decide about tasks without a switch only. A folder that is not
    there has no marks for a DAG without a switch. Dagster is not asked while a file is parsed."""
    if settings.enrolled is None and channel() == FILE:
        return read_marks(folder, dag.dag_id)
    if channel() == OF_DAGSTER:
        return Marks()
    try:
        return marks_of(dag.dag_id)
    except OwnerUnknown as error:
        return Marks(broken=str(error))


def _unknown(dag: DAG, task_ids: Iterable[str]) -> list[str]:
    return [
        f"there is no task {task_id!r}; its tasks are {sorted(dag.task_dict)}"
        for task_id in task_ids
        if task_id not in dag.task_dict
    ]


def _enrol(
    dag: DAG, settings: Settings, working: Sequence[str], marked: Collection[str], problems: list[str]
) -> list[str]:
    """Put switches into the enrolled tasks; returns the marked ones that take none, for which a proxy stands in."""
    asked = settings.enrolled
    if asked is None and channel() == OF_DAGSTER:
        problems.append("PARITY_CHANNEL is 'dagster', which enrolled tasks ask only: say which, `enrolled=…`")
    if isinstance(asked, str) and asked != ALL:
        problems.append(f"`enrolled` is {asked!r}; it takes {ALL!r} or a list of task ids")
        asked = [asked]
    if settings.when_unknown not in WHEN_UNKNOWN:
        problems.append(f"`when_unknown` is {settings.when_unknown!r}; it takes {' or '.join(WHEN_UNKNOWN)}")
    wanted = working if asked == ALL else list(marked if asked is None else asked)
    problems += _unknown(dag, wanted)
    problems += [
        f"task {task_id!r} is marked as Dagster's and not enrolled: it runs in Airflow"
        for task_id in marked
        if task_id in dag.task_dict and task_id not in wanted
    ]
    left, enrolled = [], 0
    for task_id in filter(dag.has_task, wanted):
        try:
            reason = enrol(
                dag.task_dict[task_id],
                frozenset(wanted),
                fails_open=settings.fails_open,
                **settings.of(task_id),
            )
        except Exception as error:  # one task's fault is one task's
            reason = f"cannot have one: {type(error).__name__}: {error}"
        enrolled += not reason
        if reason:
            logger.info("task %s of DAG %s has no switch: it %s", task_id, dag.dag_id, reason)
        if reason and task_id in marked:
            left.append(task_id)
        elif reason and channel() == OF_DAGSTER:
            _refuse_if_dagsters(dag.task_dict[task_id], reason, settings)
    if enrolled or asked is not None:
        _tag(dag, ENROLLED_TAG if asked == ALL else f"parity: {enrolled} enrolled")
    return left


def _stand_ins(
    dag: DAG, asked: Collection[str], build: Callable[[Any], Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The proxies of the tasks that can have one, and for each of the others what becomes of it, with the reason.

    A task that stays in Airflow may read the XComs of one that was to have a proxy, so nothing is replaced before all
    of this is known.
    """
    left = {task_id: dag.task_dict[task_id] for task_id in asked if task_id in dag.task_dict}
    made: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    while True:
        refused: dict[str, str] = {}
        for task_id, task in left.items():
            if in_mapped_group(task):
                refused[task_id] = f"{IN_GROUP}: it runs in Airflow as before"
            elif is_mapped(task) and (readers := readers_in_airflow(task, left)):
                refused[task_id] = _close(task, readers)
            elif task_id not in made:
                try:
                    made[task_id] = build(task)
                except Exception as error:
                    refused[task_id] = (
                        f"cannot be replaced: {type(error).__name__}: {error}: it runs in Airflow as before"
                    )
        if not refused:
            return {task_id: made[task_id] for task_id in left}, reasons
        reasons |= refused
        left = {task_id: task for task_id, task in left.items() if task_id not in refused}


def _close(task: Any, readers: Collection[str]) -> str:
    """Make a mapped task fail whose XComs these tasks read in Airflow; returns why.

    An empty sequence is a valid XCom of a mapped task, so its readers would succeed on nothing. Airflow must not run
    the task itself either: the mark says that it is Dagster's, and it may have been until a reader was rolled back.
    """
    names = ", ".join(readers)
    reason = (
        f"is mapped, and {names} would find its XComs empty: it is marked as Dagster's, so it fails in Airflow. "
        f"Hand over {names} as well, or roll back {task.dag_id}.{task.task_id}"
    )

    _refuse(task, reason)
    return reason


def _refused_in_airflow3(task: Any) -> str:
    """Make a task fail that is marked as Dagster's and takes no switch; returns why."""
    reason = (
        "is marked as Dagster's and takes no switch, without which nothing is handed over in Airflow 3: it fails in "
        f"Airflow. Roll it back: parity rollback {task.dag_id}.{task.task_id}"
    )
    _refuse(task, reason)
    return reason


def _refuse_if_dagsters(task: Any, reason: str, settings: Settings) -> None:
    """Make a task without a switch ask before it runs, and fail if it is Dagster's."""
    own = task.partial_kwargs.get("pre_execute") if is_mapped(task) else task._pre_execute_hook

    def ask_first(context: Any) -> None:
        answer = ask_or_assume(
            task, conn_id=settings.conn_id, patience=settings.patience, fails_open=settings.fails_open
        )
        if answer.proxied:
            raise AirflowException(
                f"task {task.task_id!r} is marked as Dagster's and cannot be handed over with PARITY_CHANNEL=dagster: "
                f"it {reason}. Roll it back: parity rollback {task.dag_id}.{task.task_id}"
            )
        if own is not None:
            own(context)

    _set_pre_execute(task, ask_first)


def _refuse(task: Any, reason: str) -> None:
    def refuse(context: Any) -> None:
        raise AirflowException(f"task {task.task_id!r} {reason}")

    _set_pre_execute(task, refuse)


def _set_pre_execute(task: Any, hook: Callable[[Any], None]) -> None:
    if is_mapped(task):
        task.partial_kwargs["pre_execute"] = hook
    else:
        task._pre_execute_hook = hook


def stand_in(task: Any, proxy: type, **settings: Any) -> Any:
    """A proxy with everything that Airflow itself reads from the task, not in any DAG or group yet."""
    if is_mapped(task):
        made = stand_in_for_mapped(task, proxy, **settings)
    else:
        known = inspect.signature(facts.BaseOperator.__init__).parameters
        copied = {
            name: value
            for name in known
            if name not in NOT_COPIED and (value := getattr(task, name, None)) is not None
        }
        made = proxy(task_id=task.task_id, **copied, **settings)
        for name in TAKEN_OVER:
            if hasattr(task, name):
                setattr(made, name, getattr(task, name))
    document(made, task.doc_md, f"Runs in Dagster as job `{job_name(task.dag_id, task.task_id)}`.")
    return made


def _replace(dag: DAG, task: Any, made: Any) -> None:
    """Keeps the task's position in the DAG and group, and the id that the group has given it."""
    group = task.task_group
    dag.task_dict[task.task_id] = made
    if group is not None:
        group.children[task.task_id] = made
        made.task_group = group
    made.dag = dag


def _steers(task: Any) -> bool:
    """Whether a task only controls which others run and when: a DAG that is proxied as a whole keeps such tasks."""
    return (
        getattr(task, "inherits_from_empty_operator", False)
        or isinstance(task, facts.SkipMixin)  # branches, short circuits, sensors
        or task.is_setup
        or task.is_teardown
        or task.operator_name in ("TriggerDagRunOperator", "LatestOnlyOperator")
    )


def _dags(dag_file_globals: Mapping[str, Any]) -> Iterator[DAG]:
    """The DAGs with a name in the file, and those that Airflow has registered without one."""
    dags = {id(value): value for value in dag_file_globals.values() if isinstance(value, DAG)}
    for dag, module in facts.registered_dags():
        if module.__name__ == dag_file_globals.get("__name__"):
            dags[id(dag)] = dag
    if not dags:
        logger.warning(
            "install_proxies found no DAG in %s: is it the file's last line?",
            dag_file_globals.get("__file__"),
        )
    yield from dags.values()


def _tag(dag: DAG, tag: str) -> None:
    dag.tags = [*dag.tags, tag]
