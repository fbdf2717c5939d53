"""`parity scaffold`: YAML from an inventory, gaps in plain sight, and never over a hand's edit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs import cli
from tests.estate import ROOT

PROJECT = ROOT / "tests" / "journeys" / "foreign" / "dbt"
CRON = {"text": "0 5 * * *", "kind": "cron", "cron": "0 5 * * *", "timezone": "Europe/Berlin"}


def task(task_id: str, command: str, **more: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "operator": "airflow.operators.bash.BashOperator",
        "templated": {"bash_command": command},
        "owner": "shop",
        **more,
    }


def dag(dag_id: str, *tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "schedule": {**CRON, "interval_is_empty": False},
        "timezone": "Europe/Berlin",
        "start": "2023-12-31T23:00:00+00:00",
        "tasks": list(tasks),
        **more,
    }


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`parity scaffold --json` on DAGs: the files by their folder."""
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    project = tmp_path / "dbt"
    shutil.copytree(PROJECT, project)

    def scaffold(*dags: dict[str, Any]) -> dict[str, dict[str, Any]]:
        document = {
            "schema": "parity/inventory/1", "complete": True, "airflow_version": "2.11.2",
            "import_errors": [], "dags": list(dags),
        }  # fmt: skip
        file = tmp_path / "inventory.json"
        file.write_text(json.dumps(document))
        out = tmp_path / "dagster_defs" / "defs"
        arguments = ["scaffold", str(file), "--dbt-project", str(project), "--out", str(out), "--json"]
        outcome = CliRunner().invoke(cli.app, arguments)
        assert outcome.exit_code == 0, outcome.exception
        return {Path(file["path"]).parent.name: file for file in json.loads(outcome.stdout)["files"]}

    return scaffold


def test_a_unit_becomes_a_mirror(run: Any) -> None:
    """Schedule, command, selection and variables of the task stand in the YAML, as in the DAG."""
    command = "dbt run -s orders_per_day --vars '{from_day: \"{{ ds }}\", env: dev}'"
    sample = {
        "start": "2024-03-01T04:00:00+00:00",
        "end": "2024-03-02T04:00:00+00:00",
        "fields": {"bash_command": command.replace("{{ ds }}", "2024-03-01")},
    }
    written = run(dag("orders", task("marts", command, pool="warehouse", rendered=[sample])))["orders"]

    [mirror] = list(yaml.safe_load_all(Path(written["path"]).read_text()))
    attributes = mirror["attributes"]
    assert mirror["type"] == "dagster_defs.components.DbtUnit"
    assert attributes["unit"] == "orders.marts"
    assert attributes["schedule"] == {"cron": "0 5 * * *", "timezone": "Europe/Berlin", "start": "2024-01-01"}
    assert (attributes["command"], attributes["select"], attributes["pool"]) == (
        "run",
        "orders_per_day",
        "warehouse",
    )
    assert attributes["vars"]["env"] == "dev"
    assert "{{ ds }}" in str(attributes["vars"]["from_day"])
    assert attributes["owners"] == ["team:shop"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(dag("x", task("t", "dbt run"), schedule={**CRON, "kind": "none", "text": "None"}),
                     "no window that recurs", id="no schedule"),
        pytest.param(dag("x", task("t", "dbt run -s {{ params.model }}")), "params", id="a selection from params"),
        pytest.param(dag("x", task("t", "dbt run --vars '{day: \"{{ dag_run.conf.day }}\"}'")), "dag_run.conf",
                     id="a window from conf"),
        pytest.param(dag("x.y", task("t", "dbt run")), "dot", id="a dot in the name"),
        pytest.param(dag("x", task("t", "dbt run", mapped=True)), "mapped", id="mapped"),
        pytest.param(dag("x", task("t", "dbt run"), start=None), "start date", id="no start"),
    ],
)  # fmt: skip
def test_what_cannot_be_mirrored_is_a_comment(run: Any, given: dict[str, Any], said: str) -> None:
    """A unit that cannot be mirrored as it is becomes a marked gap and no YAML."""
    [written] = run(given).values()

    text = Path(written["path"]).read_text()
    assert written["units"] == []
    assert any(said in gap for gap in written["gaps"])
    assert "# GAP: " in text
    assert list(yaml.safe_load_all(text)) in ([], [None])
    assert Path(written["path"]).name == "gaps.yaml"


def test_a_hand_edit_stays(run: Any) -> None:
    """A file that was edited is left as it is and reported; one that was not is renewed."""
    before, after = dag("a", task("t", "dbt run")), dag("a", task("t", "dbt run -s stock_levels"))
    path = Path(run(before)["a"]["path"])
    assert run(before)["a"]["outcome"] == "unchanged"
    assert run(after)["a"]["outcome"] == "written"
    path.write_text(path.read_text() + "  retries: 3\n")
    edited = path.read_text()

    assert run(before)["a"]["outcome"] == "edited"
    assert path.read_text() == edited


def test_a_file_without_a_digest_is_a_hands(run: Any, tmp_path: Path) -> None:
    """A file that the command did not write is never replaced."""
    path = tmp_path / "dagster_defs" / "defs" / "a" / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n")

    assert run(dag("a", task("t", "dbt run")))["a"]["outcome"] == "edited"
    assert path.read_text() == "# mine\n"
