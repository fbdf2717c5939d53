"""What a project declares is read from the project that the settings name, whatever folder a process is in."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dagster_defs.components.compare.comparing import RunComparison
from dagster_defs.errors import NoSuchUnit, TeamFileUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import check_units, named_mirrors
from dagster_defs.usecases.move.facts import read_all
from dagster_defs.usecases.report import read_report
from dagster_defs.usecases.status import read_status
from dagster_defs.usecases.verify import inventory_at_hand, verify

OWN = Unit("own", "load")
MIRROR = """
type: dagster_defs.components.LegacyTask
attributes:
  unit: own.load
  schedule: {cron: "@daily", start: "2024-01-01"}
  shadow: never
  because: it is only read
"""
INVENTORY: dict[str, Any] = {
    "schema": "parity/inventory/1",
    "complete": True,
    "airflow_version": "2.11.2",
    "import_errors": [],
    "dags": [],
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a project that is not the one of the current folder."""
    file = tmp_path / "elsewhere" / "defs" / "own" / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(MIRROR)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "elsewhere"\n'
    )
    (tmp_path / "inventory.json").write_text(json.dumps(INVENTORY))
    monkeypatch.syspath_prepend(tmp_path)
    return Settings({}, tmp_path)


def test_its_mirrors_are_read(settings: Settings) -> None:
    """Each look and each move knows its unit, and no other."""
    assert [mirror.legacy_unit for mirror in named_mirrors(settings, [])] == [OWN]
    assert [state.unit for state in read_status(settings, facets=True).states] == [OWN]
    assert [unit.state.unit for unit in read_report(settings, datetime.now(timezone.utc)).units] == [OWN]
    assert [unit.unit for unit in verify(settings, "", None).units] == [OWN]
    assert list(read_all(settings, [OWN]).mirrors) == [OWN]
    with pytest.raises(NoSuchUnit, match=r"Known units: own\.load"):
        list(check_units(settings, ["taxi_daily.dbt_daily"], "2024-01-01", ""))


def test_its_teams_file_is_read(settings: Settings) -> None:
    """Beside its inventory."""
    settings.team_file.write_text("[")

    with pytest.raises(TeamFileUnreadable, match=str(settings.root)):
        inventory_at_hand(settings, None)


def test_a_run_compares_with_its_units_settings(tmp_path: Path) -> None:
    """A run's process may be anywhere."""
    compared = cast("Any", SimpleNamespace(unit=SimpleNamespace(root=tmp_path)))

    assert RunComparison(compared, cast("Any", None), [], False, None).settings.root == tmp_path
