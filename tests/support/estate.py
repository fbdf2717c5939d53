"""The taxi estate in a separate folder: a copy of the project, a small landing folder, both sides' databases."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml

from dagster_defs.adapters.dagster.mirrors import Mirrors, mirrors_among
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.parity import Side
from tests.support import warm
from tests.support.owned import bring_to
from tests.support.trees import component_tree

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
AIRFLOW_PYTHON = ROOT / ".venv-airflow" / "bin" / "python"
AIRFLOW3_PYTHON = ROOT / ".venv-airflow3" / "bin" / "python"

MONTH = "2024-03-01"
DAYS = ("2024-03-09", "2024-03-10")  # the first window, to 03-10 06:00 New York, has 23 hours
UNITS = ("taxi_ingest__load_zones", "taxi_ingest__load_trips", "taxi_daily__dbt_zones", "taxi_daily__dbt_daily",
         "taxi_daily__export_daily")  # fmt: skip
TRIPS = 4_000
NOBODY = "http://127.0.0.1:1"  # nothing listens there
ONE_TRY = {
    "parity/airflow_try": "1"
}  # as if Airflow's proxy had launched the run: further tries are Airflow's

_OURS = ("TAXI_", "PARITY_", "DBT_", "AIRFLOW", "DAGSTER_", "SNOWFLAKE_", "POSTGRES_")


def copy_project(root: Path, *, code: bool = True) -> Path:
    """The project's files without anything that a run produced; `code`: the definitions too."""
    made_by_runs = shutil.ignore_patterns(
        "target*", "logs", "proxied_state", ".user.yml", ".local_defs_state"
    )
    for folder in ("dbt", "legacy_dags", *(["dagster_defs", "demo"] if code else [])):
        shutil.copytree(ROOT / folder, root / folder, ignore=made_by_runs)
    shutil.copy(ROOT / "pyproject.toml", root)
    for proofs in proved():
        copy = root / proofs.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        shutil.copy(proofs, copy)
    return root


@lru_cache
def proved() -> list[Path]:
    """The file that records that no window shapes the dbt project, so that a copy need not prove it anew."""
    dg.ComponentTree.for_project(ROOT).build_defs()
    return sorted((ROOT / "dbt" / "target").glob("*/windows.json"))


def mirrors_of(defs: Path, root: Path) -> Mirrors:
    """The mirrors that a folder of YAML declares for the project at `root`, whatever was imported before."""
    tree = component_tree(defs, root)
    components = tree.get_all_components(of_type=dg.Component)  # type: ignore[type-abstract]  # a base will do
    return mirrors_among(components)


def put_legacy_code_on_path() -> None:
    """Put the folder on the path, as Airflow does with its DAGS_FOLDER; every copy has the same business code."""
    folder = str(ROOT / "legacy_dags")
    if folder not in sys.path:
        sys.path.insert(0, folder)


def foreign_environment() -> dict[str, str]:
    """The environment without any setting that this project reads."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def export_inventory(file: Path, first: str, last: str, window: str = "", **settings: str) -> Path:
    """What Airflow says about the shipped DAGs between two days; `window` (`first/after`) is rendered as a whole."""
    subprocess.run(
        [
            str(AIRFLOW_PYTHON),
            str(ROOT / "legacy_dags" / "handover" / "inventory.py"),
            *("--dags-folder", str(ROOT / "legacy_dags"), "--from", first, "--to", last, "--out", str(file)),
            *(("--window", window) if window else ()),
        ],
        env={**foreign_environment(), **settings},
        check=True,
        capture_output=True,
        timeout=1200,
    )
    return file


@dataclass(frozen=True)
class Estate:
    """A copy of the project in `root`. Its definitions are loaded and run in this process."""

    root: Path
    instance: dg.DagsterInstance
    results: dict[str, dg.ExecuteInProcessResult] = field(default_factory=dict)
    airflow_url: str = NOBODY
    more_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def settings(self) -> Mapping[str, str]:
        return {
            "TAXI_DATA_DIR": str(self.data_dir),
            "PARITY_PROXIED_STATE": str(self.root / "proxied_state"),
            "AIRFLOW_URL": self.airflow_url,
            "AIRFLOW_USER": "admin",
            "AIRFLOW_PASSWORD": "admin",
            **self.more_settings,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The environment for a program that must find this copy and not the original."""
        path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
        return {**foreign_environment(), **self.settings, "PYTHONPATH": str(self.root), "PATH": path}

    @property
    def units(self) -> list[str]:
        """Every unit that the copy's YAML declares, sorted."""
        documents = [
            document
            for path in (self.root / "dagster_defs" / "defs").rglob("defs.yaml")
            for document in yaml.safe_load_all(path.read_text())
        ]
        return sorted(each["attributes"]["unit"] for each in documents if "unit" in each["attributes"])

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Give this process the estate's environment, and only that."""
        with pytest.MonkeyPatch.context() as monkeypatch:
            for name in os.environ.keys() - foreign_environment().keys():
                if name != "DAGSTER_HOME":
                    monkeypatch.delenv(name)
            for name, value in self.settings.items():
                monkeypatch.setenv(name, value)
            if self.airflow_url == NOBODY:  # one request, which is refused at once
                monkeypatch.setattr("dagster_defs.usecases.shadow.standing.PATIENCE", 0.0)
            yield

    @cached_property
    def definitions(self) -> dg.Definitions:
        with self.entered():
            return dg.ComponentTree.for_project(self.root).build_defs()

    @cached_property
    def graph(self) -> Any:
        return self.definitions.resolve_asset_graph()

    def run(
        self,
        job: str,
        partitions: tuple[str, str],
        *,
        tags: Mapping[str, str] | None = None,
        selection: Sequence[dg.AssetKey] | None = None,
        must_succeed: bool = True,
        by_owner: bool = True,
    ) -> dg.ExecuteInProcessResult:
        """One run over the partitions from the first to the last. `by_owner`: a unit's legacy side is Dagster's."""
        first, last = partitions
        wanted = (
            {"dagster/partition": first}
            if first == last
            else {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        )
        job_def = self.definitions.resolve_job_def(job)
        with self.entered(), pytest.MonkeyPatch.context() as monkeypatch:
            if by_owner and job_def.tags.get("parity/side") == "legacy":
                owned = bring_to(self.root / "owned", Unit.parse(job_def.tags["parity/unit"]), Stage.RETIRED)
                monkeypatch.setenv("PARITY_PROXIED_STATE", str(owned))
            return job_def.execute_in_process(
                instance=self.instance,
                tags={**wanted, **(tags or {})},
                asset_selection=selection,
                raise_on_error=must_succeed,
            )

    def make_landing_data(self) -> None:
        with self.entered():
            put_legacy_code_on_path()
            from include import landing, settings
            from include.files import write_parquet

            folder = settings.landing_dir()
            landing.generate(folder, [])
            month = MONTH.removesuffix("-01")
            write_parquet(landing.trips(month, count=TRIPS), folder / landing.trips_file(month))

    def build_both_sides(self) -> None:
        """Every unit on both sides, in one run for all of its windows; kept in `results` by job."""
        for prefix in ("", "shadow__"):
            for unit in UNITS:
                windows = (MONTH, MONTH) if unit.startswith("taxi_ingest") else DAYS
                self.results[prefix + unit] = self.run(prefix + unit, windows)

    def database(self, side: Side) -> Path:
        return self.data_dir / side.value / f"{side.value}.duckdb"

    def query(self, side: Side, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database(side)), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def parity(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the command, as a program, on this copy of the project."""
        return self.program("parity", *arguments, **settings)

    def program(self, name: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return warm.run(name, *arguments, cwd=self.root, env={**self.environment, **settings}, timeout=600)
