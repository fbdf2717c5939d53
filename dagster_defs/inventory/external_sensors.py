"""Sensors that wait for another DAG, as `waits_for` of the schedules of the DAG that they hold up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dagster_defs.graph import reachable
from dagster_defs.inventory.document import Dag, ExternalSensor, Task
from dagster_defs.inventory.drafts import DagDraft, Draft
from dagster_defs.inventory.legacy_task import OF_AIRFLOW, marker
from dagster_defs.inventory.operator_kinds import DOES_NOTHING
from dagster_defs.inventory.schedules import event_of

__all__ = ["ASKED", "does_nothing", "kinds_of", "scheduled", "tasks_of", "telling", "with_waits"]

ASKED = "waits.json"  # beside the mirrors: what a sensor's function returns for each window
_KIND = "ExternalTaskSensor"
_WEEK, _DELAY = 604_800, 300  # seconds: Airflow's defaults of `timeout` and `retry_delay`
#: With these rules a task ends as badly as what is above it.
_PASSES_ON = frozenset({"all_success", "none_failed", "none_failed_min_one_success"})
_FAILURES = frozenset({"failed", "upstream_failed"})


class _NoWait(Exception):
    """Why a sensor cannot be a wait of the schedule, in words."""


def with_waits(drafts: Sequence[DagDraft], *, airflow_version: str = "") -> list[DagDraft]:
    """The drafts with `waits_for` in the schedules of DAGs that wait. A sensor that is said there needs no mirror; one
    that cannot be said there keeps the reason as a note."""
    estate = _Estate({draft.dag.dag_id: draft for draft in drafts}, airflow_version.startswith("2."))
    return [_with_waits(draft, estate) for draft in drafts]


def _with_waits(draft: DagDraft, estate: _Estate) -> DagDraft:
    waits: list[Mapping[str, Any]] = []
    asked: dict[str, Mapping[str, Sequence[str]]] = {}
    refused: dict[str, str] = {}
    sensors = {task.task_id: task for task in tasks_of(draft.dag) if _KIND in kinds_of(task)}
    for name, task in sorted(sensors.items()):
        try:
            waits.append(_Reading(draft, task, estate).wait(sensors))
        except _NoWait as why:
            refused[name] = str(why)
            continue
        if task.waits is not None and task.waits.by_function:
            asked[name] = task.waits.asks
    # A sensor that waits for one that is refused would begin too early.
    while behind := [wait for wait in waits if refused.keys() & {*wait.get("after", ())}]:
        waits = [wait for wait in waits if wait not in behind]
        for wait in behind:
            refused[wait["sensor"]] = f"it comes after {wait['after'][0]}, which cannot be one either"
            asked.pop(wait["sensor"], None)
    if not sensors:
        return draft
    said = {f"{draft.dag.dag_id}.{wait['sensor']}": wait for wait in waits}
    notes = {f"{draft.dag.dag_id}.{name}": why for name, why in refused.items()}
    drafts = tuple(
        _drafted(each, waits, said.get(each.unit), notes.get(each.unit, "")) for each in draft.drafts
    )
    return replace(draft, drafts=drafts, asked=asked)


def _drafted(
    draft: Draft, waits: Sequence[Mapping[str, Any]], own: Mapping[str, Any] | None, refused: str
) -> Draft:
    if own is not None:
        note = f"{draft.unit} needs no mirror: the schedule waits instead (waits_for, {_KIND})."
        return replace(
            draft, attributes=None, operator=None, notes=(note,), gaps=(), unseen=False, needless=True
        )
    if refused:
        return replace(draft, notes=(*draft.notes, f"{draft.unit} is no wait of the schedule: {refused}"))
    return draft if not waits else scheduled(draft, {"waits_for": [*map(dict, waits)]})


def scheduled(draft: Draft, more: Mapping[str, Any]) -> Draft:
    """The draft with more in its `schedule`, if it has one."""

    def told(attributes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if attributes is None:
            return None
        return {**attributes, "schedule": {**attributes["schedule"], **more}}

    return replace(draft, attributes=told(draft.attributes), operator=told(draft.operator))


@dataclass(frozen=True)
class _Estate:
    """All DAGs of the inventory. `airflow_2`: whether they are of Airflow 2."""

    drafts: Mapping[str, DagDraft]
    airflow_2: bool

    def dag(self, dag_id: str) -> Dag:
        if dag_id not in self.drafts:
            raise _NoWait(f"the inventory has no DAG {dag_id}")
        dag = self.drafts[dag_id].dag
        if event_of(dag):
            raise _NoWait(f"{dag_id} has no clock, so that no window of it has a run at a time that is known")
        return dag

    def telling(self, dag_id: str) -> Collection[str]:
        return telling(self.drafts[dag_id])


@dataclass(frozen=True)
class _Reading:
    draft: DagDraft
    task: Task
    estate: _Estate

    def wait(self, sensors: Collection[str]) -> Mapping[str, Any]:
        """Raises _NoWait."""
        task, dag = self.task, self.draft.dag
        own = self._own()
        other = self.estate.dag(self._named("external_dag_id"))
        allowed = self._states("allowed_states") or ["success"]
        failed, skipped = self._states("failed_states"), list(own.skipped_states)
        wait: dict[str, Any] = {"sensor": task.task_id, "dag": other.dag_id}
        if tasks := self._awaited(other, own, allowed, {*failed, *skipped}):
            wait["tasks"] = tasks
        if own.by_function:
            wait["dates"] = ASKED
        elif own.delta_seconds:
            wait["delta"] = own.delta_seconds
        wait |= {"allowed": allowed} if allowed != ["success"] else {}
        wait |= {"failed": failed} if failed else {}
        wait |= {"skipped": skipped} if skipped else {}
        timeout = task.settings.get("timeout", _WEEK)
        wait |= {"timeout": timeout} if timeout != _WEEK else {}
        wait |= {"soft_fail": True} if task.settings.get("soft_fail") else {}
        wait |= {"mode": "reschedule"} if task.settings.get("mode") == "reschedule" else {}
        if task.retries and failed:
            wait["retries"] = task.retries
            wait |= {"retry_delay": task.retry_delay} if task.retry_delay != _DELAY else {}
        if after := self._place(dag, sensors):
            wait["after"] = after
        return wait

    def _own(self) -> ExternalSensor:
        task, own = self.task, self.task.waits
        if not task.classes[0].startswith(OF_AIRFLOW):
            raise _NoWait(f"{task.classes[0]} is a class of the team's, which may ask for something else")
        if task.mapped or task.in_mapped_group:
            raise _NoWait("it is mapped: how often it waits is known only in a run")
        if own is None:
            raise _NoWait("the inventory does not say what it asks about: export it again")
        # `check_existence` asks for a DAG and tasks without which no wait is written.
        without = {"check_existence", *(() if task.retries else ("retry_exponential_backoff",))}
        unlike = [name for name in own.unlike if name not in without]
        if unlike:
            raise _NoWait(f"with {', '.join(unlike)} it does something else than to ask for states")
        if own.asks_unknown:
            raise _NoWait(own.asks_unknown)
        if own.by_function and not own.asks:
            raise _NoWait(
                "its function was not asked, as the inventory has no window of it: export other days"
            )
        if event_of(self.draft.dag):
            raise _NoWait("its own DAG has no clock")
        return own

    def _given(self, name: str) -> Any:
        value = self.task.templated.get(name) or self.task.settings.get(name)
        texts = [value] if isinstance(value, str) else value or ()
        if not all(isinstance(text, str) and "{{" not in text and "{%" not in text for text in texts):
            raise _NoWait(f"{name} is a template, or what another task returns")
        return value

    def _named(self, name: str) -> str:
        return str(self._given(name) or "")

    def _states(self, name: str) -> list[str]:
        return sorted(map(str, self.task.settings.get(name) or ()))

    def _awaited(self, other: Dag, own: ExternalSensor, allowed: list[str], bad: set[str]) -> list[str]:
        """The upstream tasks, each with a mirror; empty for the whole DAG. A task that does nothing stands for what is
        above it."""
        ids = self._given("external_task_ids")
        names = [*ids] if ids else [name] if (name := self._named("external_task_id")) else []
        known = {task.task_id: task for task in tasks_of(other)}
        if len(set(names)) < len(names):
            raise _NoWait("it names a task twice, which Airflow refuses in each run")
        if group := self._named("external_task_group_id"):
            names = [each.task_id for each in known.values() if f"{each.group}.".startswith(f"{group}.")]
            if own.by_function or (bad and not self.estate.airflow_2) or not names:
                raise _NoWait(
                    f"it waits for the task group {group}, whose tasks Airflow counts in a way of its own"
                )
        if not names:
            self._refuse_unclear_end(other, known)
            return []
        awaited = [each for name in names for each in self._with_mirror(other, known, name, allowed, bad)]
        return list(dict.fromkeys(awaited))

    def _with_mirror(
        self, other: Dag, known: Mapping[str, Task], name: str, allowed: list[str], bad: set[str]
    ) -> Iterator[str]:
        task, path = known.get(name), f"{other.dag_id}.{name}"
        if task is None:
            raise _NoWait(f"the inventory has no task {path}")
        if task.mapped or task.in_mapped_group:
            raise _NoWait(f"{path} is mapped, and Airflow's sensor counts each instance")
        if name in self.estate.telling(other.dag_id):
            yield name
            return
        as_bad = allowed == ["success"] and (not bad & _FAILURES or bad >= _FAILURES)
        if not (does_nothing(task) and task.upstream and task.trigger_rule == "all_success" and as_bad):
            raise _NoWait(f"{path} has no mirror with an asset, so that nobody learns how it ends")
        for above in task.upstream:
            yield from self._with_mirror(other, known, above, allowed, bad)

    def _refuse_unclear_end(self, other: Dag, known: Mapping[str, Task]) -> None:
        """A DAG's run ends as its last tasks do. That is as badly as any of its tasks only if each task passes on what
        is above it."""
        telling = self.estate.telling(other.dag_id)
        waits = {name for name, each in known.items() if _KIND in kinds_of(each)}
        for name, task in known.items():
            if name not in telling and not does_nothing(task) and name not in waits:
                raise _NoWait(
                    f"{other.dag_id}.{name} has no mirror with an asset, so that nobody learns when that DAG ends"
                )
            if task.trigger_rule not in _PASSES_ON:
                raise _NoWait(
                    f"{other.dag_id}.{name}, with the trigger rule {task.trigger_rule}, may hide from the DAG's run "
                    "that a task before it has failed"
                )

    def _place(self, dag: Dag, sensors: Collection[str]) -> list[str]:
        """The sensors that come before it. It must come before everything else, because the DAG's job starts after it,
        and whatever is below must not run if it fails or skips."""
        name, tasks = self.task.task_id, {task.task_id: task for task in tasks_of(dag)}
        above = dag.above(name)
        if busy := sorted(
            each for each in above if each not in sensors and not does_nothing(tasks.get(each))
        ):
            raise _NoWait(
                f"it waits in the middle of the DAG, after {busy[0]}, and the DAG's job does not stop there"
            )
        if self.task.trigger_rule != "all_success":
            raise _NoWait(f"its own trigger rule is {self.task.trigger_rule}")
        working = [each for each, task in tasks.items() if each not in sensors and not does_nothing(task)]
        if free := sorted(each for each in working if name not in dag.above(each)):
            raise _NoWait(f"{free[0]} does not wait for it, and the DAG's job runs all tasks together")
        below = reachable([name], lambda one: [each for each in tasks if one in tasks[each].upstream])
        if rules := sorted(each for each in below if tasks[each].trigger_rule != "all_success"):
            rule = tasks[rules[0]].trigger_rule
            raise _NoWait(f"{rules[0]}, with the trigger rule {rule}, may run even if it fails or skips")
        return sorted(above & set(sensors))


def telling(draft: DagDraft) -> Collection[str]:
    """The tasks whose mirrors make assets, which tell how each run has ended."""
    return {
        each.unit[len(draft.dag.dag_id) + 1 :]
        for each in draft.drafts
        if each.is_written and (each.attributes or {}).get("command") != "test"
    }


def tasks_of(dag: Dag) -> list[Task]:
    return [task for task in dag.tasks if isinstance(task, Task)]


def does_nothing(task: Task | None) -> bool:
    return task is not None and marker(task) in DOES_NOTHING


def kinds_of(task: Task) -> set[str]:
    return {name.rpartition(".")[2] for name in task.classes}
