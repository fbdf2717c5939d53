"""A real Airflow with a scheduler, where things wait for the DAG `feeder`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagster_defs.adapters.airflow.echo_client import EchoClient
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.settings import Settings
from demo.local_airflow import LocalAirflow
from demo.local_airflow3 import LocalAirflow3
from demo.postgres import running_postgres
from tests.support.echoing import ECHO_DAGS
from tests.support.team import wait_for

DAGS = {"feeder", "waiter", "consumer", "started", "returns"}


@dataclass(frozen=True)
class EchoAirflow:
    """`log`: a line for each task that Airflow has started."""

    version: str
    url: str
    client: EchoClient
    supervisor: Supervisor
    log: Path

    def begun(self, dag_id: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(f"{dag_id}.")]

    def ended(self, dag_id: str) -> list[str]:
        """The states of its runs that have ended."""
        states = [run.state for run in self.client.dag_runs(dag_id)]
        return [state for state in states if state in ("success", "failed")]

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        wait_for(self.supervisor, what, ready)


@contextmanager
def echo_airflow(version: str, place: Path) -> Iterator[EchoAirflow]:
    kind = LocalAirflow if version == "2.11" else LocalAirflow3
    log = place / "begun.txt"
    with (
        running_postgres(place / "postgres", ("airflow",)) as postgres,
        Supervisor(place / "run") as supervisor,
    ):
        settings = Settings({**os.environ, "ECHO_LOG": str(log)}, place)
        airflow = kind(place / "home", free_port(), postgres, settings, ECHO_DAGS, parse_seconds=60)
        airflow.prepare(supervisor)
        airflow.start(supervisor)
        client = EchoClient(airflow.address, patience=20)
        there = EchoAirflow(version, airflow.address.url, client, supervisor, log)
        there.wait("the DAGs", lambda: {dag["dag_id"] for dag in client.dags()} == DAGS)
        yield there
