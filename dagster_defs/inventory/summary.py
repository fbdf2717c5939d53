"""How much of an estate can be moved as it is, in numbers: tasks by kind, mirrors, and why some have none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.inventory.arguments import Kind
from dagster_defs.inventory.document import BrokenTask
from dagster_defs.inventory.drafts import COMPONENT, OPERATOR, DagDraft, Draft
from dagster_defs.inventory.legacy_task import EITHER
from dagster_defs.inventory.records import Report

SCHEMA = "parity/inventory-summary/1"
_LONGEST = 160  # characters of a reason
# Parts in which otherwise equal reasons differ: templates, quoted names, numbers.
_PARTICULAR = (
    (re.compile(r"\{[{%].*?[%}]\}"), "{{ … }}"),
    (re.compile(r"(?<!\w)(['`\"]).{1,200}?\1(?!\w)"), r"\1…\1"),
    (re.compile(r"\d+(?:[.,:T-]\d+)*"), "N"),
)


@dataclass(frozen=True, slots=True)
class Summary:
    """`kinds`: tasks by what they run, counting separately those that may run dbt and are not seen through. `dbt_tasks`
    are those in which a dbt call was found; `mirrored`, `with_gap` and `unmirrored` partition all tasks. Of the last,
    `as_it_is` have no better mirror than their operator as it is, and `needless` need none. `reasons`: why the others
    have none; `gaps`: what mirrors lack; both counted by task, the most frequent first. `types`: tasks by the type of
    their mirror. `whole_dags`: DAGs whose every
    task has a better mirror; `sound_dags`: those without any gap; `reachable_dags`: those without a task that needs a
    mirror and has none. `occasions`: DAGs by what their scheduled runs are about, `unknown` where that is not
    known or not the same for all.
    """

    airflow_version: str
    dags: int
    import_errors: int
    tasks: int
    kinds: Mapping[str, int]
    dbt_tasks: int
    determined: int
    mirrored: int
    with_gap: int
    unmirrored: int
    as_it_is: int
    needless: int
    dbt_mirrored: int
    dbt_with_gap: int
    dbt_as_it_is: int
    reachable_dags: tuple[str, ...]
    whole_dags: tuple[str, ...]
    sound_dags: tuple[str, ...]
    reasons: Mapping[str, int]
    gaps: Mapping[str, int]
    types: Mapping[str, int]
    occasions: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "airflow_version": self.airflow_version,
            "dags": {
                "all": self.dags,
                "import_errors": self.import_errors,
                "every_task_mirrored": list(self.whole_dags),
                "without_a_gap": list(self.sound_dags),
                "reachable": list(self.reachable_dags),
                "occasions": dict(self.occasions),
            },
            "tasks": {
                "all": self.tasks,
                "kinds": dict(self.kinds),
                "mirrored": self.mirrored,
                "with_gap": self.with_gap,
                "unmirrored": self.unmirrored,
                "as_it_is": self.as_it_is,
                "needless": self.needless,
            },
            "dbt_tasks": {
                "all": self.dbt_tasks,
                "determined": self.determined,
                "mirrored": self.dbt_mirrored,
                "with_gap": self.dbt_with_gap,
                "as_it_is": self.dbt_as_it_is,
            },
            "mirrors": dict(self.types),
            "reasons": dict(self.reasons),
            "gaps": dict(self.gaps),
        }


MAY_RUN_DBT = "may-run-dbt"
UNKNOWN = "unknown"


def summary_of(report: Report, drafts: Sequence[DagDraft]) -> Summary:
    """`report`: every unit of the inventory; `drafts`: its DAGs as the scaffold would write them."""
    drafted = {draft.unit: draft for dag in drafts for draft in dag.drafts}
    made = {
        name
        for name, draft in drafted.items()
        if draft.attributes is not None or (draft.operator is not None and draft.operator_type != OPERATOR)
    }
    lacking = {name for name in made if drafted[name].gaps or drafted[name].beside}
    dbt = [unit for unit in report.units if unit.kind is not Kind.NON_DBT and not unit.may_run_dbt]
    kinds = Counter(MAY_RUN_DBT if unit.may_run_dbt else unit.kind.value for unit in report.units)
    names = {dag.dag.dag_id: [f"{dag.dag.dag_id}.{task.task_id}" for task in dag.dag.tasks] for dag in drafts}
    as_it_is = {name for name, draft in drafted.items() if draft.operator is not None} - made
    needless = {name for name, draft in drafted.items() if draft.needless}
    whole = [dag_id for dag_id, tasks in names.items() if tasks and (made | needless).issuperset(tasks)]
    reached = made | as_it_is | needless
    broken = [task.reason for dag in drafts for task in dag.dag.tasks if isinstance(task, BrokenTask)]
    return Summary(
        report.airflow_version,
        len(drafts),
        len(report.import_errors),
        len(report.units),
        dict(kinds.most_common()),
        len(dbt),
        sum(unit.determined for unit in dbt),
        len(made) - len(lacking),
        len(lacking),
        len(report.units) - len(made),
        len(as_it_is),
        len(needless),
        sum(unit.name in made - lacking for unit in dbt),
        sum(unit.name in lacking for unit in dbt),
        sum(unit.name in as_it_is for unit in dbt),
        tuple(dag_id for dag_id, tasks in names.items() if reached.issuperset(tasks)),
        tuple(whole),
        tuple(dag_id for dag_id in whole if not lacking.intersection(names[dag_id])),
        _counted([*(_why_not(drafted[name]) for name in drafted.keys() - reached), *broken]),
        _counted(gap for name in lacking for gap in {_general(each) for each in _gaps_of(drafted[name])}),
        dict(Counter(_type_of(draft) for draft in drafted.values() if draft.is_written).most_common()),
        dict(Counter(dag.dag.schedule.occasion or UNKNOWN for dag in drafts).most_common()),
    )


def _type_of(draft: Draft) -> str:
    return (draft.operator_type if draft.attributes is None else COMPONENT).rpartition(".")[2]


def _why_not(draft: Draft) -> str:
    """The first gap, as the others may disappear with it; or else why its operator does not run as it is."""
    reason = draft.gaps[0] if draft.gaps else next(reversed(draft.notes), "nobody knows why")
    return reason.removeprefix(draft.unit).lstrip(": ").removeprefix(EITHER).lstrip(": ")


def _gaps_of(draft: Draft) -> list[str]:
    beside = ["it runs programs beside dbt that are not seen through"] if draft.beside else []
    return [*draft.gaps, *beside]


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    counts = Counter(map(_general, reasons))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _general(reason: str) -> str:
    """A reason without the details of one task."""
    for pattern, general in _PARTICULAR:
        reason = pattern.sub(general, reason)
    return reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 1]}…"
