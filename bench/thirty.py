# ruff: noqa: S608 - every name in these statements is written here
"""Thirty windows of one unit again: Airflow's backfill of bare tasks and of stock proxies, and one Dagster run of ours.

Each way begins without a database and leaves one; the three must hold the same rows. A way that would take longer than
BENCH_BACKFILL_SECONDS, by the window that it has run for warmth, runs ten windows, and thirty are reckoned from them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
from rich.console import Console

from bench.servers import BARE, FIRST_DAY, OUR_JOB, STOCK, Servers, hand_over, running_servers
from bench.table import Bound, Row
from dagster_defs.adapters.files import atomic
from dagster_defs.lifecycle import Stage
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-thirty"
WINDOWS, FEWER = 30, 10
LONGEST = float(os.environ.get("BENCH_BACKFILL_SECONDS", "480"))
NAMES = {
    "bare": "Airflow's backfill, bare",
    "stock": "Airflow's backfill, stock proxy",
    "ours": "one Dagster run, ours",
}
BOUNDS = [Bound(NAMES["ours"], 0.1, of=NAMES[way]) for way in ("bare", "stock")]
_TABLE = "main.daily_metrics"


@dataclass(frozen=True, slots=True)
class Backfill:
    """`file`: the database that the way has left."""

    windows: int
    seconds: float
    file: Path

    @property
    def for_all(self) -> float:
        return self.seconds / self.windows * WINDOWS

    def __str__(self) -> str:
        each = f"{self.seconds / self.windows:.2f} s for each"
        text = f"{self.windows} windows in {self.seconds:.1f} s, {each}"
        if self.windows == WINDOWS:
            return text
        return f"{text}; reckoned from them, {WINDOWS} take {self.for_all:.0f} s"


def measure(console: Console) -> list[Row]:
    """One row for each way; raises RuntimeError if the tables differ."""
    with running_servers(console, FOLDER) as servers:
        ways: dict[str, Callable[[int], None]] = {
            "bare": lambda windows: _by_airflow(servers, BARE, windows),
            "stock": lambda windows: _by_airflow(servers, STOCK, windows),
            "ours": lambda windows: _by_dagster(servers, windows),
        }
        warm = {"bare": servers.warm[BARE], "stock": servers.warm[STOCK], "ours": 0.0}
        done = {}
        for way, run in ways.items():
            done[way] = _backfill(FOLDER / f"{way}.duckdb", windows_for(warm[way]), run)
            console.print(f"  {NAMES[way]}: {done[way]}")
        refuse_differences(console, done, NAMES)
    return [Row(NAMES[way], [outcome.for_all]) for way, outcome in done.items()]


def windows_for(seconds: float) -> int:
    """How many windows to run if one of them takes so long."""
    return WINDOWS if seconds * WINDOWS <= LONGEST else FEWER


def _backfill(file: Path, windows: int, run: Callable[[int], None]) -> Backfill:
    written = FOLDER / "data" / "legacy" / "legacy.duckdb"
    written.unlink(missing_ok=True)
    began = time.monotonic()
    run(windows)
    seconds = time.monotonic() - began
    atomic.move(written, file)
    return Backfill(windows, seconds, file)


def _by_airflow(servers: Servers, dag_id: str, windows: int) -> None:
    """With `max_active_runs=1`, as the taxi DAGs have it: a DuckDB file has one writer."""
    last = FIRST_DAY.add(days=windows - 1)
    days = ("-s", f"{FIRST_DAY}", "-e", f"{last}")
    servers.airflow_command(f"backfill-{dag_id}", "dags", "backfill", *days, "--yes", dag_id)


def _by_dagster(servers: Servers, windows: int) -> None:
    hand_over(FOLDER, Stage.RETIRED)  # Dagster starts its windows by itself, and no proxy does
    servers.run("parity", OUR_JOB, 0, windows - 1)


def refuse_differences(console: Console, done: Mapping[str, Backfill], names: Mapping[str, str]) -> None:
    """Compare each pair of tables, on the days that both have."""
    ways = list(done)
    with duckdb.connect() as connection:
        for way, outcome in done.items():
            connection.execute(f"attach '{outcome.file}' as {way} (read_only)")
        for number, way in enumerate(ways):
            for other in ways[number + 1 :]:
                days = min(done[way].windows, done[other].windows)
                until = FIRST_DAY.add(days=days)
                rows = [f"(from {side}.{_TABLE} where trip_date < date '{until}')" for side in (way, other)]
                counts = [_count(connection, relation) for relation in rows]
                extra = [_count(connection, f"({a} except all {b})") for a, b in (rows, rows[::-1])]
                compared = f"{_TABLE}, {names[way]} beside {names[other]}, {days} days: {counts[0]:,} rows"
                if extra != [0, 0] or counts[0] != counts[1] or not counts[0]:
                    raise RuntimeError(
                        f"{compared} and {counts[1]:,}, {extra[0]} and {extra[1]} without a like"
                    )
                console.print(f"  equal: {compared}")


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    [(count,)] = connection.execute(f"select count(*) from {relation}").fetchall()
    return int(count)
