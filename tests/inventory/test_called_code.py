"""A PythonOperator's callable that runs dbt by what it calls of the team's own."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dagster_defs.inventory.document import Task, own_code_of
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.operators import Call, find_calls
from tests.support.inventory_samples import PYTHON
from tests.support.own_operators import Workshop

HELPERS = """
import subprocess
from dbt.cli.main import dbtRunner

TARGET = "prod"
FOLDERS = ["staging", "marts"]

def start(words, check=True, **rest):
    subprocess.run(["dbt", *words, "--target", TARGET], check=check)

def checked(command, folder, accepted=0):
    result = subprocess.run(command, cwd=folder)
    if result.returncode in [0, accepted]:
        print("done")
    else:
        raise RuntimeError(result.returncode)

def in_process(verb, model, **context):
    words = [verb, "--select", model, "--vars", '{"day": "%s"}' % context["ds"]]
    result: object = dbtRunner().invoke(words)
    if not result.success:
        raise RuntimeError("dbt failed")

def of_day(words, ds=None, dag="none", **more):
    start([*words, "--vars", "{{day: {}}}".format(ds), "-s", dag])

def not_on_sundays(context):
    if context["ti"].x:
        raise AirflowSkipException
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        yield Workshop(tmp_path_factory.mktemp("team"), patch)


def calls_of(
    workshop: Workshop, body: str, *, partial: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
) -> tuple[list[Call], Holes]:
    """The calls of a function `run`, and the holes in them."""
    source = HELPERS + "\ndef run(*args, **context):\n    " + body.replace("\n", "\n    ")
    module = workshop.module(source.replace("run(*args, ", "run(first=None, ") if partial else source)
    values = workshop.exporter.Values(workshop.exporter.Vault({}))
    code = workshop.exporter._called_code(module.run, values)
    fields: dict[str, Any] = {"op_args": [], "op_kwargs": kwargs or {}}
    task = Task(
        "shop", "t", (PYTHON,), fields, source=workshop.exporter._source(module.run.__code__)[0],
        callable_name=f"{module.__name__}.run", called_code=own_code_of(json.loads(json.dumps(code))),
        placed=tuple(partial),
    )  # fmt: skip
    holes = Holes()
    return find_calls(task, fields, holes), holes


def said(found: tuple[list[Call], Holes]) -> list[tuple[str, bool]]:
    """The words of each call as they were written, and whether its failure is lost."""
    calls, holes = found
    assert [call.hidden for call in calls if call.hidden] == []
    return [(holes.restore(" ".join(call.words)), call.masked) for call in calls]


SHOWN = {
    "start(['run', '-s', 'a'])": [("run -s a --target prod", False)],
    "start(['run'], check=False)": [("run --target prod", True)],
    "start(['run', '-s', *[f'models/{each}' for each in FOLDERS]])": [
        ("run -s models/staging models/marts --target prod", False)
    ],
    "checked(['dbt', 'test'], folder='/srv')": [("test", False)],
    "in_process('build', 'a', **context)": [('build --select a --vars {"day": "{{ ds }}"}', False)],
    "start(**{'words': ['seed']})": [("seed --target prod", False)],
    "start(['deps'])\nstart(['run'])": [("deps --target prod", False), ("run --target prod", False)],
}


@pytest.mark.parametrize(("body", "expected"), SHOWN.items(), ids=SHOWN)
def test_what_the_helper_starts_is_read(
    workshop: Workshop, body: str, expected: list[tuple[str, bool]]
) -> None:
    """With the arguments that it is given, and with the names of its own module."""
    assert said(calls_of(workshop, body)) == expected


def test_arguments_of_a_partial_come_first(workshop: Workshop) -> None:
    """`functools.partial(run, "a")` is called without it."""
    assert said(calls_of(workshop, "start(['run', '-s', first])", partial=["a"])) == [
        ("run -s a --target prod", False)
    ]


def test_a_name_of_airflows_context_is_no_default(workshop: Workshop) -> None:
    """`**context` passes `dag` too, so the default of the helper's own never counts."""
    [call], holes = calls_of(workshop, "of_day(['run'], **context)")

    assert "none" not in call.words
    assert "{{ ds }}" in holes.restore(" ".join(call.words))


def test_a_skip_in_a_helper_is_a_condition(workshop: Workshop) -> None:
    """What follows runs on some days only."""
    calls, _ = calls_of(workshop, "not_on_sundays(context)\nstart(['run'])")

    assert [call.conditional for call in calls if call.words] == [True]


def test_what_cannot_be_followed_is_a_reason(workshop: Workshop) -> None:
    """A failure that nobody looks at may be lost or not; nothing is guessed."""
    calls, _ = calls_of(workshop, "checked(['dbt', 'test'], '/srv', accepted=context['ti'].x)")

    assert any("fails the task is not shown" in call.hidden for call in calls)


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ("day = context['data_interval_start'].subtract(days=1)", "data_interval_start.subtract(days=1)"),
        ("day = context['logical_date'].strftime('%Y')", "logical_date.strftime('%Y')"),
        ("day = context['params'].get('day', TARGET)", "params.get('day', 'prod')"),
    ],
)
def test_a_method_keeps_its_arguments(workshop: Workshop, body: str, expression: str) -> None:
    """Also those by name: the day before is not the day."""
    found = said(calls_of(workshop, body + "\nstart(['run', '-s', f'{day}'])"))

    assert found == [(f"run -s {{{{ {expression} }}}} --target prod", False)]


def test_a_partial_is_exported_with_its_arguments(workshop: Workshop) -> None:
    """Those that are plain; the source is the function's own."""
    module = workshop.module(HELPERS + "\ndef run(first, **context):\n    start(['run', '-s', first])")
    values = workshop.exporter.Values(workshop.exporter.Vault({}))
    partial = functools.partial(functools.partial(module.run, "a"), limit=1)

    class Operator:
        python_callable = partial
        do_xcom_push = False

    shown = workshop.exporter.python_callable(Operator(), workshop.folder, values)

    assert (shown["placed"], shown["named"]) == (["a"], {"limit": 1})
    assert f"{module.__name__}.start" in shown["code"]["definitions"]
