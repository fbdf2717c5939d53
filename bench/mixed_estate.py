"""A company of 1,000 tasks over two months, from the exporter to `dg check defs`, beside one stock dbt component."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import chain
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

EXPORT, PARSE, FIRST_INVENTORY, INVENTORY, SCAFFOLD, FIRST_STOCK, STOCK, FIRST_CHECK, CHECK = (
    f"{what}: {DAGS * TASKS:,} tasks"
    for what in (
        "the exporter",
        "dbt parse, from nothing",
        "parity inventory, dbt has never parsed",
        "parity inventory",
        "parity scaffold",
        "dg check defs, the stock dbt component, its first time",
        "dg check defs, the stock dbt component",
        "dg check defs, our mirrors, their first time",
        "dg check defs, our mirrors",
    )
)
BOUNDS = [
    Bound(EXPORT, seconds=60),
    Bound(FIRST_INVENTORY, 2.0, of=PARSE),
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


def refuse_lost_dags(inventory: Path, dags: int) -> None:
    """Raises RuntimeError if the exporter has lost a DAG or a task."""
    document = json.loads(inventory.read_text(encoding="utf-8"))
    tasks = [len(dag["tasks"]) for dag in document["dags"]]
    _refuse("exported tasks", tasks, [TASKS] * dags)
    _refuse("import errors", document["import_errors"], [])


def refuse_unread_tasks(report: str, dags: int) -> None:
    """Raises RuntimeError if `parity inventory --json` has a task less, or a dbt task without both of its models."""
    units = json.loads(report)["units"]
    _refuse("units", len(units), dags * TASKS)
    models = [
        sorted(
            {
                node
                for call in unit["invocations"]
                for node in call["models"] or ()
                if node.startswith("model.")
            }
        )
        for unit in units
        if unit["invocations"]
    ]
    _refuse("units that run dbt", len(models), dags * DBT)
    wanted = sorted(f"model.synthetic.m_{number}" for number in range(dags * DBT * 2))
    _refuse("models", sorted(chain.from_iterable(models)), wanted)


def refuse_missing_mirrors(folder: Path, dags: int) -> None:
    """Raises RuntimeError unless each task has a mirror, and each dbt task one that is a DbtUnit."""
    documents = [
        document
        for file in sorted(folder.glob("*/defs.yaml"))
        for document in yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    ]
    kinds = Counter(document["type"].rpartition(".")[2] for document in documents)
    _refuse("mirrors", kinds.total(), dags * TASKS)
    _refuse("dbt mirrors", kinds["DbtUnit"], dags * DBT)


def _refuse(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise RuntimeError(f"{what}: {str(found)[:500]} instead of {str(wanted)[:500]}")


def measure(console: Console) -> list[Row]:
    """CPU time, imports included; what asks dbt for the first time is a row of its own. Raises RuntimeError if a stage
    fails, a unit is broken, or a stage has done less than it should."""
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
    read = (bin_folder / "parity", "inventory", *of_inventory, "--json")
    in_project = ("--project-dir", project, "--profiles-dir", project, "--target-path", FOLDER / "parsed")
    check = bin_folder / "dg", "check", "defs", "--target-path"
    commands: Sequence[tuple[str, tuple[Path | str, ...], int]] = (
        (EXPORT, (airflow, exporter, "--dags-folder", dags, *SPAN, "--out", inventory), REPETITIONS),
        (PARSE, (bin_folder / "dbt", "--quiet", "parse", *in_project), 1),
        (FIRST_INVENTORY, read, 1),
        (INVENTORY, read, REPETITIONS),
        (SCAFFOLD, (bin_folder / "parity", "scaffold", *of_inventory, "--out", mirrors), REPETITIONS),
        (FIRST_STOCK, (*check, stock), 1),
        (STOCK, (*check, stock), REPETITIONS),
        (FIRST_CHECK, (*check, ours), 1),
        (CHECK, (*check, ours), REPETITIONS),
    )
    path = os.pathsep.join([str(bin_folder), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "PARITY_STRICT": "1"}
    environment |= {"PARITY_PROXIED_STATE": str(FOLDER / "proxied_state")}
    rows = []
    for name, command, repetitions in commands:
        seconds = []
        for repetition in range(repetitions):
            printed: list[str] = []
            seconds.append(cpu_seconds([str(part) for part in command], environment, printed))
            console.print(f"  {repetition}  {name}: {seconds[-1]:.1f} s")
            if name == EXPORT:
                refuse_lost_dags(inventory, DAGS)
            elif name in (FIRST_INVENTORY, INVENTORY):
                refuse_unread_tasks(printed[0], DAGS)
            elif name == SCAFFOLD:
                refuse_missing_mirrors(mirrors, DAGS)
        rows.append(Row(name, seconds))
    return rows
