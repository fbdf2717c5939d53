"""The price of one window: bare dbt, a Dagster run, an Airflow task through a proxy; stock beside ours.

All in one run on the same servers, in turn, each repetition with a window of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench.servers import (
    BARE,
    FIRST_DAY,
    OUR_JOB,
    OURS,
    STOCK,
    STOCK_JOB,
    Servers,
    hand_over,
    running_servers,
)
from bench.table import Row
from dagster_defs.lifecycle import Stage
from demo.checkout import PROJECT_ROOT

REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))
FOLDER = PROJECT_ROOT / ".demo" / "bench-one-window"


def measure(console: Console) -> list[Row]:
    """One row for each way to run the window; the bare command comes first."""
    with running_servers(console, FOLDER) as servers:
        ways: dict[str, Callable[[int], float]] = {
            "dbt build, bare command": _bare_command,
            "Airflow task, bare": lambda day: _task(servers, BARE, day),
            "Dagster run, stock dagster-dbt": lambda day: servers.run("stock", STOCK_JOB, day, day),
            "Dagster run, ours": lambda day: _our_run(servers, day),
            "Airflow task, stock proxy": lambda day: _task(servers, STOCK, day),
            "Airflow task, our proxy": lambda day: _task(servers, OURS, day),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for repetition in range(REPETITIONS):
            for number, (way, run) in enumerate(ways.items()):
                taken = run(repetition * len(ways) + number)
                seconds[way].append(taken)
                console.print(f"  {repetition + 1}/{REPETITIONS}  {way}: {taken:.1f} s")
    return [Row(way, figures) for way, figures in seconds.items()]


def _bare_command(day: int) -> float:
    start = FIRST_DAY.add(days=day)
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


def _our_run(servers: Servers, day: int) -> float:
    """A run that no proxy has launched is refused unless the unit is retired, and one of a proxy if it is."""
    hand_over(FOLDER, Stage.RETIRED)
    seconds = servers.run("parity", OUR_JOB, day, day)
    hand_over(FOLDER, Stage.CUT_OVER)
    return seconds


def _task(servers: Servers, dag_id: str, day: int) -> float:
    return servers.task(dag_id, day).duration or 0.0
