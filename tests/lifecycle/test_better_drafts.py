"""What the scaffold makes of a task that runs a command or a function, where the team prefers that to the operator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dagster_defs.inventory.document import Dag, Sample, Schedule, Task
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


ABOVE = Task("orders", "above", PYTHON, {}, returns="xcom")
MAPPED = Task("orders", "above", PYTHON, {}, mapped=True, returns="xcom")
XCOM = {"__xcom__": ["above"], "key": "return_value"}
PULLED = "{{ ti.xcom_pull(task_ids='above', key='size') }}"


def drawn(*names: str, **fields: Any) -> dict[str, Any]:
    """More of a task that gets XComs: what Airflow has rendered beside them."""
    asked = dict.fromkeys(names or ("xcom of above",), "known only while a run is going on")
    return {"samples": (Sample("", "", fields, {"op_kwargs": "xcom of above"}, asked),)}


def test_arguments_without_names_get_the_functions_own() -> None:
    """Airflow calls it by place, the mirror by name."""
    found = function({"level": "warn"}, templated={"op_args": ["{{ ds }}"]})

    assert found.attributes is not None
    assert found.attributes["arguments"] == {"day": "{{ ds }}", "level": "warn"}


def test_a_function_that_is_not_told_its_side_has_no_candidate() -> None:
    """It would write where legacy does."""
    found = function({"day": "{{ ds }}"}, source="def export(day): ...")

    assert found.attributes == {"function": "include.export.daily", "arguments": {"day": "{{ ds }}"}, **NEVER}


@pytest.mark.parametrize(
    "source",
    [
        "def export(day, side, ds): ...",
        "def export(day, side, ds=None): ...",
        "def export(day, side, **context): print(context['ds'])",
        "def export(day, side, **context): print(context.get('ds'))",
    ],
)
def test_text_of_airflows_context_is_a_template(source: str) -> None:
    """Airflow gives it also to a parameter that has a default."""
    found = function({"day": "1"}, source=source)

    assert found.attributes is not None
    assert found.attributes["arguments"] == {"day": "1", "ds": "{{ ds }}"}


def test_a_mapping_of_further_arguments_that_nobody_reads() -> None:
    """Whatever Airflow puts into it, the function is the same without."""
    found = function({"day": "1"}, source="def export(day, side, **context): print(day)")

    assert found.attributes is not None
    assert found.attributes["arguments"] == {"day": "1"}


@pytest.mark.parametrize(
    ("given", "xcom"),
    [
        (XCOM, {"argument": "day", "task": "above"}),
        ({**XCOM, "key": "size"}, {"argument": "day", "task": "above", "key": "size"}),
        ("{{ ti.xcom_pull('above') }}", {"argument": "day", "task": "above", "text": True}),
        (PULLED, {"argument": "day", "task": "above", "key": "size", "text": True}),
    ],
)
def test_an_xcom_of_a_task_above(given: Any, xcom: dict[str, Any]) -> None:
    """As it stands, or in a template of its own, which makes text of it."""
    found = function({"day": given}, ABOVE, **drawn())

    assert found.attributes is not None
    assert (found.attributes["arguments"], found.attributes["xcoms"]) == ({}, [xcom])


def test_what_others_read_is_left_for_them() -> None:
    """As Airflow leaves it; without readers nothing is kept."""
    for returns in ("xcom", "multiple_outputs"):
        found = function({"day": "1"}, READER, returns=returns)
        assert found.attributes is not None
        assert found.attributes["returns"] == returns
    alone = function({"day": "1"}, returns="xcom").attributes
    assert alone is not None
    assert "returns" not in alone


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (lambda: function({}, source="def export(ti, side): ..."), "takes ti from Airflow's context"),
        (lambda: function({}, source="def export(side, ti=None): ..."), "takes ti from Airflow's context"),
        (lambda: function({}, source="def export(side, **c): c['ti']"), "takes ti from Airflow's context"),
        (lambda: function({}, source="def export(side, **c): f(c)"), "anything from Airflow's context"),
        (lambda: function({}, source="def export(side, *c): ..."), "by their place only"),
        (lambda: function({}), "its function takes day, and nothing gives that"),
        (lambda: function({"day": "1", "more": 2}), "its function takes no more"),
        (
            lambda: function({"day": {"__xcom__": ["above", "b"], "key": None}}, ABOVE),
            "has the XCom of above, b",
        ),
        (lambda: function({"day": [XCOM]}, ABOVE), "has the XCom of above inside"),
        (lambda: function({"day": f"at {PULLED}"}, ABOVE), "ti.xcom_pull"),
        (lambda: function({"day": XCOM}), "an XCom of above, which its DAG does not have"),
        (lambda: function({"day": XCOM}, MAPPED), "is made of all instances of above"),
        (lambda: function({"day": XCOM}, ABOVE, **drawn("xcom of above", "dag_run.conf")), "xcom of above"),
        (lambda: function({"day": {"__class__": "shop.Day"}}), "its argument day is no plain value"),
        (lambda: function({"day": "1"}, templated={"op_args": ["2"]}), "it gives day twice"),
        (lambda: function({}, templated={"op_args": ["2"] * 4}), "more arguments without names"),
        (lambda: function({"day": "1"}, templated={"templates_dict": {"a": "b"}}), "gets templates_dict"),
        (lambda: function({"day": "{{ params.day }}"}, params={"day": "1"}), "its arguments read params"),
        (lambda: function({"day": "1"}, source=None), "the source of its function is not in the inventory"),
        (lambda: function({"day": "1"}, refusal="it imports airflow"), "it imports airflow"),
        (lambda: function({"day": "***"}), "masked in the inventory"),
        (lambda: function({"day": "1"}, READER), "does not say what it leaves: export it again"),
        (
            lambda: function({"day": "1"}, replace(READER, mapped=True), returns="xcom"),
            "its XCom decides how many instances reader has",
        ),
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
