"""One task of a DAG file as Dagster runs it for a `LegacyTask`, beside `airflow tasks test` and importing Airflow.

Each is a process of its own in Airflow's environment, on a database that has been made before. CPU seconds, which other
load on the machine hardly affects; the wall-clock seconds stand behind them.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping

from rich.console import Console

from bench.table import Bound, Row
from dagster_defs.adapters.airflow.task_process import AirflowEnvironment
from dagster_defs.adapters.files import atomic
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-task"
PYTHONS = {"2.11": ".venv-airflow", "3.3": ".venv-airflow3"}
ROUNDS = int(os.environ.get("BENCH_REPETITIONS", "3"))
WAYS = ("import airflow.models", "LegacyTask", "airflow tasks test")
START, END = "2024-02-01T06:00:00+00:00", "2024-02-02T06:00:00+00:00"
DAG_FILE = """
import pendulum
from airflow import DAG
try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:
    from airflow.operators.bash import BashOperator

with DAG("bench", schedule="0 6 * * *", start_date=pendulum.datetime(2024, 1, 1), catchup=False):
    BashOperator(task_id="said", bash_command="echo {{ ds }}")
"""
REQUEST = {
    "dag_id": "bench", "task_id": "said", "run_id": f"scheduled__{START}", "logical_date": START, "start": START,
    "end": END, "try_number": 1, "max_tries": None, "conf": {}, "rules": True, "callbacks": True, "candidate": None,
    "records": {},
}  # fmt: skip


def name_of(way: str, version: str) -> str:
    return f"{way}, Airflow {version}"


BOUNDS = [
    Bound(name_of("LegacyTask", version), 1.5, of=name_of("airflow tasks test", version))
    for version in PYTHONS
]


def measure(console: Console) -> list[Row]:
    """The ways in turn, so that all see the same load; the first round, which makes databases, does not count."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    rows = []
    for version in PYTHONS:
        ways = _ways(version)
        taken = [{way: _seconds(run) for way, run in ways.items()} for _ in range(ROUNDS + 1)][1:]
        for way in WAYS:
            row = Row(name_of(way, version), [figures[way][0] for figures in taken])
            walls = ", ".join(f"{figures[way][1]:.1f}" for figures in taken)
            console.print(f"  {row.what}: {row.median:.2f} s of CPU, {walls} s on the wall clock")
            rows.append(row)
    return rows


def _ways(version: str) -> Mapping[str, Callable[[], object]]:
    python = PROJECT_ROOT / PYTHONS[version] / "bin" / "python"
    folder = FOLDER / version
    dags = folder / "dags"
    dags.mkdir(parents=True)
    atomic.write_text(dags / "bench.py", DAG_FILE)
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
    }
    environment = AirflowEnvironment(
        python,
        dags,
        "bench.py",
        PROJECT_ROOT / "legacy_dags" / "handover" / "run_task.py",
        folder / "databases",
        variables,
    )

    def process(*arguments: str) -> None:
        done = subprocess.run(
            [str(python), *arguments],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")

    def legacy_task() -> None:
        result = environment.run(REQUEST, say=lambda line: None, limit=None)
        if result["record"]["state"] != "success":
            raise RuntimeError(f"the task ended as {result}")

    process("-m", "airflow", "db", "migrate")
    tested = ("-m", "airflow", "tasks", "test", "bench", "said", "2024-02-01")
    ways = (lambda: process("-c", "import airflow.models"), legacy_task, lambda: process(*tested))
    return dict(zip(WAYS, ways, strict=True))


def _seconds(run: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of the processes that it has waited for, and seconds by the clock."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run()
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - began
