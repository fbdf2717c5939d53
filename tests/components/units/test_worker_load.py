"""What the worker of a run loads: its own unit, and of all others the assets by key and partitions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from pytest_mock import MockerFixture

from dagster_defs.components.units.dbt_unit import DbtUnit
from tests.components.conftest import Project

LOCATION = """\
from pathlib import Path

import dagster as dg

from dagster_defs.components.project import load_project


@dg.definitions
def defs():
    return load_project(Path(__file__).parent, sole=True)
"""
OWN_SENSOR = """\
import dagster as dg

CHECKS = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["shadow", "daily_metrics"]), "parity"))
watching = dg.AutomationConditionSensorDefinition("watching", target=CHECKS)
"""
PACKAGE = "own_location"
WEEKS = "own__weeks"


@dataclass
class Location:
    """Two units, of which the second reads by the week what the first makes by the day."""

    root: Path
    make_parts: Any

    def reconstruct(self, job: str) -> tuple[dg.RepositoryDefinition, dg.JobDefinition, int]:
        """As a run's worker does; and how many units have made their parts for it."""
        before = self.make_parts.call_count
        repository = ReconstructableRepository.for_file(
            str(self.root / PACKAGE / "definitions.py"), "defs", str(self.root)
        )
        found = ReconstructableJob(repository, job)
        definition = found.get_repository_definition()
        assert definition is not None
        return definition, found.get_definition(), self.make_parts.call_count - before


@pytest.fixture
def location(
    project: Project,
    dbt_unit: Callable[..., tuple[str, dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mocker: MockerFixture,
) -> Location:
    weekly = {"cron": "0 6 * * 1", "timezone": "America/New_York", "start": "2023-11-01"}
    documents = [
        dbt_unit(unit="own.days", select="daily_metrics"),
        dbt_unit(unit="own.weeks", select="weekly_metrics", schedule=weekly),
        ("AirflowEstate", {}),
    ]
    defs = tmp_path / PACKAGE / "defs"
    (defs / "units").mkdir(parents=True)
    for package in (defs.parent, defs):
        (package / "__init__.py").touch()
    (defs.parent / "definitions.py").write_text(LOCATION)
    (defs / "units" / "defs.yaml").write_text(
        yaml.safe_dump_all(
            {"type": f"dagster_defs.components.{kind}", "attributes": attributes}
            for kind, attributes in documents
        )
    )
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{PACKAGE}"\n'
    )
    (tmp_path / "dbt").symlink_to(project.estate.root / "dbt")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(DefinitionsLoadContext, "_instance", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        monkeypatch.delitem(sys.modules, name)
    return Location(tmp_path, mocker.spy(DbtUnit, "make_parts"))


@pytest.mark.parametrize("name", [WEEKS, f"shadow__{WEEKS}", f"compare__{WEEKS}"])
def test_a_worker_makes_the_unit_of_its_run_alone(location: Location, name: str) -> None:
    """The job is the same as in the whole location, and what it reads has the same partitions and mappings."""
    whole, *_, all_units = location.reconstruct("__ASSET_JOB")
    part, job, made = location.reconstruct(name)

    assert (all_units, made) == (2, 1)
    usual = whole.get_job(name)
    assert job.tags == usual.tags
    assert job.asset_layer.executable_asset_keys == usual.asset_layer.executable_asset_keys
    assert job.asset_layer.executable_asset_keys or name.startswith("compare__")
    assert dg.AssetKey("daily_metrics") in part.asset_graph.get_all_asset_keys()
    for key in part.asset_graph.get_all_asset_keys():
        ours, theirs = part.asset_graph.get(key), whole.asset_graph.get(key)
        assert ours.partitions_def == theirs.partitions_def
        if key in job.asset_layer.executable_asset_keys:
            assert repr(ours.partition_mappings) == repr(theirs.partition_mappings)
            assert ours.parent_keys == theirs.parent_keys
            assert ours.check_keys == theirs.check_keys


def test_a_job_of_more_than_one_unit_loads_all(location: Location) -> None:
    """The job of any assets, and every job that is no unit's."""
    _, job, made = location.reconstruct("__ASSET_JOB")

    assert made == 2
    assert dg.AssetKey("daily_metrics") in job.asset_layer.executable_asset_keys


def test_beside_other_definitions_all_is_loaded(location: Location) -> None:
    """A location that merges definitions of its own with these says nothing of `sole`, and keeps every unit."""
    file = location.root / PACKAGE / "definitions.py"
    file.write_text(LOCATION.replace(", sole=True", ""))

    _, job, made = location.reconstruct(WEEKS)

    assert (job.name, made) == (WEEKS, 2)


def test_an_estates_own_definitions_may_need_the_others(location: Location) -> None:
    """Where something else in defs/ selects what is left out, everything is loaded, and the run finds its job."""
    (location.root / PACKAGE / "defs" / "own.py").write_text(OWN_SENSOR)

    whole, job, made = location.reconstruct(WEEKS)

    assert made == 3  # that of the run, and then all
    assert job.name == WEEKS
    assert whole.has_sensor_def("watching")
