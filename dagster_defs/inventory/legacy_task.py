"""Tasks without a better mirror run as they are: a `LegacyTask` for each such task of a DAG, as YAML."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from dagster_defs.inventory.callbacks import Refusal, called, called_for_dag, mailed
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.drafts import OPERATOR, DagDraft, Draft
from dagster_defs.inventory.operator_kinds import MARKERS, deciders_above, why_servers, why_version
from dagster_defs.inventory.scaffold import plain_attributes
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.windows import CronTicks

OF_AIRFLOW = "airflow."
EITHER = "does not run as a LegacyTask either"


@dataclass(frozen=True, slots=True)
class Better:
    """A mirror of another type, by its attributes; without them, `notes` say why there is none."""

    type: str
    attributes: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()

    @classmethod
    def refused(cls, kind: str, task: Task, why: Exception) -> Better:
        """None of this type, with the reason."""
        name = kind.rpartition(".")[2]
        return cls(kind, None, (f"{task.dag_id}.{task.task_id} is no {name}: {why}",))


def _none(dag: Dag, task: Task) -> Better | None:
    return None


def with_operators(
    draft: DagDraft,
    crons: CronTicks,
    airflow_version: str = "",
    better: Callable[[Dag, Task], Better | None] = _none,
    refusal: Refusal = lambda _: "",
) -> DagDraft:
    """The draft plus a LegacyTask for each task that has no other mirror and can have one; if it cannot, the reason.
    `refusal`: why Dagster cannot call a function, empty if it can."""
    tasks = {task.task_id: task for task in draft.dag.tasks if isinstance(task, Task)}
    names = {unit: unit.partition(f"{draft.dag.dag_id}.")[2] for unit in (each.unit for each in draft.drafts)}
    made = {
        each.unit: _as_it_is(draft, tasks[names[each.unit]], each, crons, airflow_version, better, refusal)
        if each.attributes is None
        else each
        for each in draft.drafts
    }
    order = _Order(
        draft.dag, tasks, {names[each.unit]: each for each in made.values()}, deciders_above(draft.dag)
    )
    return replace(draft, drafts=tuple(order.kept(each, names[each.unit]) for each in made.values()))


def _as_it_is(
    whole: DagDraft,
    task: Task,
    draft: Draft,
    crons: CronTicks,
    version: str,
    better: Callable[[Dag, Task], Better | None],
    refusal: Refusal,
) -> Draft:
    if kind := marker(task):
        note = f"{draft.unit} needs no mirror: {MARKERS[kind]} ({kind})."
        return replace(draft, notes=(note,), needless=True)
    attributes, refusals = plain_attributes(whole, task, crons)
    # Only Airflow's own engine expands a mapped task.
    if not task.mapped and not refusals and not draft.gaps and (other := better(whole.dag, task)) is not None:
        draft = replace(draft, notes=(*draft.notes, *other.notes))
        if other.attributes is not None:
            calls = called(whole.dag, task, refusal)
            told = {**mailed(task), **calls.attributes}
            made = {"unit": draft.unit, **attributes, **told, **other.attributes}
            notes = (*draft.notes, *calls.gaps())
            return replace(draft, operator=made, operator_type=other.type, notes=notes)
    refusals += filter(None, (why_servers(task.classes), why_version(version), why_events(task)))
    if refusals:
        notes = tuple(f"{draft.unit} {EITHER}: {why}" for why in refusals if not draft.gaps)
        return replace(draft, notes=(*draft.notes, *notes))
    named = {"airflow": place} if (place := _place(whole.dag)) else {}
    never = {"shadow": "never", "because": NOBODY_HAS_SAID}
    of_dag = called_for_dag(whole.dag, refusal)
    operator = {"unit": draft.unit, **attributes, **of_dag.attributes, **named, **never}
    return replace(draft, operator=operator, notes=(*draft.notes, *of_dag.gaps()))


def _place(dag: Dag) -> Mapping[str, str]:
    """Where the DAG file is in Airflow's DAGs folder; empty if that is not known."""
    file = PurePosixPath(dag.file)
    return {"dag_file": str(file)} if dag.file and not file.is_absolute() else {}


def marker(task: Task) -> str:
    """The Airflow class that makes the task a marker, or empty. A custom class that inherits from one may do anything:
    the inventory does not contain its definition."""
    kind = task.classes[0].rpartition(".")[2]
    return kind if kind in MARKERS and task.classes[0].startswith(OF_AIRFLOW) else ""


def why_events(task: Task) -> str:
    """Why a run of the operator elsewhere would lack something; empty if it would not."""
    names = ("triggering_dataset_events", "triggering_asset_events")
    texts = [*map(str, task.templated.values()), *map(str, task.settings.values()), task.source or ""]
    asked = next((name for name in names if any(name in text for text in texts)), "")
    return f"it asks for {asked}, which only Airflow has" if asked else ""


@dataclass(frozen=True, slots=True)
class _Order:
    """Airflow's order of a DAG's tasks, as `deps`, and its rules below a branch. Tasks without any mirror are passed
    over."""

    dag: Dag
    tasks: Mapping[str, Task]
    drafts: Mapping[str, Draft]
    deciders: Mapping[str, Collection[str]]

    def kept(self, draft: Draft, name: str) -> Draft:
        """Lineage knows the order of dbt's models among each other, and of nothing else.

        What dbt waits for here has no dbt above it, so that no model can come to wait for itself.
        """
        runs_dbt = draft.attributes is not None
        attributes: dict[str, Any] = dict(draft.attributes or draft.operator or {})
        found = self._nearest(
            name, lambda above: self._has_operator(above) if runs_dbt else self._is_mirrored(above)
        )
        if runs_dbt:
            found = [above for above in found if not self._is_below_dbt(above)]
        rules = _place(self.dag) if self._is_asked_about(draft, name, runs_dbt) else {}
        if not attributes or not (found or rules):
            return draft
        because = {key: attributes.pop(key) for key in ("shadow", "because") if key in attributes}
        keys = [f"{self.dag.dag_id}/{above}" for above in found]
        order = {"deps": keys} if keys else {}
        ruled = {"trigger_rules": rules} if rules else {}
        ordered = {**attributes, **order, **ruled, **because}
        return replace(draft, attributes=ordered) if runs_dbt else replace(draft, operator=ordered)

    def _is_asked_about(self, draft: Draft, name: str, runs_dbt: bool) -> bool:
        """Whether its mirror has to ask Airflow's rules, and comes after the tasks that decide. The engine of a
        LegacyTask asks them anyway."""
        deciders = self.deciders.get(name, ())
        if not deciders or (not runs_dbt and draft.operator_type == OPERATOR):
            return False
        return not runs_dbt or not any(self._is_below_dbt(above) for above in deciders)

    def _is_mirrored(self, name: str) -> bool:
        return self.drafts[name].is_written

    def _has_operator(self, name: str) -> bool:
        return self.drafts[name].attributes is None and self.drafts[name].operator is not None

    def _is_below_dbt(self, name: str) -> bool:
        return any(
            self.drafts[above].attributes is not None for above in self.dag.above(name) & self.drafts.keys()
        )

    def _nearest(self, name: str, counts: Callable[[str], bool]) -> list[str]:
        nearest: dict[str, None] = {}
        seen: set[str] = set()
        todo = list(self.tasks[name].upstream)
        while todo:
            above = todo.pop(0)
            if above in seen or above not in self.tasks:
                continue
            seen.add(above)
            if counts(above):
                nearest[above] = None
            else:
                todo += self.tasks[above].upstream
        return list(nearest)
