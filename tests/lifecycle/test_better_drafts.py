"""What the scaffold makes of a task that runs a command or a function, where the team prefers that to the operator."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.inventory.document import Dag, Schedule, Task
from dagster_defs.inventory.legacy_task import Better
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.command_tasks import draft_command
from dagster_defs.lifecycle.python_tasks import draft_python

DAILY = Schedule("@daily", "cron", "0 0 * * *", "UTC", False)
NEVER = {"shadow": "never", "because": NOBODY_HAS_SAID}
BASH = ("airflow.providers.standard.operators.bash.BashOperator",)
PYTHON = ("airflow.operators.python.PythonOperator",)
SOURCE = "def export(day, side, level='info'):\n    ...\n"


def of_dag(one: Task, *others: Task) -> Dag:
    return Dag("orders", DAILY, "UTC", (one, *others))


def command(text: Any, *others: Task, **more: Any) -> Better:
    known: dict[str, Any] = {"settings": {"append_env": False, "skip_on_exit_code": [99]}, **more}
    templated = {"bash_command": text, "env": known.pop("env", None), "cwd": known.pop("cwd", None)}
    one = Task("orders", "export", BASH, templated, **known)
    found = draft_command(of_dag(one, *others), one)
    assert found is not None
    return found


def test_a_command_of_which_everything_is_known() -> None:
    """Text, params, environment, folder and skips stand in the mirror; where it writes is for the team to say."""
    settings = {"append_env": True, "skip_on_exit_code": [3, 4]}

    found = command("run {{ ds }}", env={"DAY": "{{ ds }}"}, cwd="/opt", settings=settings, params={"id": 7})

    assert found.attributes == {
        "command": "run {{ ds }}",
        "params": {"id": 7},
        "command_env": {"DAY": "{{ ds }}"},
        "append_env": True,
        "cwd": "/opt",
        "skip_on_exit_code": [3, 4],
        **NEVER,
    }
    assert command("true").attributes == {"command": "true", **NEVER}
    assert "see to it that its programs are there" in command("true").notes[0]


READER = Task("orders", "reader", BASH, {"bash_command": "{{ ti.xcom_pull(task_ids='export') }}"})


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (lambda: command("echo {{ var.value.bucket }}"), "var.value.bucket"),
        (lambda: command("true", READER), "reader read its XCom"),
        (lambda: command({"__xcom__": ["above"]}), "is not text"),
        (lambda: command("go", env={"A": {"__xcom__": ["above"]}}), "it gets the XCom of above"),
        (lambda: command("/opt/export.sh"), "ends like the name of a file"),
        (lambda: command("true", cwd="{{ ds }}"), "its cwd is a template"),
        (lambda: command("true", settings={}), "export it again"),
        (lambda: command("echo ***"), "masked in the inventory"),
    ],
)
def test_a_command_that_only_airflow_knows_stays_as_it_is(found: Any, why: str) -> None:
    """With the reason in a note."""
    better = found()

    assert better.attributes is None
    assert why in better.notes[0]


def function(
    given: Any, *others: Task, source: str | None = SOURCE, refusal: str = "", **more: Any
) -> Better:
    templated = {"op_kwargs": given, "op_args": [], **more.pop("templated", {})}
    one = Task(
        "orders", "export", PYTHON, templated, source=source, callable_name="include.export.daily", **more
    )
    found = draft_python(of_dag(one, *others), one, lambda _: refusal)
    assert found is not None
    return found


def test_a_function_that_takes_its_side_needs_no_airflow() -> None:
    """The mirror has its arguments but the side, which it gives itself; what it writes is for the team to say."""
    assert function({"day": "{{ ds }}", "side": "legacy"}).attributes == {
        "function": "include.export.daily",
        "arguments": {"day": "{{ ds }}"},
        "outputs": {"none": True, "because": NOBODY_HAS_SAID},
    }


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (lambda: function({"day": "{{ ds }}"}, source="def export(day): ..."), "takes no `side`"),
        (lambda: function({}, source="def export(ds, side): ..."), "takes ds from Airflow's context"),
        (lambda: function({}, source="def export(side, **context): ..."), "anything from Airflow's context"),
        (lambda: function({"day": "1", "more": 2}), "its function takes no more"),
        (lambda: function({"day": {"__xcom__": ["above"]}}), "it gets the XCom of above"),
        (lambda: function({"day": "{{ ti.xcom_pull('above') }}"}), "ti.xcom_pull"),
        (lambda: function({"day": {"__class__": "shop.Day"}}), "its argument day is no plain value"),
        (lambda: function({"day": "1"}, templated={"op_args": ["2"]}), "arguments without names"),
        (lambda: function({"day": "1"}, templated={"templates_dict": {"a": "b"}}), "gets templates_dict"),
        (lambda: function({"day": "{{ params.day }}"}, params={"day": "1"}), "its arguments read params"),
        (lambda: function({"day": "1"}, source=None), "the source of its function is not in the inventory"),
        (lambda: function({"day": "1"}, refusal="it imports airflow"), "it imports airflow"),
        (lambda: function({"day": "1"}, READER), "reader read its XCom"),
    ],
)
def test_a_function_that_needs_airflow_stays_as_it_is(found: Any, why: str) -> None:
    """With the reason in a note."""
    better = found()

    assert better.attributes is None
    assert why in better.notes[0]


def test_other_operators_are_none_of_either() -> None:
    """A custom subclass may do anything."""
    for kind in ("company.operators.BashOperator", "airflow.operators.email.EmailOperator"):
        task = Task("orders", "export", (kind,), {"bash_command": "true"})
        assert draft_command(of_dag(task), task) is None
        assert draft_python(of_dag(task), task, lambda _: "") is None
