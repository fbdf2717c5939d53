"""A real Dagster on loopback: code server, web server and daemon, with PostgreSQL storage."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.dagster.api import DagsterClient
from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.settings import Settings, process_environment
from demo.checkout import PROJECT_ROOT
from demo.postgres import Postgres

if TYPE_CHECKING:
    import dagster as dg

DATABASE = "dagster"
START_SECONDS = 240


@dataclass(frozen=True)
class LocalDagster:
    """What is needed to start it: a folder for DAGSTER_HOME, a port, the Airflow it observes, and settings.

    `locations`: the module of each code location, by name; `project`: the folder that they are in; `programs`: that of
    the programs of its environment.
    """

    home: Path
    port: int
    postgres: Postgres
    airflow: AirflowAddress
    settings: Settings
    locations: Mapping[str, str] = field(default_factory=lambda: {"parity": "dagster_defs.definitions"})
    project: Path = PROJECT_ROOT
    programs: Path = Path(sys.executable).parent

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, supervisor: Supervisor) -> DagsterClient:
        """Start all three processes and wait until the definitions are loaded."""
        self.write_configuration()
        workspace = self.home / "workspace.yaml"
        servers = [self._start_code_server(supervisor, name) for name in self.locations]
        atomic.write_text(workspace, yaml.safe_dump({"load_from": servers}))
        web = ("-h", "127.0.0.1", "-p", str(self.port), "-w", str(workspace))
        supervisor.start(
            "dagster-webserver", self._program("dagster-webserver", *web), env=self.env, cwd=self.project
        )
        daemon = ("run", "-w", str(workspace))
        supervisor.start(
            "dagster-daemon", self._program("dagster-daemon", *daemon), env=self.env, cwd=self.project
        )
        client = DagsterClient(self.url)
        supervisor.wait_until("Dagster", client.is_ready, seconds=START_SECONDS)
        return client

    def _start_code_server(self, supervisor: Supervisor, name: str) -> dict[str, Mapping[str, str | int]]:
        """One code server for web server and daemon together; otherwise each would load the definitions itself."""
        port = free_port()
        supervisor.start(
            f"dagster-code-{name}",
            [
                *self._program(
                    "dagster", "code-server", "start", "-m", self.locations[name], "-d", str(self.project)
                ),
                *("--host", "127.0.0.1", "--port", str(port), "--location-name", name),
            ],
            env=self.env,
            cwd=self.project,
        )
        return {"grpc_server": {"host": "127.0.0.1", "port": port, "location_name": name}}

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Its storage (event log and runs), accessed from this process."""
        # Its dagster.yaml names the variable, which Dagster reads from this process's environment.
        with (
            process_environment({"DAGSTER_POSTGRES_URL": self.postgres.url(DATABASE)}),
            instance_at(self.home) as instance,
        ):
            yield instance

    def write_configuration(self) -> None:
        configuration = {
            "storage": {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}},
            "telemetry": {"enabled": False},
            "nux": {"enabled": False},
            # Evaluates the freshness policies, which stand for Airflow's SLAs.
            "freshness": {"enabled": True},
            # Runs start at once; the pools of the units take care of what must not run together: a DuckDB file
            # has one writer.
            "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
            "concurrency": {"pools": {"granularity": "op", "default_limit": 1}},
        }
        atomic.write_text(self.home / "dagster.yaml", yaml.safe_dump(configuration))

    @property
    def env(self) -> dict[str, str]:
        return {**self.settings.variables, **self.variables}

    @property
    def variables(self) -> dict[str, str]:
        """The variables of its processes in addition to the settings."""
        path = self.settings.variables.get("PATH", os.defpath)
        return {
            "PATH": os.pathsep.join([str(self.programs), path]),
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_POSTGRES_URL": self.postgres.url(DATABASE),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "AIRFLOW_URL": self.airflow.url,
            "AIRFLOW_USER": self.airflow.user,
            "AIRFLOW_PASSWORD": self.airflow.password,
        }

    def _program(self, name: str, *arguments: str) -> list[str]:
        return [str(self.programs / name), *arguments]
