"""A field that a library's `execute` would run, of a class with an `execute` of the team's own."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest

from dagster_defs.inventory.document import Task
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.operators import Call, find_calls
from tests.support.own_operators import Workshop

HEAD = """
import functools
import subprocess

from airflow.operators.bash import BashOperator
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        yield Workshop(tmp_path_factory.mktemp("team"), patch)


def calls_of_a_shell_task(workshop: Workshop, source: str) -> list[Call]:
    """Of a task whose `bash_command` is dbt's, and whose class is `Op`."""
    operator = workshop.module(HEAD + textwrap.dedent(source)).Op(bash_command="dbt run")
    code, classes = workshop.code(operator), workshop.classes(operator)
    fields = {"bash_command": "dbt run"}
    return find_calls(Task("shop", "t", tuple(classes), fields, own_code=code), fields, Holes())


def with_execute(execute: str) -> str:
    return f"class Op(BashOperator):\n{textwrap.indent(execute, '    ')}"


SILENT = {
    "only a value": "def execute(self, context):\n    return self.bash_command",
    "nothing": "def execute(self, context):\n    pass",
}
UNSHOWN = {
    "asynchronous": "async def execute(self, context):\n    super().execute(context)",
    "decorated": "@functools.lru_cache\ndef execute(self, context):\n    super().execute(context)",
    "a value": "execute = functools.partial(print, 'dbt')",
    "what is not known": "def execute(self, context):\n    context['ti'].launch(self.bash_command)",
}


@pytest.mark.parametrize("execute", SILENT.values(), ids=SILENT)
def test_a_field_that_execute_does_not_start_is_no_call(workshop: Workshop, execute: str) -> None:
    """The base class would run the field, but its `execute` is not called."""
    assert calls_of_a_shell_task(workshop, with_execute(execute)) == []


@pytest.mark.parametrize("execute", UNSHOWN.values(), ids=UNSHOWN)
def test_a_field_says_nothing_beside_an_execute_that_is_not_shown(workshop: Workshop, execute: str) -> None:
    """Whether the field is run is for that `execute` to decide: the call is hidden, with a reason."""
    calls = calls_of_a_shell_task(workshop, with_execute(execute))
    assert calls
    assert all(call.hidden and not call.words for call in calls)


def test_a_field_of_a_library_s_execute_is_run(workshop: Workshop) -> None:
    """The team's own comes after it, and is never called."""
    source = """
    class Late:
        def execute(self, context):
            subprocess.run(["dbt", "seed"])

    class Op(BashOperator, Late):
        pass
    """
    [call] = calls_of_a_shell_task(workshop, source)
    assert call.words == ("run",)
