"""Airflow's web server alone, 2.11's or 3.3's, on SQLite: nothing is scheduled, and it has the rows that it is given.

Its rows take ten seconds to write, and so does the server to start: a module of tests has one of each version.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.settings import Settings
from demo.local_airflow import LocalAirflow
from demo.postgres import Postgres
from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON

VERSIONS = ("2.11", "3.3")
DAGS = Path(__file__).with_name("served_dags")
ROWS = Path(__file__).with_name("served_rows.py")
START_SECONDS = 240
TOKEN_SECONDS = 10  # Airflow 3's own default is a day
USERS = {"admin": "admin", "bob": "viewer"}  # and the password of each is its name


class _Sqlite(Postgres):
    """In the place of a PostgreSQL server."""

    def url(self, database: str) -> str:
        return f"sqlite:///{self.folder / database}.db"


@dataclass(frozen=True)
class ServedAirflow:
    """`home`: where its database is. `port`: the same for the next server after an upgrade. `dags`: its folder."""

    version: str
    home: Path
    port: int
    dags: Path = DAGS

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> AirflowClient:
        return AirflowClient(AirflowAddress(self.url, "admin", "admin"), patience=20)

    @property
    def env(self) -> Mapping[str, str]:
        if self.version == "2.11":
            return {**self._of_airflow2.env, "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor", **_KEPT}
        passwords = self.home / "passwords.json"
        passwords.write_text(json.dumps({user: user for user in USERS}))
        return {
            "PATH": os.pathsep.join([str(AIRFLOW3_PYTHON.parent), os.defpath]),
            "HOME": str(self.home),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(map(":".join, USERS.items())),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _Sqlite(self.home, "").url("airflow"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME": str(TOKEN_SECONDS),
            "AIRFLOW__API_AUTH__JWT_LEEWAY": "0",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **_KEPT,
        }

    @property
    def command(self) -> Sequence[str]:
        if self.version == "2.11":
            return self._of_airflow2.web_server
        return [str(AIRFLOW3_PYTHON.with_name("airflow")), "api-server"]

    @property
    def _of_airflow2(self) -> LocalAirflow:
        return LocalAirflow(self.home, self.port, _Sqlite(self.home, ""), Settings({}, self.home), self.dags)

    def write(self, runs: Sequence[Mapping[str, Any]], variables: Mapping[str, str]) -> None:
        """Its database, and these runs and Variables in it, as `served_rows.py` reads them."""
        self.home.mkdir(parents=True)
        made = self.home / "made.json"
        made.write_text(json.dumps({"runs": list(runs), "variables": dict(variables)}))
        python = AIRFLOW_PYTHON if self.version == "2.11" else AIRFLOW3_PYTHON
        with Supervisor(self.home / "run") as supervisor:
            supervisor.run("rows", [str(python), str(ROWS), str(made)], env=self.env)

    @contextmanager
    def serving(self) -> Iterator[AirflowClient]:
        with Supervisor(self.home / "run") as supervisor:
            supervisor.start("airflow", self.command, env=self.env)
            supervisor.wait_until(f"Airflow {self.version}", self.client.is_healthy, seconds=START_SECONDS)
            yield self.client


# The scheduler's heartbeat is as old as the row.
_KEPT = {"AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "86400"}


def served(version: str, folder: Path, dags: Path = DAGS) -> ServedAirflow:
    return ServedAirflow(version, folder / version, free_port(), dags)
