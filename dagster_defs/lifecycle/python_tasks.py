"""What of a task that calls a Python function is known well enough for a `PythonUnit`."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.legacy_task import Better
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.operator_facets import SIDE
from dagster_defs.lifecycle.task_drafts import Undetermined, kind_of, refuse_undetermined
from dagster_defs.windows.values import uncarried

PYTHON_UNIT = "dagster_defs.components.PythonUnit"
_KINDS = ("PythonOperator", "_PythonDecoratedOperator")
_OWN_WORDS = frozenset({"template", "bound", "yaml"})  # of a mirror's arguments


def draft_python(dag: Dag, task: Task, refusal: Callable[[str], str]) -> Better | None:
    """None for an operator of another kind. `refusal`: why Dagster cannot call the function at a dotted path."""
    if kind_of(task) not in _KINDS:
        return None
    try:
        attributes = _drafted(dag, task, refusal)
    except Undetermined as why:
        return Better.refused(PYTHON_UNIT, task, why)
    return Better(PYTHON_UNIT, attributes)


def _drafted(dag: Dag, task: Task, refusal: Callable[[str], str]) -> dict[str, Any]:
    given = task.templated.get("op_kwargs") or {}
    if task.templated.get("op_args"):
        raise Undetermined("it gives arguments without names (op_args)")
    if task.templated.get("templates_dict"):
        raise Undetermined("its function gets templates_dict from Airflow's context")
    if not isinstance(given, Mapping):
        raise Undetermined("its op_kwargs are no mapping")
    refuse_undetermined(dag, task, {"op_kwargs": dict(given)})
    if task.params and any("params" in str(value) for value in given.values()):
        raise Undetermined("its arguments read params, which a PythonUnit does not have")
    arguments = {name: value for name, value in given.items() if name != SIDE}
    for name, value in arguments.items():
        if why := uncarried(value):
            raise Undetermined(f"its argument {name}: {why}")
        if isinstance(value, Mapping) and (_OWN_WORDS & value.keys() or "__class__" in value):
            raise Undetermined(f"its argument {name} is no plain value")
    _refuse_signature(task, frozenset(arguments))
    if not task.callable_name or (why := refusal(task.callable_name)):
        raise Undetermined(f"Dagster cannot call {task.callable_name or 'its function'}: {why}")
    nothing = {"none": True, "because": NOBODY_HAS_SAID}
    return {"function": task.callable_name, "arguments": arguments, "outputs": nothing}


def _refuse_signature(task: Task, given: frozenset[str]) -> None:
    """Raises Undetermined unless the function takes what it is given, its side, and nothing from Airflow's context."""
    try:
        tree = ast.parse(textwrap.dedent(task.source or ""))
    except SyntaxError:
        tree = ast.Module([], [])
    function = next((node for node in tree.body if isinstance(node, ast.FunctionDef)), None)
    if function is None:
        raise Undetermined("the source of its function is not in the inventory")
    takes = function.args
    if takes.kwarg or takes.vararg or takes.posonlyargs:
        raise Undetermined("its function may take anything from Airflow's context")
    names = {each.arg for each in (*takes.args, *takes.kwonlyargs)}
    if SIDE not in names:
        raise Undetermined(f"its function takes no `{SIDE}`, by which it would know where a candidate writes")
    without = [each.arg for each in takes.args[: len(takes.args) - len(takes.defaults)]]
    without += [
        each.arg for each, value in zip(takes.kwonlyargs, takes.kw_defaults, strict=True) if not value
    ]
    if missing := sorted(set(without) - given - {SIDE}):
        raise Undetermined(f"its function takes {', '.join(missing)} from Airflow's context")
    if strange := sorted(given - names):
        raise Undetermined(f"its function takes no {', '.join(strange)}")
