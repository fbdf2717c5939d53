"""Two departments, each with an Airflow of its own, and one Dagster whose project has mirrors of both."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pendulum
import requests
import yaml

from bench.projects import write_project
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.settings import Settings
from dagster_defs.windows import Tick, Window
from demo.estate import refresh_estate
from demo.local_airflow import LocalAirflow
from demo.local_airflow3 import LocalAirflow3
from demo.local_dagster import LocalDagster
from demo.postgres import running_postgres
from tests.support import warm
from tests.support.estate import BIN, ROOT, foreign_environment
from tests.support.team import WAIT_SECONDS, Team, wait_for

THEIRS = ROOT / "tests" / "journeys" / "departments"
MODULE = "departments"
DAGS = {"finance": "bills", "shop": "orders"}
FIRST, LAST = "2024-03-01", "2024-03-05"
OVER = {"success", "failed"}
_ESTATE = "dagster_defs.components.AirflowEstate"
_NO_OUTPUT = "it notes who loaded a day"
_EDITS = {
    "shadow": "never",
    "because": _NO_OUTPUT,
    "outputs": {"none": True, "because": _NO_OUTPUT},
    "env": {"legacy": {"WRITER": "dagster"}},
    "gates": {"windows": 1, "soak_days": 0, "soak_windows": 0},
}


@dataclass
class Departments(Team):
    """`place`: the folder of everything; `airflows`, `supervisors`: each department's."""

    place: Path
    supervisor: Supervisor
    airflows: Mapping[str, LocalAirflow]
    supervisors: Mapping[str, Supervisor]
    dagster: LocalDagster
    apis: dict[str, AirflowClient] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.place / MODULE

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.dagster.env, "DAGSTER_URL": self.dagster.url}
        return warm.run(program, *arguments, cwd=self.root, env=environment, timeout=WAIT_SECONDS)

    def move_in(self) -> None:
        """A project with an estate and mirrors for each department, by the commands of docs/adopting.md."""
        self.must("parity", "init")
        listed = {name: [dag_id] for name, dag_id in DAGS.items()}
        write_project(self.root / "dbt", 1)  # that none of their tasks runs
        (self.root / "parity.yaml").write_text(yaml.safe_dump({"airflows": listed}))
        (self.root / MODULE / "defs" / "airflow" / "defs.yaml").unlink()
        for name in DAGS:
            folder = self.root / MODULE / "defs" / f"airflow_{name}"
            folder.mkdir(parents=True)
            estate = {"type": _ESTATE, "attributes": {"name": name, "poll_seconds": 3}}
            (folder / "defs.yaml").write_text(yaml.safe_dump(estate))
            inventory = self.root / f"inventory-{name}.json"
            self.airflows[name].export_inventory(self.supervisors[name], inventory, FIRST, LAST)
            mirrors = ("--dbt-project", "dbt", "--prefer", "command")
            self.must("parity", "scaffold", str(inventory), *mirrors)
        self.must("parity", "store", "init")
        for file in (self.root / MODULE / "defs").rglob("defs.yaml"):
            documents = list(yaml.safe_load_all(file.read_text()))
            for document in documents:
                if "unit" in document["attributes"]:
                    document["attributes"] |= _EDITS
            file.write_text("---\n".join(yaml.safe_dump(document, sort_keys=False) for document in documents))

    def start(self) -> None:
        for name, airflow in self.airflows.items():
            airflow.prepare(self.supervisors[name])
            self.apis[name] = airflow.start(self.supervisors[name])
            self.wait(f"the DAGs of {name}", partial(self._has_dags, name))
            self.apis[name].set_paused(DAGS[name], paused=False)
        refresh_estate(self.supervisor, self.dagster)
        self.dagster.start(self.supervisor)

    def _has_dags(self, name: str) -> bool:
        return {dag["dag_id"] for dag in self.apis[name].dags()} == {DAGS[name], "cleanup"}

    def trigger(self, name: str, day: str) -> DagRun:
        start = pendulum.from_format(day, "YYYY-MM-DD")
        of_tick = isinstance(self.airflows[name], LocalAirflow3)
        about = Tick(start) if of_tick else Window(start, start.add(days=1))
        return self.apis[name].trigger(DAGS[name], about)

    def run_a_day(self, name: str, day: str) -> None:
        """The department's Airflow runs a day, and its task succeeds."""
        run = self.trigger(name, day)

        def task() -> TaskInstance:
            [task] = self.apis[name].task_instances(run.dag_id, run.run_id)
            return task

        self.wait(f"{day} of {name}", lambda: task().state in OVER)
        assert task().state == "success", self.apis[name].log_of(task())

    def hand_over(self, unit: str) -> None:
        self.must("parity", "shadow", unit, "--apply")
        self.must("parity", "rollback", unit, "--rehearsed", "--reason", "in the other department", "--apply")
        self.must("parity", "cutover", unit, "--apply")

    def fail(self, name: str, run: DagRun) -> None:
        """A person marks the department's task as failed."""
        of_task = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id)}/taskInstances/load"
        only_v1 = {} if isinstance(self.airflows[name], LocalAirflow3) else {"dry_run": False}
        self.apis[name]._call("PATCH", of_task, json={"new_state": "failed", **only_v1})

    def note(self, name: str, day: str) -> str:
        """What an Airflow 2.11 shows beside the department's task of a day."""
        api, dag_id = self.apis[name], DAGS[name]
        [run] = [one.run_id for one in api.dag_runs(dag_id) if day in one.run_id]
        page = f"{api.address.url}/api/v1/dags/{dag_id}/dagRuns/{quote(run)}/taskInstances/load"
        reply = requests.get(page, auth=api.address.login.basic, timeout=60)
        reply.raise_for_status()
        return str(reply.json()["note"])

    def loaded(self, name: str) -> list[str]:
        """The days that were loaded, each with who did it."""
        file = self.place / f"{name}.txt"
        return file.read_text().splitlines() if file.exists() else []

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        wait_for(self.supervisor, what, ready)


@contextmanager
def departments(place: Path, say: Any, airflow3: str = "") -> Iterator[Departments]:
    """Both Airflows and the Dagster, not started, each with a database of its own. `airflow3`: the department whose
    Airflow is 3.3, with its own defaults, so that a day is a tick; the others' is 2.11."""
    root, port = place / MODULE, free_port()
    root.mkdir()
    shutil.copy(THEIRS / "load.sh", place)
    for name in DAGS:
        shutil.copytree(THEIRS / name, place / "dags" / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "legacy_dags" / "handover", place / "dags" / name / "handover")
    with ExitStack() as stack:
        databases = ("dagster", *(f"airflow_{name}" for name in DAGS))
        postgres = stack.enter_context(running_postgres(place / "postgres", databases))
        supervisors = {
            name: stack.enter_context(Supervisor(place / "run" / name, say)) for name in ("dagster", *DAGS)
        }
        shared = {
            **foreign_environment(),
            "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
            "DEPARTMENTS": str(place),
        }
        airflows = {}
        for name in DAGS:
            theirs = {
                **shared,
                "WRITER": "airflow",
                "DAGSTER_URL": f"http://127.0.0.1:{port}",
                "PARITY_PROXIED_STATE": str(place / "record" / name),
            }
            airflows[name] = (partial(LocalAirflow3, of_ticks=True) if name == airflow3 else LocalAirflow)(
                place / f"airflow_{name}",
                free_port(),
                postgres,
                Settings(theirs, root),
                place / "dags" / name,
                parse_seconds=60,
                database=f"airflow_{name}",
            )
        # As if the project were installed.
        ours = {**shared, "PYTHONPATH": str(root), "PARITY_PROXIED_STATE": str(place / "record")}
        for name, airflow in airflows.items():
            ours |= {
                f"AIRFLOW_URL_{name.upper()}": airflow.address.url,
                f"AIRFLOW_USER_{name.upper()}": airflow.address.user,
                f"AIRFLOW_PASSWORD_{name.upper()}": airflow.address.password,
                f"PARITY_INVENTORY_{name.upper()}": str(root / f"inventory-{name}.json"),
            }
        dagster = LocalDagster(
            place / "dagster",
            port,
            postgres,
            airflows["finance"].address,
            Settings(ours, root),
            {"departments": f"{MODULE}.definitions"},
            root,
        )
        yield Departments(place, supervisors["dagster"], airflows, supervisors, dagster)
