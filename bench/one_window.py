"""The price of one window: bare dbt, a Dagster run, an Airflow task through a proxy; stock beside ours.

All in one run on the same servers, in turn, each repetition with a window of its own: a real Airflow, a real Dagster
with two code locations, one dbt project for each of the two.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pendulum
from rich.console import Console

from bench.table import Row
from dagster_defs.adapters import local_airflow, local_dagster
from dagster_defs.adapters.airflow import AirflowClient
from dagster_defs.adapters.dagster_api import ENDED, DagsterClient
from dagster_defs.adapters.demo import make_landing_data
from dagster_defs.adapters.local_airflow import LocalAirflow
from dagster_defs.adapters.local_dagster import LocalDagster
from dagster_defs.adapters.mirrors import PROJECT_ROOT
from dagster_defs.adapters.postgres import end_leftover_postgres, running_postgres
from dagster_defs.adapters.processes import Supervisor, free_port
from dagster_defs.adapters.proxied_state import write_mark
from dagster_defs.errors import RunFailed
from dagster_defs.lifecycle import Unit
from dagster_defs.windows import Window

REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))
FOLDER = PROJECT_ROOT / ".demo" / "bench-one-window"
OURS, STOCK, BARE = "taxi_daily", "bench_stock", "bench_bare"
PATIENCE = 180


def measure(console: Console) -> list[Row]:
    """One row for each way to run the window; the bare command comes first."""
    supervisor = Supervisor(FOLDER / "run")
    supervisor.end_leftovers()
    end_leftover_postgres(FOLDER / "postgres")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    os.environ.update(_environment())
    console.print(f"{make_landing_data()}; starting Airflow and Dagster …")
    _prepare_estates()
    with ExitStack() as stack:
        databases = (local_airflow.DATABASE, local_dagster.DATABASE)
        postgres = stack.enter_context(running_postgres(FOLDER / "postgres", databases))
        stack.enter_context(supervisor)
        dagster_port = free_port()
        airflow = LocalAirflow(
            FOLDER / "airflow",
            free_port(),
            postgres,
            {**_environment(), "DAGSTER_URL": f"http://127.0.0.1:{dagster_port}"},
            dags_folder=PROJECT_ROOT / "bench" / "dags",
        )
        dagster = LocalDagster(
            FOLDER / "dagster",
            dagster_port,
            postgres,
            airflow.address,
            _environment(),
            {"parity": "dagster_defs.definitions", "stock": "bench.stock.definitions"},
        )
        airflow.prepare(supervisor)
        airflow_api = airflow.start(supervisor)
        dagster_api = dagster.start(supervisor)
        supervisor.wait_until("the DAGs", lambda: len(airflow_api.dags()) == 3, seconds=PATIENCE)
        for dag_id in (BARE, STOCK, OURS):
            airflow_api.set_paused(dag_id, paused=False)
        return _rows(console, supervisor, airflow_api, dagster_api)


def _rows(
    console: Console, supervisor: Supervisor, airflow_api: AirflowClient, dagster_api: DagsterClient
) -> list[Row]:
    ways: dict[str, Callable[[int], float]] = {
        "dbt build, bare command": _bare_command,
        "Airflow task, bare": lambda day: _task(supervisor, airflow_api, BARE, day),
        "Dagster run, stock dagster-dbt": lambda day: _run(
            supervisor, dagster_api, "stock", "stock_daily_job", day
        ),
        "Dagster run, ours": lambda day: _run(
            supervisor, dagster_api, "parity", "taxi_daily__dbt_daily", day
        ),
        "Airflow task, stock proxy": lambda day: _task(supervisor, airflow_api, STOCK, day),
        "Airflow task, our proxy": lambda day: _task(supervisor, airflow_api, OURS, day),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repetition in range(REPETITIONS):
        for number, (way, run) in enumerate(ways.items()):
            taken = run(repetition * len(ways) + number)
            seconds[way].append(taken)
            console.print(f"  {repetition + 1}/{REPETITIONS}  {way}: {taken:.1f} s")
    return [Row(way, figures) for way, figures in seconds.items()]


def _bare_command(day: int) -> float:
    start = pendulum.date(2024, 3, 1).add(days=day)
    variables = f'{{"min_date": "{start}", "max_date": "{start.add(days=1)}"}}'
    program = Path(sys.executable).parent / "dbt"
    target = str(FOLDER / "bare-target")
    flags = ["--profiles-dir", ".", "--target-path", target, "--log-path", target]
    began = time.monotonic()
    subprocess.run(
        [str(program), "build", "--select", "tag:daily", "--vars", variables, *flags],
        cwd=PROJECT_ROOT / "dbt",
        check=True,
        capture_output=True,
    )
    return time.monotonic() - began


def _run(supervisor: Supervisor, api: DagsterClient, location: str, job: str, day: int) -> float:
    """From the launch to the end of the run, as Dagster's API shows it."""
    key = pendulum.date(2024, 3, 1).add(days=day).isoformat()
    began = time.monotonic()
    run_id = api.launch(job, (key, key), location=location)
    supervisor.wait_until(job, lambda: api.status(run_id) in ENDED, seconds=PATIENCE)
    if (state := api.status(run_id)) != "SUCCESS":
        raise RunFailed(job, state, api.run_address(run_id))
    return time.monotonic() - began


def _task(supervisor: Supervisor, api: AirflowClient, dag_id: str, day: int) -> float:
    """From the start to the end of the task, as Airflow itself records it."""
    zone, hour = ("America/New_York", 6) if dag_id == OURS else ("UTC", 0)
    start = pendulum.datetime(2024, 3, 1, hour, tz=zone).add(days=day)
    run = api.trigger(dag_id, Window(start, start.add(days=1)))
    supervisor.wait_until(
        dag_id, lambda: api.dag_run(dag_id, run.run_id).state in ("success", "failed"), seconds=PATIENCE
    )
    [task] = api.task_instances(dag_id, run.run_id)
    if task.state != "success" or task.duration is None:
        raise RunFailed(str(Unit(dag_id, "dbt_daily")), task.state, api.log_of(task)[-2000:])
    return task.duration


def _environment() -> dict[str, str]:
    return {
        "TAXI_DATA_DIR": str(FOLDER / "data"),
        "TAXI_DBT_BIN_DIR": str(Path(sys.executable).parent),
        "PARITY_PROXIED_STATE": str(FOLDER / "proxied_state"),
        "BENCH_STOCK_STATE": str(FOLDER / "stock_state"),
        "BENCH_STOCK_DBT": str(FOLDER / "stock_dbt"),
        "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), str(PROJECT_ROOT / "legacy_dags")]),
        # What `dagster dev` sets, so that stock dagster-dbt prepares its manifest
        "DAGSTER_IS_DEV_CLI": "1",
    }


def _prepare_estates() -> None:
    """Raw data, both marks, and a copy of the dbt project for stock."""
    from include import ingest

    ingest.load_zones()
    ingest.load_trips("2024-03")
    write_mark(FOLDER / "proxied_state", Unit(OURS, "dbt_daily"), proxied=True)
    write_mark(FOLDER / "stock_state", Unit(STOCK, "dbt_daily"), proxied=True)
    shutil.copytree(
        PROJECT_ROOT / "dbt", FOLDER / "stock_dbt", ignore=shutil.ignore_patterns("target*", "logs")
    )
