"""What the scaffold would write: the mirrors of a DAG as YAML, and what they lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from dagster_defs.inventory.document import Dag
from dagster_defs.inventory.schedules import Refused, not_listed_before
from dagster_defs.older_python import StrEnum
from dagster_defs.windows import WindowList

COMPONENT = "dagster_defs.components.DbtUnit"
OPERATOR = "dagster_defs.components.LegacyTask"


class Outcome(StrEnum):
    """What happened to a file."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    EDITED = "edited"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Written:
    """A file of mirrors; `edited` ones were left as they are, and so were files that would belong to two DAGs, or whose
    DAG could be any Airflow's (`refused`). `units` have a mirror in it."""

    path: str
    outcome: Outcome
    units: tuple[str, ...]
    gaps: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "outcome": self.outcome.value,
            "units": list(self.units),
            "gaps": list(self.gaps),
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """One unit's mirror. Without `attributes` it cannot be mirrored as it is, and `gaps` say why; for an `unseen` one
    it is not known whether it runs dbt. The mirror leaves out what the task runs `beside` dbt. `operator`: for a unit
    without dbt, the mirror that runs its operator as it is, or the same work, and `operator_type` its type. `needless`:
    it needs no mirror."""

    unit: str
    attributes: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    unseen: bool = False
    beside: tuple[str, ...] = ()
    operator: Mapping[str, Any] | None = None
    operator_type: str = OPERATOR
    needless: bool = False

    @property
    def text(self) -> str:
        lines = [f"# {note}" for note in self.notes] + [f"# GAP: {self.unit}: {gap}" for gap in self.gaps]
        if self.is_written:
            kind = self.operator_type if self.attributes is None else COMPONENT
            document = {"type": kind, "attributes": dict(self.attributes or self.operator or {})}
            lines.append(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000).rstrip())
        return "\n".join(lines)

    @property
    def is_written(self) -> bool:
        return self.attributes is not None or self.operator is not None


@dataclass(frozen=True, slots=True)
class DagDraft:
    """The mirrors of one DAG, in one file."""

    dag: Dag
    drafts: tuple[Draft, ...]
    listed: WindowList | None = None
    """The windows that their schedules name, for a file of their own."""
    fault: str = ""
    """Why nothing of the DAG is drafted."""
    unlisted: Refused | None = None
    """Why its windows cannot be listed, if only a list would determine them."""
    asked: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """By sensor with a function, the dates that it asks about for each window: for a file of their own."""

    def without(self, refused: Mapping[str, str]) -> DagDraft:
        """The same draft, with units that cannot be mirrored and why."""
        return DagDraft(
            self.dag,
            tuple(
                replace(draft, attributes=None, operator=None, gaps=(*draft.gaps, refused[draft.unit]))
                if draft.unit in refused and draft.is_written
                else draft
                for draft in self.drafts
            ),
            self.listed,
            unlisted=self.unlisted,
            asked=self.asked,
        )

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(draft.unit for draft in self.drafts if draft.is_written)

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is not seen through is one gap for the whole DAG, and so is a gap that many of its tasks share."""
        unseen = [self._task_of(draft.unit) for draft in self.drafts if draft.unseen]
        beside = {self._task_of(draft.unit): draft.beside for draft in self.drafts if draft.beside}
        lacking: dict[str, list[str]] = {}
        for draft in self.drafts:
            for gap in draft.gaps:
                lacking.setdefault(gap, []).append(draft.unit)
        gaps = [self._in_words(gap, units) for gap, units in lacking.items()]
        gaps += [f"{self.dag.dag_id}: {runs_beside(beside)}"] if beside else []
        before = not_listed_before(self.dag, self.listed) if self.listed and self.units else ""
        gaps += [f"{self.dag.dag_id}: {before}"] if before else []
        return (*gaps, *([f"{self.dag.dag_id}: {may_run_dbt(unseen)}"] if unseen else []))

    def _task_of(self, unit: str) -> str:
        """The id of the task; the DAG's own may have dots."""
        return unit.removeprefix(f"{self.dag.dag_id}.")

    def _in_words(self, gap: str, units: Sequence[str]) -> str:
        if len(units) == 1:
            return f"{units[0]}: {gap}"
        tasks = list(map(self._task_of, units))
        return f"{self.dag.dag_id}: {gap} ({len(tasks)} tasks: {_first(tasks)})"

    @property
    def text(self) -> str:
        """YAML; units that cannot be mirrored come first, as comments."""
        left = [draft.text for draft in self.drafts if not draft.is_written and draft.text]
        mirrored = [draft.text for draft in self.drafts if draft.is_written]
        head = "\n".join([f"# {self.dag.file or self.dag.dag_id}", *left])
        return head + "\n" + "\n---\n".join(mirrored) + ("\n" if mirrored else "")


def may_run_dbt(tasks: Sequence[str]) -> str:
    """One sentence about the tasks of a DAG that are not seen through."""
    may = "task may run dbt and is" if len(tasks) == 1 else "tasks may run dbt and are"
    return f"{len(tasks)} {may} not seen through ({_first(tasks)})"


def runs_beside(tasks: Mapping[str, Sequence[str]]) -> str:
    """One sentence about the programs, beside dbt, that a DAG's tasks run and that are not seen through."""
    programs = list(dict.fromkeys(program for each in tasks.values() for program in each))
    runs, leaves = (
        ("task runs", "its mirror leaves") if len(tasks) == 1 else ("tasks run", "their mirrors leave")
    )
    return f"{len(tasks)} {runs} {_first(programs)} beside dbt ({_first(list(tasks))}): {leaves} that out"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
