"""A company of 1,000 tasks over two months, from the exporter to `dg check defs`, beside one stock dbt component."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml
from rich.console import Console

from bench.estates import write_location
from bench.location import cpu_seconds
from bench.projects import write_project
from bench.table import Bound, Row
from dagster_defs.adapters.files import atomic
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-mixed-estate"
DAGS = int(os.environ.get("BENCH_DAGS", "100"))
TASKS = 10  # of each DAG below
DBT = 6  # of them run dbt, each two models of its own
SPAN = ("--from", "2024-03-01", "--to", "2024-04-30")
REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))

EXPORT, INVENTORY, SCAFFOLD, STOCK, CHECK, FIRST = (
    f"{what}: {DAGS * TASKS:,} tasks"
    for what in (
        "the exporter",
        "parity inventory",
        "parity scaffold",
        "dg check defs, the stock dbt component",
        "dg check defs, our mirrors",
        "dg check defs, its first time",
    )
)
BOUNDS = [
    Bound(EXPORT, seconds=60),
    Bound(INVENTORY, seconds=30),
    Bound(SCAFFOLD, seconds=30),
    Bound(CHECK, 3.0, of=STOCK, seconds=60),
]

# The daily ones are most, as everywhere; hours and quarter hours have the windows.
_SCHEDULES = (
    *("'@daily'", "'30 5 * * *'", "'15 2 * * *'", "'0 7 * * 1-5'", "'45 0 * * *'"),
    *("'@hourly'", "'0 4 * * MON'", "timedelta(hours=12)", "None", "'0 0 1 * *'"),
)
_ZONES = ("UTC", "UTC", "America/New_York", "Europe/Amsterdam", "UTC")

_DAG = """\
from datetime import timedelta

import pendulum
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sensors.bash import BashSensor
from mixed.containers import Container
from mixed.reports import announce

DAYS = '{{"min_date": "{{{{ data_interval_start | ds }}}}", "max_date": "{{{{ data_interval_end | ds }}}}"}}'
WINDOW = f"--vars '{{DAYS}}'"
AT = "cd /srv/mixed && "

with DAG(
    "mixed_{number:03}",
    schedule={schedule},
    start_date=pendulum.datetime(2024, 1, 1, tz="{zone}"),
    catchup=True,
    default_args={{"retries": 2, "execution_timeout": timedelta(minutes=30)}},
):
    there = BashSensor(task_id="there", bash_command="test -e /srv/landing/{{{{ ds }}}}")
    windowed = BashOperator(task_id="windowed", bash_command=f"dbt run -s {models[0]} {{WINDOW}}")
    built = BashOperator(task_id="built", bash_command=AT + f"dbt build --select {models[1]} {{WINDOW}}")
    tested = BashOperator(
        task_id="tested",
        bash_command=AT + f"dbt run -s {models[2]} {{WINDOW}} && dbt test -s {models[2]} {{WINDOW}}",
    )
    synced = BashOperator(
        task_id="synced",
        bash_command=f"aws s3 sync s3://mixed/seeds /srv/seeds && dbt run -m {models[3]} {{WINDOW}}",
    )
    profiled = BashOperator(
        task_id="profiled",
        bash_command=f"/opt/dbt/bin/dbt run --project-dir /srv/mixed --models {models[4]} {{WINDOW}}",
        pool="warehouse",
    )
    container = Container(
        task_id="container",
        image="registry.mixed.invalid/dbt:7",
        cmds=["dbt"],
        arguments=["run", "--select", *"{models[5]}".split(), "--vars", DAYS],
    )
    summed = SQLExecuteQueryOperator(
        task_id="summed",
        conn_id="warehouse",
        sql=["create table if not exists main.sums_{number} (day date, counted integer)",
             "insert into main.sums_{number} select date '{{{{ ds }}}}', count(*) from main.m_{number}"],
    )
    announced = PythonOperator(
        task_id="announced", python_callable=announce, op_kwargs={{"day": "{{{{ ds }}}}", "number": {number}}}
    )
    posted = BashOperator(task_id="posted", bash_command="curl -fsS https://mixed.invalid/{{{{ ds }}}}")
    there >> windowed >> built >> tested >> synced >> profiled >> container >> summed >> announced >> posted
"""
_MODULES = {
    "__init__.py": "",
    "reports.py": "def announce(day: str, number: int) -> str:\n    return f'{day}: {number}'\n",
    "containers.py": """\
from airflow.models import BaseOperator


class Container(BaseOperator):
    template_fields = ("image", "cmds", "arguments", "env_vars")

    def __init__(self, *, image, cmds, arguments, env_vars=None, **kwargs):
        super().__init__(**kwargs)
        self.image, self.cmds, self.arguments, self.env_vars = image, cmds, arguments, env_vars or {}

    def execute(self, context):
        raise RuntimeError("there is no cluster here")
""",
}
_STOCK = {
    "type": "dagster_dbt.DbtProjectComponent",
    "attributes": {"project": "{{ project_root }}/../dbt"},
}


def write_dags(folder: Path, dags: int) -> Path:
    """The DAGs, with the modules that they share, in a folder as Airflow loads it."""
    for name, text in _MODULES.items():
        atomic.write_text(folder / "mixed" / name, text)
    for number in range(dags):
        first = number * DBT * 2
        text = _DAG.format(
            number=number,
            schedule=_SCHEDULES[number % len(_SCHEDULES)],
            zone=_ZONES[number % len(_ZONES)],
            models=[f"m_{first + 2 * each} m_{first + 2 * each + 1}" for each in range(DBT)],
        )
        atomic.write_text(folder / f"mixed_{number:03}.py", text)
    return folder


def measure(console: Console) -> list[Row]:
    """CPU time, imports included. The first load of each location asks dbt; it is a row of its own."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    bin_folder = Path(sys.executable).parent
    ours, stock = FOLDER / "ours", FOLDER / "stock"
    mirrors = write_location(ours) / "defs"
    atomic.write_text(write_location(stock) / "defs" / "dbt" / "defs.yaml", yaml.safe_dump(_STOCK))
    dags = write_dags(ours / "legacy_dags", DAGS)
    project = write_project(FOLDER / "dbt", DAGS * DBT * 2, targets=("legacy", "candidate"))
    inventory = FOLDER / "inventory.json"
    airflow = PROJECT_ROOT / ".venv-airflow" / "bin" / "python"
    exporter = PROJECT_ROOT / "legacy_dags/handover/inventory.py"
    of_inventory = (inventory, "--dbt-project", project)
    commands: Mapping[str, tuple[Path | str, ...]] = {
        EXPORT: (airflow, exporter, "--dags-folder", dags, *SPAN, "--out", inventory),
        INVENTORY: (bin_folder / "parity", "inventory", *of_inventory, "--json"),
        SCAFFOLD: (bin_folder / "parity", "scaffold", *of_inventory, "--out", mirrors),
        STOCK: (bin_folder / "dg", "check", "defs", "--target-path", stock),
        CHECK: (bin_folder / "dg", "check", "defs", "--target-path", ours),
    }
    path = os.pathsep.join([str(bin_folder), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "PARITY_PROXIED_STATE": str(FOLDER / "proxied_state")}
    seconds: dict[str, list[float]] = {}
    for name, command in commands.items():
        loads = name in (STOCK, CHECK)
        for repetition in range(REPETITIONS + loads):
            row = FIRST if repetition == 0 and name == CHECK else name
            seconds.setdefault(row, []).append(cpu_seconds([str(part) for part in command], environment))
            console.print(f"  {repetition}  {row}: {seconds[row][-1]:.1f} s")
    seconds[STOCK].pop(0)
    return [Row(name, figures) for name, figures in seconds.items()]
