"""What a task with a switch asks before it begins, milliseconds: by a folder, by Airflow's Variable, by Dagster.

The DAG has fifty tasks with marks. Airflow's database is SQLite, and Dagster's web server a real one; each question is
a new connection, as each task is a process of its own. Its peer is the question of whether Dagster is there at all.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from bench.table import Row
from dagster_defs.adapters.dagster.told_marks import Told, ToldMarks
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.errors import DagsterFault
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-question"
DAG, TASKS, TIMES = "taxi_daily", 50, 100
MARKS = {
    "tasks": [{"id": f"task_{number}", "proxied": number % 2 == 0} for number in range(TASKS)],
    "positions": {f"task_{number}": number for number in range(TASKS)},
}


def measure(console: Console) -> list[Row]:
    Supervisor(FOLDER / "run").end_leftovers()
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "home").mkdir(parents=True)
    atomic.write_text(FOLDER / "home" / "dagster.yaml", yaml.safe_dump({"telemetry": {"enabled": False}}))
    with Supervisor(FOLDER / "run") as supervisor:
        port = free_port()
        told = ToldMarks(f"http://127.0.0.1:{port}")
        web = [str(Path(sys.executable).parent / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port)]
        atomic.write_text(FOLDER / "workspace.yaml", "load_from: []\n")
        supervisor.start(
            "dagster",
            [*web, "-w", str(FOLDER / "workspace.yaml")],
            env={**os.environ, "DAGSTER_HOME": str(FOLDER / "home")},
            cwd=FOLDER,
        )
        supervisor.wait_until("Dagster", lambda: _is_there(told), seconds=120)
        told.set_up()
        told.tell(DAG, json.dumps(MARKS))
        answer = _asked(told.url)
    console.print(f"  {TASKS} marks, {TIMES} questions by each way")
    return [Row(name, [seconds * 1_000 for seconds in each]) for name, each in answer.items()]


def _is_there(told: ToldMarks) -> bool:
    try:
        return told.of_dag(DAG) == Told({})
    except DagsterFault:
        return False


def _asked(url: str) -> dict[str, list[float]]:
    """By Airflow's Python, with its database."""
    home = FOLDER / "airflow"
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "DAGSTER_URL": url,
        "PARITY_PROXIED_STATE": str(home / "marks"),
        "PYTHONPATH": str(PROJECT_ROOT / "legacy_dags"),
    }
    (home / "marks").mkdir(parents=True)
    atomic.write_text(home / "marks" / f"{DAG}.yaml", yaml.safe_dump(MARKS))
    python = str(PROJECT_ROOT / ".venv-airflow" / "bin" / "python")
    made = [python, "-m", "airflow", "db", "migrate"]
    subprocess.run(made, env=environment, check=True, capture_output=True)
    done = subprocess.run(
        [python, str(Path(__file__).with_name("question_in_airflow.py"))],
        input=json.dumps({"dag": DAG, "task": f"task_{TASKS - 1}", "marks": MARKS, "times": TIMES}),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
