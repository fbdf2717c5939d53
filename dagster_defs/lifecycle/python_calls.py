"""How Airflow calls a task's function: its arguments by name, and those that it takes from Airflow's context."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dagster_defs.inventory.document import Sample, Task
from dagster_defs.lifecycle.operator_facets import SIDE
from dagster_defs.lifecycle.xcoms import XCom

FIELDS = ("op_args", "op_kwargs")
# Names of Airflow's context that are text, and that a template gives as Airflow does.
OF_A_WINDOW = ("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz")
IN_CONTEXT = frozenset({
    *OF_A_WINDOW,
    "conf", "conn", "context", "dag", "dag_run", "data_interval_end", "data_interval_start", "exception",
    "execution_date", "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros",
    "map_index_template", "next_ds", "next_ds_nodash", "next_execution_date", "outlet_events", "outlets",
    "params", "prev_data_interval_end_success", "prev_data_interval_start_success", "prev_ds",
    "prev_ds_nodash", "prev_end_date_success", "prev_execution_date", "prev_execution_date_success",
    "prev_start_date_success", "reason", "run_id", "start_date", "task", "task_instance",
    "task_instance_key_str", "task_reschedule_count", "templates_dict", "test_mode", "ti", "tomorrow_ds",
    "tomorrow_ds_nodash", "triggering_asset_events", "triggering_dataset_events", "try_number", "var",
    "yesterday_ds", "yesterday_ds_nodash",
})  # fmt: skip
_ASKED = re.compile(r"xcom of |(?:ti|task_instance)\.xcom_pull$")


class NoSignature(Exception):
    """Why it is not known by which names a function gets its arguments."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`named`: its parameters, in order; `required`: those without a default. `further`: the name of its `**kwargs`,
    or empty; `asked`: the names that its code takes out of them, None if it may take any."""

    named: tuple[str, ...]
    required: tuple[str, ...]
    further: str = ""
    asked: tuple[str, ...] | None = ()

    def arguments(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The operator's arguments by name. Raises NoSignature."""
        placed, given = fields.get("op_args") or (), fields.get("op_kwargs") or {}
        if not isinstance(given, Mapping) or isinstance(placed, str) or not isinstance(placed, Sequence):
            raise NoSignature("its arguments are no list and no mapping")
        if len(placed) > len(self.named):
            raise NoSignature(
                "it gives more arguments without names (op_args) than its function has names for"
            )
        by_name = dict(zip(self.named, placed, strict=False))
        if twice := sorted(by_name.keys() & given.keys()):
            raise NoSignature(f"it gives {', '.join(twice)} twice")
        return {**by_name, **given}

    def of_context(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """What Airflow's context gives it beside its arguments, whether it has a default or not."""
        names = (*self.named, *(self.asked or ()))
        return tuple(name for name in dict.fromkeys(names) if name in IN_CONTEXT and name not in given)


@lru_cache(maxsize=1024)
def signature_of(source: str | None) -> Signature:
    """Raises NoSignature."""
    try:
        tree = ast.parse(textwrap.dedent(source or ""))
    except SyntaxError:
        tree = ast.Module([], [])
    function = next((node for node in tree.body if isinstance(node, ast.FunctionDef)), None)
    if function is None:
        raise NoSignature("the source of its function is not in the inventory")
    takes = function.args
    if takes.vararg or takes.posonlyargs:
        raise NoSignature("its function takes arguments by their place only")
    without = [each.arg for each in takes.args[: len(takes.args) - len(takes.defaults)]]
    pairs = zip(takes.kwonlyargs, takes.kw_defaults, strict=True)
    without += [each.arg for each, value in pairs if value is None]
    further = takes.kwarg.arg if takes.kwarg else ""
    named = tuple(each.arg for each in (*takes.args, *takes.kwonlyargs))
    asked = _taken_out_of(further, function) if further else ()
    return Signature(named, tuple(without), further, asked)


def _taken_out_of(name: str, function: ast.FunctionDef) -> tuple[str, ...] | None:
    """The constant keys by which code reads a mapping; None if it does anything else with it."""
    keys: list[str] = []
    known: set[ast.expr] = set()
    for node in ast.walk(function):
        match node:
            case ast.Subscript(value=ast.Name(id=of) as read, slice=ast.Constant(value=str(key))) if (
                of == name
            ):
                pass
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=of) as read, attr="get"),
                args=[ast.Constant(value=str(key)), *_],
            ) if of == name:
                pass
            case _:
                continue
        keys.append(key)
        known.add(read)
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]
    return tuple(keys) if all(node in known for node in names) else None


@dataclass(frozen=True, slots=True)
class Call:
    """`arguments` are templates and plain values by name, without the side and without `xcoms`; `of_context` is what
    Airflow's context gives it besides."""

    arguments: Mapping[str, Any]
    xcoms: Mapping[str, XCom]
    of_context: tuple[str, ...] = ()


def call_of(task: Task) -> Call:
    """Raises NoSignature."""
    signature = signature_of(task.source)
    given = signature.arguments(task.templated)
    named = {name: value for name, value in given.items() if name != SIDE}
    xcoms = {name: xcom for name, value in named.items() if (xcom := XCom.of(value)) is not None}
    rest = {name: value for name, value in named.items() if name not in xcoms}
    return Call(rest, xcoms, signature.of_context(given))


def other_need(sample: Sample) -> str:
    """What a function's arguments need beside XComs and the schedule; empty if it is nothing."""
    if all(_ASKED.match(name) for name in sample.asked):
        return ""
    return next((why for name, why in sample.needs.items() if name.startswith(FIELDS)), "")
