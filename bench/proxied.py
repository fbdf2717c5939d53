"""The price of a proxied task, from its start to its end in Airflow: bare, through stock Airlift and dagster-dbt, ours.

All on the same servers, in turn, each repetition with a window of its own.
"""

from __future__ import annotations

import os

from rich.console import Console

from bench.phases import phases_of, print_phases
from bench.servers import BARE, OURS, STOCK, running_servers
from bench.table import Bound, Row
from dagster_defs.adapters.airflow.rows import TaskInstance
from demo.checkout import PROJECT_ROOT

REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))
FOLDER = PROJECT_ROOT / ".demo" / "bench-proxied"
NAMES = {BARE: "bare", STOCK: "stock proxy", OURS: "our proxy"}
BOUNDS = [Bound(NAMES[OURS], 0.5, of=NAMES[STOCK], over=NAMES[BARE])]


def measure(console: Console) -> list[Row]:
    """A row for each way; where the proxies' time goes is printed beside it."""
    tasks: dict[str, list[TaskInstance]] = {dag_id: [] for dag_id in NAMES}
    with running_servers(console, FOLDER) as servers:
        for repetition in range(REPETITIONS):
            for number, (dag_id, name) in enumerate(NAMES.items()):
                task = servers.task(dag_id, repetition * len(NAMES) + number)
                tasks[dag_id].append(task)
                console.print(f"  {repetition + 1}/{REPETITIONS}  {name}: {task.duration:.1f} s")
        with servers.dagster.instance() as instance:
            phases_of = {
                NAMES[dag_id]: [phases_of(task, instance) for task in tasks[dag_id]]
                for dag_id in (STOCK, OURS)
            }
    print_phases(console, "Where the time of the proxied tasks goes, median seconds", phases_of)
    return [Row(NAMES[dag_id], [task.duration or 0.0 for task in ran]) for dag_id, ran in tasks.items()]
