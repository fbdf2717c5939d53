"""A large estate from end to end: the exporter on 300 DAGs of 10 tasks, `parity inventory` on 2,000 models."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.projects import write_project
from bench.table import Bound, Row
from dagster_defs.adapters.files import atomic
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-whole-estate"
DAGS = 300
TASKS = 10
MODELS = int(os.environ.get("BENCH_MODELS", "2000"))
REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))

EXPORT, FIRST, AGAIN = (
    f"{what}: {DAGS} DAGs, {MODELS} models" for what in ("export", "read, project never parsed", "read again")
)
BOUNDS = [Bound(EXPORT, seconds=60), Bound(AGAIN, seconds=15)]

_DAG = """\
from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("estate_{number:03}", schedule="{minute} {hour} * * *", start_date=datetime(2023, 1, 1), catchup=True):
    last = None
    for number in range({tasks}):
        window = '{{"min_date": "{{{{ data_interval_start | ds }}}}", "max_date": "{{{{ data_interval_end | ds }}}}"}}'
        task = BashOperator(
            task_id=f"task_{{number}}",
            bash_command=f"dbt build -s m_{{{number} * {tasks} % {models} + number}} --vars '{{window}}'",
        )
        if last:
            last >> task
        last = task
"""


def measure(console: Console) -> list[Row]:
    """The export of three months; then the reading, once with a project that dbt has never parsed, and again."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "dags").mkdir(parents=True)
    for number in range(DAGS):
        text = _DAG.format(number=number, minute=number % 60, hour=number % 24, tasks=TASKS, models=MODELS)
        atomic.write_text(FOLDER / "dags" / f"estate_{number:03}.py", text)
    project, inventory = write_project(FOLDER / "dbt", MODELS), FOLDER / "inventory.json"
    export: list[str | Path] = [
        *(
            PROJECT_ROOT / ".venv-airflow" / "bin" / "python",
            PROJECT_ROOT / "legacy_dags/handover/inventory.py",
        ),
        *("--dags-folder", FOLDER / "dags", "--from", "2024-01-01", "--to", "2024-03-31", "--out", inventory),
    ]
    read: list[str | Path] = [
        *(Path(sys.executable).parent / "parity", "inventory", inventory, "--dbt-project", project, "--json"),
    ]
    seconds: dict[str, list[float]] = {}
    runs: list[tuple[str, list[str | Path]]] = [
        (EXPORT, export),
        (FIRST, read),
        (AGAIN, read),
    ]
    for name, command in runs:
        for repetition in range(1 if name == FIRST else REPETITIONS):
            seconds.setdefault(name, []).append(_seconds(command))
            console.print(f"  {repetition + 1}  {name}: {seconds[name][-1]:.1f} s")
    return [Row(name, figures) for name, figures in seconds.items()]


def _seconds(command: Sequence[str | Path]) -> float:
    began = time.monotonic()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return time.monotonic() - began
