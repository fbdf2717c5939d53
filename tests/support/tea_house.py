"""A tea house that adopts the product: an estate of its own, on a real Airflow and a real Dagster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests
import yaml

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.settings import Settings
from demo.local_airflow import LocalAirflow
from demo.local_dagster import LocalDagster
from demo.postgres import running_postgres
from tests.support import warm
from tests.support.container_servers import Engine, KubernetesApi, kubeconfig
from tests.support.container_servers import serving as serving_containers
from tests.support.estate import AIRFLOW_PYTHON, BIN, ROOT, foreign_environment
from tests.support.postgres import PostgresServer
from tests.support.tea_orders import DAYS, lots, orders, write
from tests.support.team import WAIT_SECONDS, Team, wait_for

THEIRS = ROOT / "tests" / "journeys" / "tea"
MODULE = "tea_house"
GATES = {"windows": 1, "soak_days": 0, "soak_windows": 1, "slack": 600}
FOLDERS = {"legacy": "out", "candidate": "out_candidate"}
_BOOKS = (
    "create schema books",
    "create schema books_candidate",
    "create table books.orders (order_id int primary key, day date, lot_id int, kilos int)",
    "create table books.booked (day date primary key, orders bigint, kilos bigint)",
)


@dataclass
class TeaHouse(Team):
    """`root`: the Dagster project, with the DAGs folder and the dbt project in it."""

    root: Path
    books: PostgresServer
    cluster: Engine
    supervisor: Supervisor
    airflow: LocalAirflow
    dagster: LocalDagster
    api: AirflowClient = field(init=False)

    @property
    def variables(self) -> dict[str, str]:
        """What the team sets for its commands and its Dagster."""
        return {**self.dagster.variables, "DAGSTER_URL": self.dagster.url}

    @property
    def settings(self) -> Settings:
        return self.dagster.settings.with_variables(self.variables)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the team's, in its project."""
        environment = {**self.settings.variables}
        return warm.run(program, *arguments, cwd=self.root, env=environment, timeout=WAIT_SECONDS)

    def move_in(self) -> None:
        """Their own DAGs and dbt project in a Dagster project that was empty, their data, and what only they know."""
        self.must("parity", "init")
        for folder in ("legacy_dags", "dbt"):
            made_by_runs = shutil.ignore_patterns("target", "logs")
            shutil.copytree(THEIRS / folder, self.root / folder, ignore=made_by_runs)
        shutil.copytree(ROOT / "legacy_dags" / "handover", self.root / "legacy_dags" / "handover")
        for folder in ("landing", "data", *FOLDERS.values()):
            (self.root / folder).mkdir()
        write(self.root / "landing" / "lots.csv", lots())
        self.keep_books()
        books = {"legacy": "books", "candidate": "books_candidate", "warehouse": "postgres"}
        known = {"connections": {"tea_books": books}, "dbt": {"version": version("dbt-core")}}
        (self.root / "parity.yaml").write_text(yaml.safe_dump(known))

    def keep_books(self) -> None:
        values = ", ".join(str(tuple(row.values())) for row in orders())
        self.books.run(*_BOOKS, f"insert into books.orders values {values}", database="tea")  # noqa: S608 - our own rows

    def adopt(self) -> None:
        """The commands of docs/adopting.md up to the mirrors."""
        inventory = self.root / "inventory.json"
        self.airflow.export_inventory(self.supervisor, inventory, DAYS[0], DAYS[-1])
        self.must("parity", "inventory", str(inventory), "--dbt-project", "dbt")
        self.must("parity", "scaffold", str(inventory), "--dbt-project", "dbt")

    def tasks(self, dag_id: str) -> list[dict[str, Any]]:
        """The tasks of a DAG, as the inventory has them."""
        [dag] = [
            dag
            for dag in json.loads((self.root / "inventory.json").read_text())["dags"]
            if dag["dag_id"] == dag_id
        ]
        return list(dag["tasks"])

    def declare(self, changes: Mapping[str, Mapping[str, Any]], poll_seconds: int) -> None:
        """The team's own edits of what was scaffolded: None takes an attribute away, `type` is the mirror's own."""
        for file in sorted((self.root / MODULE / "defs").rglob("defs.yaml")):
            documents = list(yaml.safe_load_all(file.read_text()))
            for document in documents:
                attributes = document["attributes"]
                if (unit := attributes.get("unit")) is None:
                    attributes["poll_seconds"] = poll_seconds
                    continue
                changed = {**attributes, **changes.get(unit, {})}
                changed["gates"] = {**GATES, **changed.get("gates", {})}
                document["type"] = changed.pop("type", document["type"])
                document["attributes"] = {name: value for name, value in changed.items() if value is not None}
            file.write_text("---\n".join(yaml.safe_dump(document, sort_keys=False) for document in documents))

    def start_airflow(self) -> None:
        """Their Airflow, where `auctions` runs by itself from now on."""
        self.airflow.prepare(self.supervisor)
        self.api = self.airflow.start(self.supervisor)
        self.api.make_pool("duckdb", 1)
        books = {"host": self.books.socket_dir, "login": "postgres", "schema": "tea"}
        requests.post(
            f"{self.api.address.url}/api/v1/connections",
            json={"connection_id": "tea_books", "conn_type": "postgres", **books},
            auth=self.api.address.login.basic,
            timeout=60,
        ).raise_for_status()
        self.wait(
            "Airflow's DAGs", lambda: {dag["dag_id"] for dag in self.api.dags()} == {"auctions", "sales"}
        )
        self.api.set_paused("auctions", paused=False)

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        wait_for(self.supervisor, what, ready, seconds)

    def deliver(self, day: str) -> None:
        """The day's file of orders, which the DAG waits for."""
        arriving = self.root / "landing" / f".{day}"
        write(arriving, [row for row in orders() if row["day"] == day])
        arriving.rename(self.root / "landing" / f"orders_{day}.csv")


@contextmanager
def tea_house(place: Path, say: Any) -> Iterator[TeaHouse]:
    """Everything that is needed, below that folder, and nothing of it started but PostgreSQL and the cluster's API."""
    with (
        running_postgres(place / "postgres", ("airflow", "dagster", "tea")) as postgres,
        serving_containers(KubernetesApi) as cluster,
        Supervisor(place / "run", say) as supervisor,
    ):
        kubeconfig(cluster, place / "kubeconfig")
        root, port = place / MODULE, free_port()
        root.mkdir(exist_ok=True)
        env = _environment(place, postgres.socket_dir, cluster)
        of_airflow = {
            **env,
            "DAGSTER_URL": f"http://127.0.0.1:{port}",
            "PYTHONPATH": str(THEIRS / "provider"),
        }
        airflow = LocalAirflow(
            place / "airflow",
            free_port(),
            postgres,
            Settings(of_airflow, root),
            root / "legacy_dags",
            parse_seconds=120,  # a move asks Airflow to parse its DAG at once
        )
        dagster = LocalDagster(
            place / "dagster",
            port,
            postgres,
            airflow.address,
            Settings(env, root),
            {"tea": f"{MODULE}.definitions"},
            root,
        )
        yield TeaHouse(root, PostgresServer(postgres.socket_dir), cluster, supervisor, airflow, dagster)


def _environment(place: Path, books: str, cluster: Engine) -> dict[str, str]:
    root = place / MODULE
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    return {
        **foreign_environment(),
        "PATH": path,
        "AIRFLOW_HOME": str(place / "airflow"),
        "TEA_HOME": str(root),
        "TEA_OUT": str(root / "out"),
        "TEA_CLUSTER": f"http://{cluster.url}",
        "TEA_BOOKS_HOST": books,
        "KUBECONFIG": str(place / "kubeconfig"),
        "PARITY_PROXIED_STATE": str(place / "proxied_state"),
        "PARITY_INVENTORY": str(root / "inventory.json"),
        "PARITY_AIRFLOW_PYTHON": str(AIRFLOW_PYTHON),
    }
