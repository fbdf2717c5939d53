"""A candidate run that would write where legacy writes: refused, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.relations import refuse_legacy_relations
from dagster_defs.errors import WritesToLegacy
from dagster_defs.parity import Side
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import ONE_TRY

DAY = ("2024-03-09", "2024-03-09")


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    [failed] = result.filter_events(lambda event: event.event_type is dg.DagsterEventType.STEP_FAILURE)
    return str(failed.step_failure_data.error)


def test_the_same_dbt_target_is_refused(
    project: Project, dbt_unit: Callable[..., tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candidate target that is legacy's own: the run fails with the relation's name, and no database is made."""
    from dagster_defs.components.units import dbt_assets

    project.declare("own", dbt_unit())
    project.load()
    legacy = DbtWorkspace(project.estate.root / "dbt", "legacy")
    # As if the deployment had set PARITY_CANDIDATE_TARGET to legacy's.
    monkeypatch.setattr(
        dbt_assets,
        "refuse_legacy_relations",
        lambda unit, _one, _other, nodes: refuse_legacy_relations(unit, legacy, legacy, nodes),
    )

    result = project.estate.run("shadow__own__dbt", DAY, tags=ONE_TRY, must_succeed=False)

    message = failure_of(result)
    assert WritesToLegacy.__name__ in message
    assert "nothing was run" in message
    assert "daily_metrics" in message
    assert result.get_asset_materialization_events() == []
    assert not project.estate.database(Side.CANDIDATE).exists()
    assert not project.estate.database(Side.LEGACY).exists()
    [verdict] = [
        each for each in result.get_asset_check_evaluations() if each.asset_key.path[-1] == "daily_metrics"
    ]
    assert verdict.metadata["verdict"].value == "inconclusive"


def test_two_names_of_one_file_are_one(project: Project) -> None:
    """It is the file and the relation that count, not what a target is called; another file is another place."""
    with project.estate.entered():
        legacy = DbtWorkspace(project.estate.root / "dbt", "legacy")
        candidate = DbtWorkspace(project.estate.root / "dbt", "candidate")
        models = {"model.taxi.daily_metrics"}

        refuse_legacy_relations("own.dbt", legacy, candidate, models)
        with pytest.raises(WritesToLegacy, match=r"relation legacy\.main\.daily_metrics"):
            refuse_legacy_relations("own.dbt", legacy, legacy, models)


@pytest.mark.parametrize("folder", ["data/one", "data/one/below"])
def test_the_same_folder_is_refused(project: Project, folder: str) -> None:
    """A function whose candidate folder is legacy's, or lies in it, is not called."""
    unit = {
        "unit": "own.load",
        "schedule": NEW_YORK_DAYS,
        "function": "include.export.export_daily",
        "outputs": [{"key": "export", "file": "x.csv"}],
        "side_folders": {"legacy": "data/one", "candidate": folder},
    }
    project.declare("own", ("PythonUnit", unit))
    project.load()

    result = project.estate.run("shadow__own__load", DAY, tags=ONE_TRY, must_succeed=False)

    message = failure_of(result)
    assert WritesToLegacy.__name__ in message
    assert "side_folders" in message
    assert result.get_asset_materialization_events() == []


@pytest.mark.parametrize(
    ("folder", "file"), [("data/theirs", "x.csv"), ("data", "one/x.csv"), ("data", "theirs/x.csv")]
)
def test_no_candidate_writes_into_a_folder_of_legacys(project: Project, folder: str, file: str) -> None:
    """Neither into its own unit's, by way of the file's path, nor into another unit's."""

    def load(name: str, side_folders: dict[str, str], path: str) -> tuple[str, dict[str, Any]]:
        return "PythonUnit", {
            "unit": f"own.{name}",
            "schedule": NEW_YORK_DAYS,
            "function": "include.export.export_daily",
            "outputs": [{"key": name, "file": path}],
            "side_folders": side_folders,
        }

    project.declare(
        "own",
        load("load", {"legacy": "data/one", "candidate": folder}, file),
        load("other", {"legacy": "data/theirs", "candidate": "data/elsewhere"}, "y.csv"),
    )
    project.load()

    result = project.estate.run("shadow__own__load", DAY, tags=ONE_TRY, must_succeed=False)

    assert WritesToLegacy.__name__ in failure_of(result)
    assert result.get_asset_materialization_events() == []
