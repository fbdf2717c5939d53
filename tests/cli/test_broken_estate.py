"""A dbt project that cannot be read breaks each unit that runs it, and no command takes that for good news."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dagster_defs import cli

MIRROR = """
type: dagster_defs.components.DbtUnit
attributes:
  unit: own.{name}
  schedule: {{cron: "@daily", start: "2024-01-01"}}
  project: dbt
  select: {name}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two units of a dbt project that is not there."""
    file = tmp_path / "broken_estate" / "defs" / "own" / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("---".join(MIRROR.format(name=name) for name in ("one", "two")))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "broken_estate"\n'
    )
    (tmp_path / "dbt").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_check_of_broken_units_fails_with_the_reason(project: Path) -> None:
    """Each unit is named with what is wrong, nothing is a match, and the exit code is that of a wrong request."""
    outcome = CliRunner().invoke(cli.app, ["check", "--from", "2024-01-01", "--json"])

    checks = json.loads(outcome.stdout)
    assert outcome.exit_code == 2
    assert {check["unit"] for check in checks} == {"own.one", "own.two"}
    assert all("it has no dbt_project.yml" in json.dumps(check) for check in checks)


def test_the_status_of_broken_units_fails_with_the_reason(project: Path) -> None:
    """One fault, however many units it breaks."""
    outcome = CliRunner().invoke(cli.app, ["status", "--json"])

    [fault] = json.loads(outcome.stdout)["broken"]
    assert outcome.exit_code == 1
    assert "it has no dbt_project.yml" in fault["why"]
    assert fault["units"] == ["own.one", "own.two"]
