"""A Dagster project that this repository has no part in: made by Dagster's own scaffolding, with both wheels in
environments of their own, beside an Airflow and two dbt projects."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from bench.environments import Environment
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.settings import Settings
from demo.estate import refresh_estate
from demo.local_airflow import LocalAirflow
from demo.local_dagster import LocalDagster
from demo.postgres import running_postgres
from tests.support.estate import ROOT
from tests.support.team import WAIT_SECONDS, Team, wait_for

NAME = "night-office"
MODULE = "night_office"
_REQUIREMENTS = ROOT / "requirements"


@dataclass
class ForeignProject(Team):
    """`place`: the folder of everything; Dagster's project, the DAGs and the dbt projects are its subfolders.

    Dagster's environment, and Airflow's, have the variables that the team has set so far.
    """

    place: Path
    dagster: Environment
    airflow: Environment

    @property
    def root(self) -> Path:
        return self.place / NAME

    @property
    def defs(self) -> Path:
        return self.root / "src" / MODULE / "defs"

    def make(self, theirs: Path, wheels: Path) -> None:
        """Both environments, Dagster's project, and what is in the folder `theirs`."""
        shutil.copytree(
            theirs, self.place, ignore=shutil.ignore_patterns("target", "logs"), dirs_exist_ok=True
        )
        (ours,) = wheels.glob("airflow_parity-*.whl")
        (handover,) = wheels.glob("airflow_parity_handover-*.whl")
        pinned = ("--compile-bytecode", "--constraint", str(_REQUIREMENTS / "dagster.txt"))
        self.dagster.make()
        self.dagster.install(
            *pinned, f"{ours}[duckdb]", "create-dagster", "dagster-postgres", "hatchling", "editables"
        )
        self.dagster.run("create-dagster", "project", str(self.root), "--no-uv-sync", cwd=self.place)
        self.dagster.install(*pinned, "--group", f"{self.root / 'pyproject.toml'}:dev")
        self.dagster.install("--no-deps", "--no-build-isolation", "--editable", str(self.root))
        self.airflow.make()
        locked = (
            "--compile-bytecode",
            "--require-hashes",
            "--requirement",
            str(_REQUIREMENTS / "airflow.txt"),
        )
        self.airflow.install(*locked)
        self.airflow.install("--no-deps", str(handover))

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A program of Dagster's environment, or the exporter in Airflow's, in Dagster's project."""
        side = self.airflow if program == "airflow-inventory" else self.dagster
        return subprocess.run(
            [str(side.programs / program), *arguments],
            env=side.surroundings,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the attributes of every component, as the team would in its YAML."""
        for file in sorted(self.defs.rglob("defs.yaml")):
            documents = list(yaml.safe_load_all(file.read_text()))
            for document in documents:
                change(document["attributes"])
            file.write_text("---\n".join(yaml.safe_dump(document, sort_keys=False) for document in documents))


@dataclass
class Running:
    """The project's Airflow and its Dagster on real servers."""

    project: ForeignProject
    supervisor: Supervisor
    airflow: LocalAirflow
    dagster: LocalDagster

    @cached_property
    def api(self) -> AirflowClient:
        return AirflowClient(self.airflow.address, patience=20)

    @property
    def settings(self) -> Settings:
        """Of the team's commands."""
        return Settings(self.project.dagster.surroundings, self.project.root)

    def start(self) -> None:
        self.airflow.prepare(self.supervisor)
        self.airflow.start(self.supervisor)
        self.wait("Airflow's DAGs", lambda: bool(self.api.dags()))
        refresh_estate(self.supervisor, self.dagster)
        self.dagster.start(self.supervisor)

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        wait_for(self.supervisor, what, ready)


@contextmanager
def running(project: ForeignProject, say: Callable[[str], None]) -> Iterator[Running]:
    """Its servers, which end with the block, and for the commands of the block what a team sets: where they are."""
    with (
        running_postgres(project.place / "postgres", ("airflow", "dagster")) as postgres,
        Supervisor(project.place / "run", say) as supervisor,
    ):
        port = free_port()
        address = {"DAGSTER_URL": f"http://127.0.0.1:{port}"}
        dbt = {
            "PATH": os.pathsep.join(
                [str(project.airflow.programs), str(project.dagster.programs), os.defpath]
            )
        }
        airflow = LocalAirflow(
            project.place / "airflow",
            free_port(),
            postgres,
            Settings({**project.airflow.surroundings, **address, **dbt}, project.root),
            project.place / "dags",
            parse_seconds=120,  # a move asks Airflow to parse its DAG at once
            programs=project.airflow.programs,
        )
        dagster = LocalDagster(
            project.place / "dagster",
            port,
            postgres,
            airflow.address,
            Settings(project.dagster.surroundings, project.root),
            {"night": f"{MODULE}.definitions"},
            project.root,
            project.dagster.programs,
        )
        project.dagster.variables |= {**dagster.variables, **address}
        yield Running(project, supervisor, airflow, dagster)
