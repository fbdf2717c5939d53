"""`parity inventory --summary`: what the scaffold would make of an estate, counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from tests.support.scaffolded import PROJECT, dag, task

KEYS = {
    "text": "0 6 * * *",
    "kind": "cron-partition",
    "occasion": "partition",
    "cron": "0 6 * * *",
    "timezone": "UTC",
    "interval_is_empty": False,
}
TICKS = {**KEYS, "kind": "cron-trigger", "occasion": "tick", "interval_is_empty": True}
EMPTY = "airflow.operators.empty.EmptyOperator"
BROKEN_FILE = {"file": "dags/broken.py", "error": "ModuleNotFoundError: No module named 'vendor'"}
BUILD, EMPTIED = "dbt run -s orders_per_day", "dbt run -s orders_per_day --empty"

DAGS = [
    dag("sound", task("one", BUILD), task("two", BUILD)),
    dag("lacking", task("emptied", EMPTIED), task("masked", BUILD, callbacks={"on_retry_callback": ["a.b"]})),
    dag("mixed", task("fine", BUILD), task("script", "./run.sh"), task("start", "", operator=EMPTY)),
    dag("keyed", task("now", BUILD), task("then", f"{BUILD} --vars '{{day: 3}}'"), schedule=KEYS),
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`parity inventory --summary` on DAGs; its options, its exit code and what it prints."""
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    project = tmp_path / "dbt"
    shutil.copytree(PROJECT, project)

    def summary(
        *options: str,
        errors: list[dict[str, str]] | None = None,
        code: int = 0,
        dags: list[dict[str, Any]] = DAGS,
    ) -> str:
        document = {"schema": "parity/inventory/1", "complete": True, "airflow_version": "2.11.2",
                    "import_errors": errors or [], "dags": dags}  # fmt: skip
        file = tmp_path / "inventory.json"
        file.write_text(json.dumps(document))
        arguments = ["inventory", str(file), "--dbt-project", str(project), "--summary", *options]
        outcome = CliRunner().invoke(cli.app, arguments)
        assert outcome.exit_code == code, outcome.exception
        return outcome.stdout

    return summary


def test_every_task_is_counted_once(run: Any) -> None:
    """By kind, by mirror, and by the reason where there is none."""
    document = json.loads(run("--json"))

    assert document["dags"] == {
        "all": 4,
        "import_errors": 0,
        "every_task_mirrored": ["sound", "lacking"],
        "without_a_gap": ["sound"],
        "reachable": ["sound", "lacking", "mixed"],
        "occasions": {"window": 3, "partition": 1},
    }
    tasks = document["tasks"]
    assert (tasks["all"], tasks["mirrored"], tasks["with_gap"], tasks["unmirrored"]) == (9, 3, 2, 4)
    assert (tasks["as_it_is"], tasks["needless"]) == (
        1,
        1,
    )  # the script and the marker; two have partition keys
    assert tasks["kinds"] == {"dbt-run": 7, "may-run-dbt": 1, "non-dbt": 1}
    assert document["dbt_tasks"] == {"all": 7, "determined": 7, "mirrored": 3, "with_gap": 2, "as_it_is": 0}
    assert document["mirrors"] == {"DbtUnit": 5, "LegacyTask": 1}
    assert sum(document["reasons"].values()) == 2
    [twice] = [reason for reason, count in document["reasons"].items() if count == 2]
    assert "a partition key and no window" in twice
    assert any("on_retry_callback" in gap for gap in document["gaps"])


def test_it_is_shown_to_a_person(run: Any) -> None:
    """The same counts, the most frequent reasons first."""
    shown = run()

    assert "4 DAGs, 9 tasks (Airflow 2.11.2)" in shown
    assert "Nothing keeps 3 of 4 DAGs in Airflow: each task has a mirror, or needs none" in shown
    assert "Every task has a better mirror than its operator as it is in 2, in 1 without a gap" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith(("dbt tasks", "all tasks"))] == [
        ["dbt", "tasks", "7", "7", "3", "2", "0", "0", "2"],
        ["all", "tasks", "9", "3", "2", "1", "1", "2"],
    ]
    assert "a partition key and no window" in shown.partition("NO MIRROR, BECAUSE")[2]
    assert "What the runs of DAGs are about: 3 windows, 1 partition keys" in shown


def test_a_dag_of_ticks_is_counted_as_one_with_mirrors(run: Any) -> None:
    """What Airflow 3 makes of a bare cron is in reach, and is told from windows."""
    document = json.loads(run("--json", dags=[dag("ticking", task("now", BUILD), schedule=TICKS), DAGS[0]]))

    assert document["dags"]["occasions"] == {"tick": 1, "window": 1}
    assert document["dags"]["reachable"] == ["ticking", "sound"]
    assert document["reasons"] == {}


def test_a_file_that_does_not_import_is_counted(run: Any) -> None:
    """It is an error where somebody asks for that."""
    assert "DAG files that do not import: 1" in run(errors=[BROKEN_FILE])
    run("--strict", errors=[BROKEN_FILE], code=1)
    run("--strict")
