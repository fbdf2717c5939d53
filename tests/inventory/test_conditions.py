"""Calls of dbt that a condition decides on: whether they run is never claimed."""

from __future__ import annotations

import textwrap

import pytest

from dagster_defs.inventory import UnitReading
from tests.support.inventory_samples import PYTHON, bash, read

BASH_DECORATED = "airflow.decorators.bash._BashDecoratedOperator"
NOT_TAKEN = {
    "two branches": "if [ $SIZE = big ]; then dbt run -s a; else dbt run -s b; fi",
    "one branch": "if [ -f /data/late ]; then dbt run -s a; fi",
    "a second try with another selection": "dbt run -s a || dbt run -s b",
    "a case": "case $SIZE in big) dbt run -s a;; *) dbt run -s b;; esac",
}
TAKEN = {
    "a test that fails the task": "[ -f /data/ready ] && dbt run -s a",
    "a branch that only fails": "if [ ! -f /data/ready ]; then exit 1; fi; dbt run -s a",
    "after a failure that is forgiven": "dbt deps || true; dbt run -s a",
}


@pytest.mark.parametrize("command", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_a_call_under_a_condition_is_not_determined(command: str) -> None:
    """A task that may have run something else, or nothing, has no mirror that runs it in each window."""
    unit = bash(command)

    assert not unit.determined
    assert "only under a condition, which is decided where the task runs" in unit.reason


@pytest.mark.parametrize("command", TAKEN.values(), ids=TAKEN)
def test_a_call_that_each_success_makes_is_determined(command: str) -> None:
    """Where a condition only fails the task, a successful run has made the call."""
    unit = bash(command)

    assert unit.determined, unit.reason


def python(body: str, operator: str = PYTHON) -> UnitReading:
    source = "def shop(ds, **context):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    return read({"op_args": [], "op_kwargs": {}}, operator=operator, source=source)


SKIPPED = {
    "a skip": "if context['ti'].x:\n    raise AirflowSkipException('not today')\n",
    "an early return": "if context['ti'].x:\n    return None\n",
    "a skip in a branch of a branch": "if ds:\n    if context['ti'].x:\n        raise AirflowSkipException\n",
}


@pytest.mark.parametrize("before", SKIPPED.values(), ids=SKIPPED)
def test_what_follows_an_early_end_is_not_determined(before: str) -> None:
    """Skipped windows run no dbt, and look like any other success."""
    unit = python(before + "subprocess.run(['dbt', 'run', '-s', 'a'], check=True)")

    assert not unit.determined
    assert "only under a condition" in unit.reason


def test_what_follows_a_failure_is_determined() -> None:
    """A branch that raises fails the task, so a successful run has made the call."""
    unit = python(
        "if context['ti'].x:\n    raise ValueError('no')\nsubprocess.run(['dbt', 'run', '-s', 'a'], check=True)"
    )

    assert unit.determined, unit.reason


def test_of_several_scripts_one_is_returned() -> None:
    """`@task.bash` runs the one text that its function returns, and the function decides which."""
    body = "if context['ti'].x:\n    return 'dbt run -s a'\nreturn 'dbt run -s b'"
    unit = python(body, BASH_DECORATED)

    assert not unit.determined
    assert [each.selection.select for each in unit.invocations] == [("a",), ("b",)]


def test_of_two_scripts_one_refreshes_fully() -> None:
    """As in a shell script, a full refresh that a condition decides on is a trap, and the selection is known."""
    body = "if context['ti'].x:\n    return 'dbt run -s a --full-refresh'\nreturn 'dbt run -s a'"
    unit = python(body, BASH_DECORATED)

    assert unit.determined, unit.reason
    assert [warning.code.value for warning in unit.warnings] == ["full-refresh-on-branch"]


def test_what_stands_behind_the_end_is_not_read() -> None:
    """Nothing runs after a `return` or a `raise` that is always reached."""
    unit = python(
        "subprocess.run(['dbt', 'run', '-s', 'a'], check=True)\nreturn 1\nsubprocess.run(['dbt', 'test'])"
    )

    assert [each.selection.command for each in unit.invocations] == ["run"]


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ("if os.system('dbt run -s a') != 0:\n    raise SystemExit(1)", False),
        ("sys.exit(os.system('dbt run -s a'))", False),
        ("os.system('dbt run -s a')", True),
    ],
)
def test_an_exit_code_that_is_looked_at_is_not_lost(body: str, masked: bool) -> None:
    """`os.system` returns it, and what raises then fails the task."""
    assert python(body).masks_failure is masked
