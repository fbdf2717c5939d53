"""What every mirror that does an operator's work without Airflow needs to know about the task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dagster_defs.errors import ParityError
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.holes import is_known
from dagster_defs.inventory.schedules import about
from dagster_defs.lifecycle.operator_facets import readers_of_xcom, xcoms_in
from dagster_defs.windows import compile_template


class Undetermined(Exception):
    """Why the task stays as it is."""


def kind_of(task: Task) -> str:
    """The operator's name if its class is Airflow's own, else empty: a custom class may do anything."""
    return task.classes[0].rpartition(".")[2] if task.classes[0].startswith("airflow.") else ""


def refuse_undetermined(dag: Dag, task: Task, fields: Mapping[str, Any]) -> None:
    """Raises Undetermined if the operator's fields cannot be rendered without Airflow, or others need its XCom."""
    if not is_known({**fields, "params": dict(task.params)}):
        raise Undetermined("a part of it is masked in the inventory")
    if needs := next((why for sample in task.samples for name, why in sample.needs.items()
                      if name.partition(".")[0].partition("[")[0] in fields), ""):  # fmt: skip
        raise Undetermined(needs)
    if given := sorted({name for value in fields.values() for name in xcoms_in(value)}):
        raise Undetermined(f"it gets the XCom of {', '.join(given)}")
    for text in texts_in(list(fields.values())):
        try:
            compile_template(text, task.params, about=about(dag))
        except ParityError as error:
            raise Undetermined(" ".join(str(error).split())) from error
    if readers := readers_of_xcom(dag, task):
        raise Undetermined(f"{', '.join(readers)} read its XCom")


def refuse_given(task: Task, known: frozenset[str]) -> None:
    """Raises Undetermined if the operator was given what a mirror does not have, or if that is not known."""
    if task.given is None:
        raise Undetermined("the inventory does not say which arguments it was given: export it again")
    if more := sorted(set(task.given) - known):
        raise Undetermined(f"a mirror does not have its {', '.join(more)}")


def skips_of(task: Task) -> list[int]:
    """The exit codes that mean skipped, for an operator that has none by default."""
    codes = task.settings.get("skip_on_exit_code") or []
    listed = [codes] if isinstance(codes, int) else codes
    if not isinstance(listed, list) or not all(isinstance(code, int) for code in listed):
        raise Undetermined("its skip_on_exit_code is no list of numbers")
    return listed


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from texts_in(inner)
