"""Facets of a mirror that runs the operator itself: what Airflow would provide and a Dagster run cannot."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.operator_kinds import AFTER_A_FAILURE, why_servers, why_version
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.mirrors import Declared

RENDERED = "rendered by Airflow"
SIDE = "side"  # the argument that tells a Python unit which side it works for


def operator_variables(dag: Dag, task: Task, *, of_event: bool = False) -> Facet:
    """Undetermined if a template asks for something that only a trigger decides, or if other tasks read the task's
    XCom. `of_event`: what triggers a run is passed on to Dagster's run, so it does not count."""
    asked = [] if of_event else _of_a_trigger(task)
    doubts = [
        f"a template asks for {name}, which depends on who triggers the run: a Dagster run has none ({reason})"
        for name, reason in asked
    ]
    if readers := readers_of_xcom(dag, task):
        # An empty sequence is a valid XCom of a mapped task, so there is no proxy for one that Airflow's tasks read.
        how = "move them together" + (", for it fails in Airflow until then" if task.mapped else "")
        doubts.append(f"{', '.join(readers)} read its XCom, and will find none once Dagster runs it: {how}")
    if not doubts:
        return Facet("variables", Agreement.AGREES, RENDERED, RENDERED)
    return Facet("variables", Agreement.UNDETERMINED, RENDERED, RENDERED, "; ".join(doubts))


def readers_of_xcom(dag: Dag, task: Task) -> list[str]:
    return sorted(each.task_id for each in dag.tasks if isinstance(each, Task) and _reads(each, task))


def sources_left(dag: Dag, returned: Collection[str], proxied: Collection[str]) -> dict[str, list[str]]:
    """The mapped tasks among those proxied that cannot stay so if these tasks return to Airflow, each with the tasks
    that would then read its XComs there: tasks that return, or that have to with them."""
    left: dict[str, list[str]] = {}
    tasks = [task for task in dag.tasks if isinstance(task, Task) and task.mapped and task.task_id in proxied]
    while True:
        back = {*returned, *left}
        found = {
            task.task_id: readers
            for task in tasks
            if task.task_id not in back and (readers := sorted(back & set(readers_of_xcom(dag, task))))
        }
        if not found:
            return left
        left |= found


def _of_a_trigger(task: Task) -> list[tuple[str, str]]:
    asked = {name: reason for sample in task.samples for name, reason in sample.asked.items()}
    roots = ("dag_run.conf", "params")
    return [
        (name, reason)
        for name, reason in sorted(asked.items())
        if any(name == root or name.startswith(f"{root}.") for root in roots)
    ]


def _reads(reader: Task, task: Task) -> bool:
    """Whether its templates, arguments or function name the other task when they ask for an XCom."""
    if reader.task_id == task.task_id:
        return False
    named = re.compile(rf"""['"]{re.escape(task.task_id)}['"]""")
    texts = [*_texts(reader.templated), *_texts(reader.settings), reader.source or ""]
    if any("xcom_pull" in text and named.search(text) for text in texts):
        return True
    held = (reader.templated, reader.settings, [sample.fields for sample in reader.samples])
    return any(task.task_id in xcoms_in(value) for value in held)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in _inside(value):
        yield from _texts(inner)


def xcoms_in(value: Any) -> Iterator[str]:
    """The tasks of the XComArgs in a value, as the exporter marks them."""
    if isinstance(value, Mapping) and isinstance(value.get("__xcom__"), list):
        yield from value["__xcom__"]
    for inner in _inside(value):
        yield from xcoms_in(inner)


def _inside(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, (list, tuple)) else ()


def operator_selection(task: Task, airflow_version: str, runs: str) -> Facet:
    """Differs for an operator that would be refused at run time."""
    kind = task.classes[0].rpartition(".")[2]
    why = why_servers(task.classes) or why_version(airflow_version)
    return Facet("selection", Agreement.DIFFERS if why else Agreement.AGREES, kind, runs, why)


def field_selection(task: Task, field: str, runs: str) -> Facet:
    """Whether the operator has the field that the mirror runs; what is in it is compared as a variable."""
    kind = task.classes[0].rpartition(".")[2]
    return Facet("selection", Agreement.AGREES if field in task.templated else Agreement.DIFFERS, kind, runs)


def given_values(fields: Mapping[str, Any], declared: Declared) -> dict[str, Any]:
    """What the operator gives a function, or the fields that the mirror has instead; an empty one counts as none."""
    if declared.fields:
        given = {name: fields[name] for name in declared.fields if fields.get(name) not in (None, {}, [], ())}
        return {name: by_name(value) if name in NAMED else value for name, value in given.items()}
    return {name: value for name, value in (fields.get("op_kwargs") or {}).items() if name != SIDE}


NAMED = ("env_vars",)  # fields that may be lists of {name, value}


def by_name(value: Any) -> Any:
    """A list of variables as a mapping; unchanged if it is none, or if one has its value from elsewhere."""
    if not isinstance(value, list) or not all(_is_variable(each) for each in value):
        return value
    return {each["name"]: "" if each.get("value") is None else each["value"] for each in value}


def _is_variable(item: Any) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("name"), str) and not item.get("value_from")


def operator_ordering(task: Task, facet: Facet) -> Facet:
    """Differs in a mapped task group, undetermined for a trigger rule that may hold after a failure."""
    if task.in_mapped_group:
        each = (
            "in its mapped task group each instance runs after those of its own index above it, and no proxy stands "
            "for such a task: expand each task of the group by itself (.expand)"
        )
        detail = "; ".join(filter(None, (facet.detail, each)))
        return replace(facet, agrees=Agreement.DIFFERS, detail=detail)
    if task.trigger_rule not in AFTER_A_FAILURE or facet.agrees is Agreement.DIFFERS:
        return facet
    detail = f"its trigger rule {task.trigger_rule} may hold after a failure, but Dagster does not run it after one"
    return replace(
        facet, agrees=Agreement.UNDETERMINED, detail="; ".join(filter(None, (facet.detail, detail)))
    )
