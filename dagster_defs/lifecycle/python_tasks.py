"""What of a task that calls a Python function is known well enough for a `PythonUnit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dagster_defs.errors import ParityError
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.holes import is_known
from dagster_defs.inventory.legacy_task import Better
from dagster_defs.inventory.schedules import about
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.operator_facets import SIDE, readers_of_xcom, xcoms_in
from dagster_defs.lifecycle.python_calls import (
    OF_A_WINDOW,
    Call,
    NoSignature,
    call_of,
    other_need,
    signature_of,
)
from dagster_defs.lifecycle.task_drafts import Undetermined, kind_of, texts_in
from dagster_defs.windows import compile_template
from dagster_defs.windows.values import uncarried

PYTHON_UNIT = "dagster_defs.components.PythonUnit"
_KINDS = ("PythonOperator", "_PythonDecoratedOperator")
_OWN_WORDS = frozenset({"template", "bound", "yaml"})  # of a mirror's arguments


def draft_python(dag: Dag, task: Task, refusal: Callable[[str], str]) -> Better | None:
    """None for an operator of another kind. `refusal`: why Dagster cannot call the function at a dotted path."""
    if kind_of(task) not in _KINDS:
        return None
    try:
        return Better(PYTHON_UNIT, _drafted(dag, task, refusal))
    except (Undetermined, NoSignature) as why:
        return Better.refused(PYTHON_UNIT, task, why)


def _drafted(dag: Dag, task: Task, refusal: Callable[[str], str]) -> dict[str, Any]:
    if task.templated.get("templates_dict"):
        raise Undetermined("its function gets templates_dict from Airflow's context")
    call = call_of(task)
    _refuse_arguments(dag, task, call)
    _refuse_xcoms(dag, task, call)
    _refuse_signature(task, call)
    if not task.callable_name or (why := refusal(task.callable_name)):
        raise Undetermined(f"Dagster cannot call {task.callable_name or 'its function'}: {why}")
    arguments = {**call.arguments, **{name: f"{{{{ {name} }}}}" for name in call.of_context}}
    xcoms = {"xcoms": [xcom.as_yaml(name) for name, xcom in call.xcoms.items()]} if call.xcoms else {}
    returns = {"returns": task.returns} if readers_of_xcom(dag, task) else {}
    return {"function": task.callable_name, "arguments": arguments, **xcoms, **returns, **_candidate(task)}


def _candidate(task: Task) -> dict[str, Any]:
    """A function that is not told its side would write where legacy does."""
    if SIDE in signature_of(task.source).named:
        return {"outputs": {"none": True, "because": NOBODY_HAS_SAID}}
    return {"shadow": "never", "because": NOBODY_HAS_SAID}


def _refuse_arguments(dag: Dag, task: Task, call: Call) -> None:
    if not is_known(dict(call.arguments)):
        raise Undetermined("a part of it is masked in the inventory")
    if task.params and any("params" in text for text in texts_in(dict(call.arguments))):
        raise Undetermined("its arguments read params, which a PythonUnit does not have")
    for name, value in call.arguments.items():
        if given := sorted(set(xcoms_in(value))):
            raise Undetermined(
                f"its argument {name} has the XCom of {', '.join(given)} inside, or made of it"
            )
        if why := uncarried(value):
            raise Undetermined(f"its argument {name}: {why}")
        if isinstance(value, Mapping) and (_OWN_WORDS & value.keys() or "__class__" in value):
            raise Undetermined(f"its argument {name} is no plain value")
        for text in texts_in([value]):
            try:
                compile_template(text, task.params, about=about(dag))
            except ParityError as error:
                raise Undetermined(" ".join(str(error).split())) from error
    if needs := next(filter(None, map(other_need, task.samples)), ""):
        raise Undetermined(needs)


def _refuse_xcoms(dag: Dag, task: Task, call: Call) -> None:
    tasks = {each.task_id: each for each in dag.tasks if isinstance(each, Task)}
    for name, xcom in call.xcoms.items():
        above = tasks.get(xcom.task)
        if above is None:
            raise Undetermined(f"its argument {name} is an XCom of {xcom.task}, which its DAG does not have")
        if above.mapped or above.in_mapped_group:
            raise Undetermined(f"its argument {name} is made of all instances of {xcom.task}")
    readers = readers_of_xcom(dag, task)
    if mapped := [name for name in readers if tasks[name].mapped or tasks[name].in_mapped_group]:
        raise Undetermined(f"its XCom decides how many instances {', '.join(mapped)} has")
    if readers and task.returns not in ("xcom", "multiple_outputs"):
        raise Undetermined(
            f"{', '.join(readers)} read its XCom, and the inventory does not say what it leaves: export it again"
        )


def _refuse_signature(task: Task, call: Call) -> None:
    """Raises Undetermined unless the function takes what it is given, and nothing of Airflow's but text."""
    signature = signature_of(task.source)
    if signature.asked is None:
        raise Undetermined("its function may take anything from Airflow's context")
    if airflows := [name for name in call.of_context if name not in OF_A_WINDOW]:
        raise Undetermined(f"its function takes {', '.join(airflows)} from Airflow's context")
    given = {*call.arguments, *call.xcoms, *call.of_context, SIDE}
    if missing := sorted(set(signature.required) - given):
        raise Undetermined(f"its function takes {', '.join(missing)}, and nothing gives that")
    if not signature.further and (strange := sorted(given - {SIDE, *signature.named})):
        raise Undetermined(f"its function takes no {', '.join(strange)}")
