"""Who starts a DAG without a clock, as `triggered_by` of the schedules of its mirrors: tasks of DAGs, and datasets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.drafts import DagDraft, Draft
from dagster_defs.inventory.external_sensors import does_nothing, kinds_of, scheduled, tasks_of, telling
from dagster_defs.inventory.legacy_task import OF_AIRFLOW
from dagster_defs.inventory.operator_kinds import deciders_above
from dagster_defs.inventory.schedules import event_of
from dagster_defs.windows import EventKind

__all__ = ["TRIGGER", "addresses_in", "in_place_of", "triggers_of", "uris_of", "with_triggers"]

TRIGGER = "TriggerDagRunOperator"
_STARTED = (EventKind.MANUAL, EventKind.DATASETS)
_MASK, _MARKS = "***", ("{{", "{%", "{#")
#: Arguments that a run in Dagster would have to obey, and does not.
_UNKNOWN = ("run_after", "note", "deferrable", "trigger_run_id")


class _NotInDagster(Exception):
    """Why a task starts its DAG only as long as it is in Airflow, in words."""


class _Unseen(Exception):
    """Why nobody in Dagster would see all events of a condition, in words."""


@dataclass(frozen=True, slots=True)
class _Estate:
    """All DAGs of the inventory. `triggers`: by DAG, the tasks that start it. `writers`: by dataset, who writes it.
    `uris`: of assets, by name. `unclear`: who writes what only Airflow resolves, in words; empty if nobody does."""

    drafts: Mapping[str, DagDraft]
    triggers: Mapping[str, Sequence[Task]]
    writers: Mapping[str, Sequence[Task]]
    uris: Mapping[str, str]
    unclear: str
    airflow_2: bool


def with_triggers(drafts: Sequence[DagDraft], *, airflow_version: str = "") -> list[DagDraft]:
    """The drafts with `triggered_by` in the schedules of DAGs that others start. A task that starts one and does
    nothing else needs no mirror if Dagster can start that DAG in its place; else it keeps the reason as a note."""
    tasks = [task for draft in drafts for task in tasks_of(draft.dag)]
    uris = uris_of(tasks)
    estate = _Estate(
        {draft.dag.dag_id: draft for draft in drafts},
        triggers_of(tasks),
        _writers(tasks, uris),
        uris,
        _unclear(tasks, uris),
        airflow_version.startswith("2."),
    )
    notes: dict[str, tuple[str, bool]] = {}
    told = [_with_triggers(draft, estate, notes) for draft in drafts]
    for task in tasks:
        if TRIGGER in kinds_of(task) and (why := _why_no_target(task, estate)):
            notes[f"{task.dag_id}.{task.task_id}"] = (why, False)
    return [replace(draft, drafts=tuple(_noted(each, notes) for each in draft.drafts)) for draft in told]


def uris_of(tasks: Sequence[Task]) -> Mapping[str, str]:
    """The addresses of assets, by name."""
    return {o.name: o.uri for task in tasks for o in task.outlets if o.name and o.uri}


def triggers_of(tasks: Sequence[Task]) -> Mapping[str, Sequence[Task]]:
    """By DAG, the tasks that start runs of it, as far as they name it."""
    found: dict[str, list[Task]] = {}
    for task in tasks:
        if target := _target(task):
            found.setdefault(target, []).append(task)
    return found


def _target(task: Task) -> str:
    """The DAG that the task starts; empty if it starts none, or names it by a template."""
    name = task.templated.get("trigger_dag_id") or task.settings.get("trigger_dag_id")
    is_plain = isinstance(name, str) and not _has_template(name)
    return str(name) if is_plain and TRIGGER in kinds_of(task) else ""


def _why_no_target(task: Task, estate: _Estate) -> str:
    name = _target(task)
    if not name:
        return "which DAG it starts is a template"
    if name not in estate.drafts:
        return f"the inventory has no DAG {name}, which it starts"
    if event_of(estate.drafts[name].dag) not in _STARTED:
        return f"{name}, which it starts, has a schedule of its own, and such a run has no window of it"
    if not estate.drafts[name].units:
        return f"{name}, which it starts, has no mirror"
    return ""


def _writers(tasks: Sequence[Task], uris: Mapping[str, str]) -> Mapping[str, Sequence[Task]]:
    found: dict[str, dict[str, Task]] = {}
    for task in tasks:
        for outlet in task.outlets:
            if uri := outlet.uri or uris.get(outlet.name):
                found.setdefault(uri, {})[f"{task.dag_id}.{task.task_id}"] = task
    return {uri: list(each.values()) for uri, each in found.items()}


def _unclear(tasks: Sequence[Task], uris: Mapping[str, str]) -> str:
    """An alias may stand for any dataset while its task runs."""
    for task in tasks:
        for outlet in task.outlets:
            if not outlet.uri and outlet.name not in uris:
                return f"{task.dag_id}.{task.task_id} writes {outlet.name}"
    return ""


def _noted(draft: Draft, notes: Mapping[str, tuple[str, bool]]) -> Draft:
    if draft.unit not in notes or draft.is_written:
        return draft
    said, is_needless = notes[draft.unit]
    if not is_needless:
        return replace(
            draft, notes=(*draft.notes, f"{draft.unit} starts its DAG only while it is in Airflow: {said}")
        )
    note = f"{draft.unit} needs no mirror: Dagster starts {said} in its place (triggered_by, {TRIGGER})."
    return replace(draft, attributes=None, operator=None, notes=(note,), gaps=(), unseen=False, needless=True)


def _with_triggers(draft: DagDraft, estate: _Estate, notes: dict[str, tuple[str, bool]]) -> DagDraft:
    dag, kind = draft.dag, event_of(draft.dag)
    triggers = estate.triggers.get(dag.dag_id, ())
    if kind not in _STARTED or not draft.units or (kind is EventKind.MANUAL and not triggers):
        return draft
    told: dict[str, Any] = {}
    refused: list[str] = []
    for task in triggers:
        unit = f"{task.dag_id}.{task.task_id}"
        if why := _why_it_would_fail(task):
            refused.append(f"{unit} {why}")
            continue
        entry: dict[str, Any] = {"task": unit}
        try:
            its_own = estate.drafts[task.dag_id]
            entry |= _in_dagster(task, its_own.dag, telling(its_own))
            notes[unit] = (dag.dag_id, True)
        except _NotInDagster as why:
            notes[unit] = (str(why), False)
        told.setdefault("tasks", []).append(entry)
    if kind is EventKind.DATASETS:
        try:
            condition = _condition(dag.schedule.condition, estate)
            told["datasets"] = condition
            told["written_by"] = {uri: _written_by(uri, estate) for uri in _leaves(condition)}
        except _Unseen as why:
            told.pop("datasets", None)
            refused.append(str(why))
        if estate.unclear:
            refused.append(
                f"{estate.unclear}, which stands for datasets or assets that only Airflow knows: nobody sees whether "
                "one of them starts it"
            )
    told |= {} if estate.airflow_2 or kind is not EventKind.DATASETS else {"dates": False}
    told |= {"refused": refused} if refused else {}
    return replace(draft, drafts=tuple(scheduled(each, {"triggered_by": told}) for each in draft.drafts))


def _why_it_would_fail(task: Task) -> str:
    """Why the task itself breaks once the DAG that it starts is paused for good; empty if it does not."""
    if "fail_when_dag_is_paused" in (task.given or ()):
        return "fails once its DAG is paused, as it has fail_when_dag_is_paused"
    return ""


def in_place_of(task: Task, dag: Dag, mirrored: Collection[str]) -> tuple[Mapping[str, Any], str]:
    """What Dagster does in the place of such a task once its own DAG is retired, and why it cannot; one of both is
    empty. `mirrored`: the tasks of the DAG whose mirrors make assets."""
    try:
        return _in_dagster(task, dag, mirrored), ""
    except _NotInDagster as why:
        return {}, str(why)


def _in_dagster(task: Task, dag: Dag, mirrored: Collection[str]) -> Mapping[str, Any]:
    """Raises _NotInDagster."""
    if not task.classes[0].startswith(OF_AIRFLOW) or task.given is None:
        raise _NotInDagster(f"{task.classes[0]} is not Airflow's own class, or the task is mapped")
    if strange := [name for name in _UNKNOWN if name in task.given]:
        raise _NotInDagster(f"it has {', '.join(strange)}, which only Airflow obeys")
    told: dict[str, Any] = {"after": _after(task, dag, mirrored)}
    if conf := task.templated.get("conf"):
        if not isinstance(conf, Mapping) or not _is_plain(conf):
            raise _NotInDagster(
                "its conf is not known before it runs: it is a template, masked, or no plain value"
            )
        told["conf"] = dict(conf)
    if "logical_date" in task.given or "execution_date" in task.given:
        date = task.templated.get("logical_date") or task.templated.get("execution_date")
        if not isinstance(date, str) or not _has_template(date):
            raise _NotInDagster("its logical_date is the same for all runs, or no text")
        told["logical_date"] = date
        told |= {"reset": True} if "reset_dag_run" in task.given else {}
    if _waits(task) and (
        below := sorted(each.task_id for each in tasks_of(dag) if task.task_id in each.upstream)
    ):
        raise _NotInDagster(
            f"{below[0]} comes after it, and it waits for the end of the run (wait_for_completion)"
        )
    return told


def _waits(task: Task) -> bool:
    return "wait_for_completion" in (task.given or ())


def _after(task: Task, dag: Dag, mirrored: Collection[str]) -> list[str]:
    """The nearest tasks above it with a mirror that tells how they end: it starts its DAG once all have succeeded."""
    if task.trigger_rule != "all_success":
        raise _NotInDagster(f"its trigger rule is {task.trigger_rule}")
    if deciders := deciders_above(dag).get(task.task_id):
        raise _NotInDagster(f"{', '.join(sorted(deciders))} decides whether it runs")
    known = {each.task_id: each for each in tasks_of(dag)}
    found = list(dict.fromkeys(_nearest(task, known, mirrored)))
    if not found:
        raise _NotInDagster(
            "it comes before everything else in its DAG, so that no run in Dagster tells when"
        )
    return found


def _nearest(task: Task, known: Mapping[str, Task], mirrored: Collection[str]) -> Iterator[str]:
    for name in task.upstream:
        above = known.get(name)
        if name in mirrored:
            yield name
        elif above is not None and above.trigger_rule == "all_success" and _passes(above):
            yield from _nearest(above, known, mirrored)
        else:
            raise _NotInDagster(f"{name}, after which it comes, has no mirror with an asset")


def _passes(task: Task) -> bool:
    """Whether it ends as what is above it does: a marker, or a task that starts a DAG and does not wait."""
    return does_nothing(task) or (TRIGGER in kinds_of(task) and not _waits(task))


def _condition(condition: Any, estate: _Estate) -> Any:
    """Airflow's condition, as nested `all` and `any` of addresses. Raises _Unseen."""
    told = _part(condition, estate)
    return {"all": [told]} if isinstance(told, str) else told


def _part(part: Any, estate: _Estate) -> Any:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and len(part) == 1:
        [(key, value)] = part.items()
        if key in ("all", "any"):
            return {key: [_part(each, estate) for each in value]}
        if isinstance(value, Mapping) and value.get("uri"):
            return str(value["uri"])
        name = str(value.get("name") if isinstance(value, Mapping) else value)
        if key == "asset_ref" and name in estate.uris:
            return estate.uris[name]
        raise _Unseen(f"{key} {name} stands for datasets or assets that only Airflow knows")
    raise _Unseen("the inventory does not say which datasets or assets start it: export it again")


def _written_by(uri: str, estate: _Estate) -> list[str]:
    tasks = estate.writers.get(uri, ())
    if not tasks:
        raise _Unseen(f"no task in the inventory writes {uri}, so that nobody sees when it changes")
    return sorted(f"{task.dag_id}.{task.task_id}" for task in tasks)


def _leaves(condition: Any) -> list[str]:
    if isinstance(condition, str):
        return [condition]
    return list(dict.fromkeys(uri for part in next(iter(condition.values())) for uri in _leaves(part)))


def addresses_in(condition: Any) -> Iterator[str]:
    """Of a condition as Airflow has it, without what only a name stands for."""
    if isinstance(condition, str):
        yield condition
    for key, value in condition.items() if isinstance(condition, Mapping) else ():
        if key in ("all", "any"):
            for part in value:
                yield from addresses_in(part)
        elif isinstance(value, Mapping) and value.get("uri"):
            yield str(value["uri"])


def _has_template(value: str) -> bool:
    return any(mark in value for mark in _MARKS)


def _is_plain(value: Any) -> bool:
    """Whether it is all there: nothing masked, and no object that the exporter only names."""
    if isinstance(value, Mapping):
        return all(
            isinstance(k, str) and not k.startswith("__") and not _has_template(k) and _is_plain(v)
            for k, v in value.items()
        )
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or _MASK not in value
