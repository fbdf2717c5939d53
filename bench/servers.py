"""What the benches of the hand-over run on: a real Airflow, a real Dagster with our code location and a stock one.

One dbt selection in three DAGs: bare, through the stock proxy, through ours; a dbt project for each of the two
locations. Dagster's daemon is ended as soon as all is up: its sensors would start candidate runs in between.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pendulum
from rich.console import Console

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.rows import TaskInstance
from dagster_defs.adapters.dagster.api import ENDED, DagsterClient
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.errors import RunFailed
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings, process_environment
from dagster_defs.windows import Window
from demo import local_airflow, local_dagster
from demo.checkout import PROJECT_ROOT
from demo.estate import make_landing_data
from demo.local_airflow import LocalAirflow
from demo.local_dagster import LocalDagster
from demo.postgres import end_leftover_postgres, running_postgres

OURS, STOCK, BARE = "taxi_daily", "bench_stock", "bench_bare"
UNIT = Unit(OURS, "dbt_daily")
OUR_JOB, STOCK_JOB = UNIT.identifier, "stock_daily_job"
FIRST_DAY = pendulum.date(2024, 3, 1)  # of the DAGs, of stock's partitions, and of the month that is ingested
DAYS = 31
PATIENCE = 600

# The moves that lead to a stage, each with the stage in which it begins.
_MOVES = ((Stage.OBSERVED, Move.SHADOW), (Stage.SHADOWED, Move.CUTOVER), (Stage.CUT_OVER, Move.RETIRE))
_BEFORE = {Stage.CUT_OVER: 2, Stage.RETIRED: 3}


@dataclass(frozen=True)
class Servers:
    """Days count from `FIRST_DAY`; a window of ours is a New York day, of the two others a day of UTC.

    `warm`: seconds of the first task of each DAG, which no figure is made from.
    """

    folder: Path
    supervisor: Supervisor
    airflow: LocalAirflow
    airflow_api: AirflowClient
    dagster: LocalDagster
    dagster_api: DagsterClient
    warm: dict[str, float] = field(default_factory=dict)

    def task(self, dag_id: str, day: int) -> TaskInstance:
        """A run of the DAG for that day, triggered and waited for; its one task. Raises RunFailed."""
        zone, hour = ("America/New_York", 6) if dag_id == OURS else ("UTC", 0)
        start = pendulum.datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, hour, tz=zone).add(days=day)
        run = self.airflow_api.trigger(dag_id, Window(start, start.add(days=1)))
        ended = at_most_each_second(
            lambda: self.airflow_api.dag_run(dag_id, run.run_id).state in ("success", "failed")
        )
        self.supervisor.wait_until(dag_id, ended, seconds=PATIENCE)
        [task] = self.airflow_api.task_instances(dag_id, run.run_id)
        if task.state != "success" or task.duration is None:
            raise RunFailed(str(task.unit), task.state, self.airflow_api.log_of(task)[-2000:])
        return task

    def run(self, location: str, job: str, first: int, last: int) -> float:
        """One Dagster run for all of these days; seconds from launch to end. Raises LaunchRefused, RunFailed."""
        keys = (FIRST_DAY.add(days=first).isoformat(), FIRST_DAY.add(days=last).isoformat())
        began = time.monotonic()
        run_id = self.dagster_api.launch(job, keys, location=location)
        self.supervisor.wait_until(job, lambda: self.dagster_api.status(run_id) in ENDED, seconds=PATIENCE)
        if (state := self.dagster_api.status(run_id)) != "SUCCESS":
            raise RunFailed(job, state, self.dagster_api.run_address(run_id))
        return time.monotonic() - began

    def airflow_command(self, name: str, *arguments: str) -> None:
        """Airflow's own command, waited for. Raises ServerDied with the end of its log."""
        program = str(PROJECT_ROOT / ".venv-airflow" / "bin" / "airflow")
        self.supervisor.run(name, [program, *arguments], env=self.airflow.env)


def hand_over(folder: Path, stage: Stage) -> None:
    """Write the ledger anew: runs of a unit that is cut over are the proxy's, of one that is retired Dagster's own."""
    ledger = Ledger(folder / "proxied_state")
    ledger.path.unlink(missing_ok=True)
    for entry in ledger_up_to(stage):
        ledger.append(entry)


def ledger_up_to(stage: Stage, unit: Unit = UNIT) -> list[Entry]:
    """What the commands would have written on the way there."""
    at = datetime.now(timezone.utc)
    return [
        Entry(id=f"bench-{move}", at=at, operator="bench", unit=unit, move=move, kind=kind, stage=began)
        for began, move in _MOVES[: _BEFORE[stage]]
        for kind in (Kind.INTENDED, Kind.DONE)
    ]


def at_most_each_second(ask: Callable[[], bool]) -> Callable[[], bool]:
    """The question, asked at most once a second: each answer costs Airflow CPU that the task would otherwise have."""
    asked = 0.0

    def ready() -> bool:
        nonlocal asked
        if time.monotonic() - asked < 1:
            return False
        asked = time.monotonic()
        return ask()

    return ready


@contextmanager
def running_servers(console: Console, folder: Path) -> Iterator[Servers]:
    """Both orchestrators in an emptied folder, the unit cut over, each way run once; all ends with the block."""
    supervisor = Supervisor(folder / "run", console.print)
    supervisor.end_leftovers()
    end_leftover_postgres(folder / "postgres")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = _environment(folder)
    settings = Settings.from_process().with_variables(environment)
    with ExitStack() as stack:
        # The code that makes the raw data reads the environment of its process.
        stack.enter_context(process_environment(environment))
        console.print(f"{make_landing_data()}; starting Airflow and Dagster …")
        _prepare_estates(folder)
        databases = (local_airflow.DATABASE, local_dagster.DATABASE)
        postgres = stack.enter_context(running_postgres(folder / "postgres", databases))
        stack.enter_context(supervisor)
        dagster_port = free_port()
        airflow = LocalAirflow(
            folder / "airflow",
            free_port(),
            postgres,
            settings.with_variables({"DAGSTER_URL": f"http://127.0.0.1:{dagster_port}"}),
            dags_folder=PROJECT_ROOT / "bench" / "dags",
        )
        dagster = LocalDagster(
            folder / "dagster",
            dagster_port,
            postgres,
            airflow.address,
            settings,
            {"parity": "dagster_defs.definitions", "stock": "bench.stock.definitions"},
        )
        airflow.prepare(supervisor)
        airflow_api = airflow.start(supervisor)
        dagster_api = dagster.start(supervisor)
        _end_daemon(supervisor)
        supervisor.wait_until("the DAGs", lambda: len(airflow_api.dags()) == 3, seconds=PATIENCE)
        servers = Servers(folder, supervisor, airflow, airflow_api, dagster, dagster_api)
        for dag_id in (BARE, STOCK, OURS):
            airflow_api.set_paused(dag_id, paused=False)
            servers.warm[dag_id] = servers.task(dag_id, DAYS - 1).duration or 0.0
            console.print(f"  once for warmth  {dag_id}: {servers.warm[dag_id]:.1f} s")
        yield servers


def _end_daemon(supervisor: Supervisor) -> None:
    [daemon] = [child for child in supervisor.children if child.name == "dagster-daemon"]
    daemon.process.terminate()
    daemon.process.wait(60)
    supervisor.release(daemon)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_DBT_BIN_DIR": str(Path(sys.executable).parent),
        "PARITY_PROXIED_STATE": str(folder / "proxied_state"),
        "BENCH_STOCK_STATE": str(folder / "stock_state"),
        "BENCH_STOCK_DBT": str(folder / "stock_dbt"),
        "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), str(PROJECT_ROOT / "legacy_dags")]),
        # What `dagster dev` sets, so that stock dagster-dbt prepares its manifest
        "DAGSTER_IS_DEV_CLI": "1",
    }


def _prepare_estates(folder: Path) -> None:
    """Raw data, the unit and stock's task handed over, and a copy of the dbt project for stock."""
    from include import ingest

    ingest.load_zones()
    ingest.load_trips(FIRST_DAY.strftime("%Y-%m"))
    write_mark(folder / "proxied_state", UNIT, proxied=True)
    hand_over(folder, Stage.CUT_OVER)
    write_mark(folder / "stock_state", Unit(STOCK, UNIT.task_id), proxied=True)
    shutil.copytree(
        PROJECT_ROOT / "dbt", folder / "stock_dbt", ignore=shutil.ignore_patterns("target*", "logs")
    )
