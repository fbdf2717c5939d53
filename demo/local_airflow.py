"""A real Airflow on loopback, in its own environment, that runs the legacy DAGs."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.supervisor import Supervisor
from dagster_defs.errors import EnvironmentMissing
from dagster_defs.settings import Settings
from demo.checkout import PROJECT_ROOT
from demo.postgres import Postgres

DATABASE = "airflow"
START_SECONDS = 240


@dataclass(frozen=True)
class LocalAirflow:
    """What is needed to start it: a folder for its home, a port, and the settings of its tasks.

    `parse_seconds`: between two parses of a DAG file, each of which costs a fork of a large process. `programs`: the
    folder of the programs of its environment. `database`: its own, where one server has those of several Airflows.
    """

    home: Path
    port: int
    postgres: Postgres
    settings: Settings
    dags_folder: Path = PROJECT_ROOT / "legacy_dags"
    parse_seconds: int = 10
    programs: Path = PROJECT_ROOT / ".venv-airflow" / "bin"
    database: str = DATABASE
    made_by: ClassVar[str] = "make setup"

    @property
    def address(self) -> AirflowAddress:
        return AirflowAddress(f"http://127.0.0.1:{self.port}", "admin", "admin")

    def prepare(self, supervisor: Supervisor) -> None:
        """Create the schema and the user, unless an earlier start has done so."""
        self.home.mkdir(parents=True, exist_ok=True)
        program = [self._python, str(Path(__file__).with_name("airflow_set_up.py"))]
        supervisor.run("airflow-set-up", program, env=self.env)

    def start(self, supervisor: Supervisor) -> AirflowClient:
        """Start web server and scheduler, and wait until both are healthy. Call `prepare` first."""
        supervisor.start("airflow-scheduler", [self._program, "scheduler"], env=self.env)
        supervisor.start("airflow-webserver", self.web_server, env=self.env)
        client = AirflowClient(self.address, patience=20)
        supervisor.wait_until("Airflow", client.is_healthy, seconds=START_SECONDS)
        return client

    def export_inventory(self, supervisor: Supervisor, file: Path, first: str, last: str) -> None:
        """Export what Airflow says about its DAGs between two days, with their rendered commands."""
        exporter = self.dags_folder / "handover" / "inventory.py"
        span = ("--from", first, "--to", last, "--out", str(file))
        program = [self._python, str(exporter)]
        supervisor.run(
            "airflow-inventory", [*program, "--dags-folder", str(self.dags_folder), *span], env=self.env
        )

    @property
    def env(self) -> dict[str, str]:
        """Airflow's configuration; the caller's own AIRFLOW__ settings are not passed on."""
        return {
            **self.common_env,
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.postgres.url(self.database),
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
            "AIRFLOW__WEBSERVER__SECRET_KEY": self._secret_key,
            "AIRFLOW__WEBSERVER__BASE_URL": f"http://127.0.0.1:{self.port}",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": str(self.parse_seconds),
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": str(2 * self.parse_seconds),
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        }

    @property
    def common_env(self) -> dict[str, str]:
        """What Airflow 2 and 3 are told alike."""
        inherited = {
            name: value for name, value in self.settings.variables.items() if not name.startswith("AIRFLOW_")
        }
        return {
            **inherited,
            "PATH": os.pathsep.join([str(self.programs), inherited.get("PATH", os.defpath)]),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            # Between two tasks of a DAG run the scheduler has nothing to do for several of its turns.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    @property
    def web_server(self) -> list[str]:
        """What `airflow webserver` starts for one worker, without the process that watches over it."""
        app = ("--config", "python:airflow.www.gunicorn_config", "--preload", "airflow.www.app:cached_app()")
        address = ("--bind", f"127.0.0.1:{self.port}", "--timeout", "120", "--workers", "1")
        return [self._python, "-m", "gunicorn", "--name", "airflow-webserver", *address, *app]

    @property
    def _python(self) -> str:
        return str(self.programs / "python")

    @property
    def _program(self) -> str:
        program = self.programs / "airflow"
        if not program.exists():
            raise EnvironmentMissing(program, sys.executable, self.made_by)
        return str(program)

    @property
    def _secret_key(self) -> str:
        """One key for all of Airflow's processes: the web server reads task logs with it."""
        kept = self.home / "secret_key"
        if not kept.exists():
            atomic.write_text(kept, secrets.token_hex(16), mode=atomic.PRIVATE)
        return kept.read_text()
