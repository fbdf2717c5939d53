"""A project whose YAML a test writes itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from tests.support.estate import Estate, copy_project
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test
from tests.support.observing import NOW, Observer
from tests.support.trees import component_tree

NEW_YORK_DAYS = {"cron": "0 6 * * *", "timezone": "America/New_York", "start": "2023-11-01"}
WINDOW = {
    "min_date": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
    "max_date": {"template": "{{ data_interval_end | ds }}", "bound": "upper"},
}


@dataclass
class Project:
    """The dbt project and the legacy code, beside a defs folder that starts empty."""

    estate: Estate

    @property
    def defs_folder(self) -> Path:
        return self.estate.root / "own_defs"

    def declare(self, folder: str, *documents: tuple[str, dict[str, Any]]) -> Path:
        """Write defs.yaml with one component for each (type, attributes)."""
        path = self.defs_folder / folder / "defs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "---\n".join(
                yaml.safe_dump({"type": f"dagster_defs.components.{kind}", "attributes": attributes})
                for kind, attributes in documents
            )
        )
        return path

    def load(self) -> dg.Definitions:
        """Load what was declared, as a new process would; the estate runs these definitions from now on."""
        from dagster_defs.adapters.dbt import workspaces

        with pytest.MonkeyPatch.context() as monkeypatch, self.estate.entered():
            monkeypatch.setattr(workspaces, "_WORKSPACES", {})
            tree = component_tree(self.defs_folder, self.estate.root)
            definitions = tree.build_defs()
        vars(self.estate)["definitions"] = definitions
        vars(self.estate).pop("graph", None)
        return definitions


@pytest.fixture(scope="session")
def parsed_estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with instance_for_test() as instance:
        yield Estate(copy_project(tmp_path_factory.mktemp("parsed"), code=False), instance)


@pytest.fixture
def project(parsed_estate: Estate) -> Project:
    """An empty defs folder beside a dbt project that is parsed once for all tests: none of them changes it."""
    project = Project(parsed_estate)
    shutil.rmtree(project.defs_folder, ignore_errors=True)
    return project


@pytest.fixture
def fresh_project(tmp_path: Path) -> Iterator[Project]:
    """The same with a dbt project and data of its own."""
    with instance_for_test() as instance:
        yield Project(Estate(copy_project(tmp_path, code=False), instance))


@pytest.fixture
def dbt_unit() -> Callable[..., tuple[str, dict[str, Any]]]:
    """A dbt unit of New York days, with what a test wants to be different."""

    def declared(**attributes: Any) -> tuple[str, dict[str, Any]]:
        return "DbtUnit", {
            "unit": "own.dbt", "schedule": NEW_YORK_DAYS, "select": "tag:daily", "vars": WINDOW, **attributes
        }  # fmt: skip

    return declared


@pytest.fixture
def observer(estate: Estate, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observer]:
    """The estate's observer, at an instant that stands still, with a Dagster instance of its own."""
    assert estate.definitions
    monkeypatch.setenv("AIRFLOW_URL", airflow.url)
    monkeypatch.setenv("AIRFLOW_USER", "admin")
    monkeypatch.setenv("AIRFLOW_PASSWORD", "admin")
    monkeypatch.setenv("AIRFLOW_USER", "admin")
    monkeypatch.setenv("AIRFLOW_PASSWORD", "admin")
    monkeypatch.setattr("dagster_defs.components.sensors.airflow_sensor.pendulum.now", lambda *_: NOW)
    with instance_for_test() as instance:
        yield Observer(estate, instance)
