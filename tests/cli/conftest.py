"""What commands of several modules need: servers and a ledger of their own, and a scaffold of given DAGs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from tests.support.fake_dagster import FakeDagster
from tests.support.fakes import FakeAirflow
from tests.support.night import Night
from tests.support.scaffolded import PROJECT


@pytest.fixture
def night(
    tmp_path: Path,
    airflow: FakeAirflow,
    dagster_server: FakeDagster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Night:
    return Night(tmp_path / "proxied_state", airflow, dagster_server, monkeypatch, capsys)


@pytest.fixture
def scaffolded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
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
