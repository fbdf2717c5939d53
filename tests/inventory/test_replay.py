"""What is run again of a task's commands: the words as Airflow rendered them, without the places."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from dagster_defs.errors import NotRehearsable
from dagster_defs.inventory.document import Dag, Task, read_document
from dagster_defs.inventory.replay import DbtCall, FunctionCall, dbt_calls, function_calls, without_places
from dagster_defs.windows import Window
from tests.support import inventory_samples as samples
from tests.support.inventory_samples import BASH, PYTHON

NIGHT = Window.between("2024-03-09T00:00:00+00:00", "2024-03-10T00:00:00+00:00")


def one_task(raw: Mapping[str, Any], rendered: Mapping[str, Any], **more: Any) -> tuple[Task, Dag]:
    """A daily task with one rendered window."""
    sample = {"start": NIGHT.start.isoformat(), "end": NIGHT.end.isoformat(), "fields": dict(rendered)}
    task = {"task_id": "t", "operator": BASH, "templated": dict(raw), "rendered": [sample], **more}
    schedule = {"text": "0 0 * * *", "kind": "cron", "cron": "0 0 * * *", "timezone": "UTC"}
    dag = {"dag_id": "d", "schedule": schedule, "timezone": "UTC", "tasks": [task]}
    document = {
        "schema": "parity/inventory/1", "complete": True, "airflow_version": "2.11.2", "import_errors": [],
        "dags": [dag],
    }  # fmt: skip
    [found] = read_document(document, "inventory.json").dags
    [read] = found.tasks
    assert isinstance(read, Task)
    return read, found


def shell(raw: str, rendered: str, **fields: Any) -> tuple[DbtCall, ...]:
    task, dag = one_task({"bash_command": raw, **fields}, {"bash_command": rendered, **fields})
    return dbt_calls(task, dag, samples.FakeProject().reads)[NIGHT]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("build --select tag:daily --target prod", "build --select tag:daily"),
        ("--target=prod run -s a b", "run -s a b"),
        ("run -t prod -x", "run -x"),
        ("run -tprod --threads 4", "run --threads 4"),
        ("run --profiles-dir /p --project-dir /q --target-path /r --log-path /s --profile z", "run"),
        ("run --vars --target --full-refresh", "run --vars --target --full-refresh"),
    ],
)
def test_places_go_and_everything_else_stays(words: str, kept: str) -> None:
    """What says where dbt reads and writes is left out, in each of its spellings; the value of --vars is kept."""
    assert without_places(words.split()) == tuple(kept.split())


def test_a_chain_is_replayed_in_its_order() -> None:
    """Calls that build or test stay in order; `deps` does not, and a masked call says that it may fail."""
    calls = shell(
        "dbt deps && dbt seed && dbt run --vars 'day: {{ ds }}' && (dbt test || true)",
        "dbt deps && dbt seed && dbt run --vars 'day: 2024-03-09' && (dbt test || true)",
    )

    assert [(call.command, call.masked) for call in calls] == [
        ("seed", False), ("run", False), ("test", True)
    ]  # fmt: skip
    assert calls[1].words == ("run", "--vars", "day: 2024-03-09")
    assert calls[1].vars == {"day": date(2024, 3, 9)}  # without quotes: dbt reads a date


def test_the_windows_environment_is_told_from_literals() -> None:
    """A variable that Airflow rendered is the window's; a literal of the DAG is not; places and secrets go."""
    task, dag = one_task(
        {
            "bash_command": "dbt run -s a --vars 'min_date: {{ ds }}'",
            "env": {"RUN_DAY": "{{ ds }}", "REGION": "eu", "DBT_TARGET": "prod", "TOKEN": "***"},
        },
        {
            "bash_command": "dbt run -s a --vars 'min_date: 2024-03-09'",
            "env": {"RUN_DAY": "2024-03-09", "REGION": "eu", "DBT_TARGET": "prod", "TOKEN": "***"},
        },
    )

    [call] = dbt_calls(task, dag, samples.FakeProject().reads)[NIGHT]

    assert (call.rendered, call.literal) == ({"RUN_DAY": "2024-03-09"}, {"REGION": "eu"})


@pytest.mark.parametrize(
    ("raw", "rendered", "named"),
    [
        ("./dbt_all.sh", "./dbt_all.sh", "dbt_all.sh"),
        ("dbt run -s $MODELS", "dbt run -s $MODELS", "MODELS"),
        ("dbt run -s {{ params.m }}", "dbt run -s orders", "params"),
        ("if [ -f /x ]; then dbt run; fi", "if [ -f /x ]; then dbt run; fi", "condition"),
        ("dbt deps", "dbt deps", "builds"),
    ],
)
def test_what_is_not_known_is_refused(raw: str, rendered: str, named: str) -> None:
    """A command that hides what it runs is refused, with the unit and what hides it."""
    with pytest.raises(NotRehearsable, match=named) as refused:
        shell(raw, rendered)
    assert refused.value.unit == "d.t"


def test_a_function_gets_what_airflow_rendered() -> None:
    """A PythonOperator's call has its dotted path and its rendered arguments."""
    task, _ = one_task(
        {"op_args": [1], "op_kwargs": {"day": "{{ ds }}"}},
        {"op_args": [1], "op_kwargs": {"day": "2024-03-09"}},
        operator=PYTHON,
        python_callable={"module": "include.export", "qualname": "daily", "source": None},
    )

    assert function_calls(task) == {NIGHT: FunctionCall("include.export.daily", (1,), {"day": "2024-03-09"})}
