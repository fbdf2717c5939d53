"""What a proxy asks Dagster before it launches: milliseconds, in estates of 50, 500 and 5,000 daily assets.

Each asset has three years of partitions, behind a real Dagster web server. Ours finds the unit's job, the partition's
key and earlier runs; stock asks for all assets with all their partition keys. Stock gives up after 3 s: here it is
given more time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from bench.table import Bound, Row
from dagster_defs.adapters.dagster.api import DagsterClient
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-lookup"
SIZES = (50, 500, 5_000)
WAYS = ("ours", "stock")
START_SECONDS = 240
STOCK_GIVES_UP = 3  # seconds
ROUNDS = int(os.environ.get("BENCH_REPETITIONS", "3"))
EACH = {"ours": 10, "stock": 1}  # look-ups of one round
DAY = "2023-06-15"


def name_of(way: str, assets: int) -> str:
    return f"{way}, {assets:,} assets"


BOUNDS = [
    Bound(name_of("ours", SIZES[-1]), 2, of=name_of("ours", SIZES[0])),
    *(Bound(name_of("ours", size), 0.1, of=name_of("stock", size)) for size in SIZES[1:]),
]


def measure(console: Console) -> list[Row]:
    """Each estate as ours and as stock's; the sizes in turn, so that other load on the machine affects all of them."""
    Supervisor(FOLDER / "run").end_leftovers()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    rows = []
    for way in WAYS:
        looked_up: dict[int, list[Any]] = {assets: [] for assets in SIZES}
        with _dagsters(way) as urls:
            for assets, url in urls.items():
                _look_up(way, url, assets, 1)  # warms up the server
            for number in range(ROUNDS):
                for assets, url in urls.items():
                    if number < rounds(way, assets):
                        looked_up[assets].append(_look_up(way, url, assets, EACH[way]))
        rows += [_row(console, way, assets, looked) for assets, looked in looked_up.items()]
    return rows


def rounds(way: str, assets: int) -> int:
    """A look-up that takes minutes is measured once."""
    return 1 if way == "stock" and assets == SIZES[-1] else ROUNDS


def _row(console: Console, way: str, assets: int, looked: list[Any]) -> Row:
    row = Row(name_of(way, assets), [seconds * 1_000 for look in looked for seconds in look["seconds"]])
    for look in looked:
        if look["partition"] != DAY:
            raise RuntimeError(f"{row.what}: the partition is {look['partition']}, and not {DAY}")
    late = way == "stock" and row.median > STOCK_GIVES_UP * 1_000
    console.print(
        f"  {row.what}: {row.median:,.0f} ms, {looked[0]['requests']} requests, {looked[0]['bytes'] / 1e6:,.3f} MB"
        + (f"; stock gives up after {STOCK_GIVES_UP} s, and was given more" if late else "")
    )
    return row


@contextmanager
def _dagsters(way: str) -> Iterator[dict[int, str]]:
    """A web server for each of the generated estates; yields their addresses."""
    with Supervisor(FOLDER / "run") as supervisor:
        clients = {assets: DagsterClient(_start(supervisor, way, assets)) for assets in SIZES}
        for client in clients.values():
            supervisor.wait_until("Dagster", client.is_ready, seconds=START_SECONDS)
        yield {assets: client.url for assets, client in clients.items()}


def _start(supervisor: Supervisor, way: str, assets: int) -> str:
    home = FOLDER / f"{way}-{assets}"
    home.mkdir()
    configuration = {"telemetry": {"enabled": False}, "nux": {"enabled": False}}
    atomic.write_text(home / "dagster.yaml", yaml.safe_dump(configuration))
    port = free_port()
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "PYTHONPATH": str(PROJECT_ROOT),
        "BENCH_ASSETS": str(assets),
        "BENCH_ESTATE": way,
    }
    program = str(Path(sys.executable).parent / "dagster-webserver")
    where = ("-h", "127.0.0.1", "-p", str(port), "-m", "bench.large_estate", "-d", str(PROJECT_ROOT))
    supervisor.start(f"dagster-{way}-{assets}", [program, *where], env=environment, cwd=PROJECT_ROOT)
    return f"http://127.0.0.1:{port}"


def _look_up(way: str, url: str, assets: int, how_often: int) -> Any:
    """Look up the last unit of the estate, in Airflow's environment."""
    question = {
        "way": way,
        "url": url,
        "dag_id": f"dag_{assets // 10 - 1:04}",
        "task_id": "build",
        "start": f"{DAY}T00:00:00+00:00",
        "times": how_often,
    }
    done = subprocess.run(
        [
            str(PROJECT_ROOT / ".venv-airflow" / "bin" / "python"),
            str(Path(__file__).with_name("lookup_in_airflow.py")),
        ],
        input=json.dumps(question),
        env={
            **os.environ,
            "AIRFLOW_HOME": str(FOLDER / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(PROJECT_ROOT / "legacy_dags"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])
