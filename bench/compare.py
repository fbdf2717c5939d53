# ruff: noqa: S608 - every name in these statements is written here
"""Comparing two tables of 12 columns that differ in 7 rows: ours next to one bare pass and its peers.

Each way runs in a separate process, in turn, so that none profits from another's warm memory; the seconds are measured
from opening the database to the answer. `python -m bench.compare WAY FILE` is one of these processes, and
`python -m bench.compare ROWS FILE` writes the tables.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
from rich.console import Console

from bench.table import Bound, Row
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.warehouse.duckdb.reader import DuckDBPair
from dagster_defs.parity import ComparisonSpec, Side, compare
from demo.checkout import PROJECT_ROOT

REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))
FOLDER = PROJECT_ROOT / ".demo" / "bench-compare"
ROWS, MANY_ROWS = 10_000_000, 100_000_000
WIDE_ROWS, WIDE_COLUMNS = 1_000_000, 300
PEER = "reladiff==0.6.0"

TRIPS = """
create or replace table legacy.trips as
select
    range as id,
    timestamp '2024-01-01' + to_seconds(range * 30 * 86400 // {rows}) as pickup_at,
    (hash(range) % 265)::integer as pickup_zone,
    (hash(range + 1) % 265)::integer as dropoff_zone,
    (hash(range + 2) % 10000 / 100)::decimal(9, 2) as fare,
    (hash(range + 3) % 1000 / 100)::decimal(9, 2) as tip,
    (hash(range + 4) % 10000) / 7.0 as distance,
    (hash(range + 5) % 6)::tinyint as passengers,
    ['cash', 'card', 'free', 'dispute'][1 + (hash(range + 6) % 4)::integer] as payment,
    'driver ' || (hash(range + 7) % 50000) as driver,
    hash(range + 8) % 2 = 0 as shared,
    if(hash(range + 9) % 50 = 0, null, date '2024-01-01' + (hash(range + 9) % 60)::integer) as settled
from range({rows})
"""
PLANTED = """
create or replace table candidate.trips as
select * replace (if(id in (3, 1000, {rows} // 3, {rows} // 2, {rows} // 2 + 1), fare + 1, fare) as fare)
from legacy.trips
where id != {rows} // 4
union all
select * replace ({rows} as id) from legacy.trips where id = 77
"""


def measure(console: Console) -> list[Row]:
    """Ours comes first; peers are installed into the bench's own folder."""
    file = _tables(console, ROWS)
    peer = _peer(console)
    ways = ["ours", "hash", "equal", "except", "join"]
    commands: dict[str, list[str]] = {
        way: [sys.executable, "-m", "bench.compare", way, str(file)] for way in ways
    }
    if peer is not None:
        program = str(PROJECT_ROOT / "bench" / "reladiff_peer.py")
        commands |= {way: [str(peer), program, way, str(file)] for way in ("joindiff", "hashdiff")}
    return _rows(console, commands, REPETITIONS)


def measure_wide(console: Console) -> list[Row]:
    """Three hundred columns, next to the set difference and one pass over the same tables."""
    file = _tables(console, WIDE_ROWS, wide=True)
    commands = {
        way: [sys.executable, "-m", "bench.compare", way, str(file)]
        for way in ("ours", "hash", "equal", "except")
    }
    return _rows(console, commands, REPETITIONS)


def measure_large(console: Console) -> list[Row]:
    """Ten times as many rows, with the same memory."""
    file = _tables(console, MANY_ROWS)
    commands = {way: [sys.executable, "-m", "bench.compare", way, str(file)] for way in ("ours", "hash")}
    return _rows(console, commands, 1)


def _rows(console: Console, commands: dict[str, list[str]], repetitions: int) -> list[Row]:
    seconds: dict[str, list[float]] = {way: [] for way in commands}
    peaks: dict[str, float] = dict.fromkeys(commands, 0.0)
    for repetition in range(repetitions):
        for way, command in commands.items():
            answer = subprocess.run(command, cwd=PROJECT_ROOT, check=True, capture_output=True, text=True)
            outcome = json.loads(answer.stdout.splitlines()[-1])
            if way in _EXPECTED and outcome["found"] != _EXPECTED[way]:
                raise RuntimeError(f"{_NAMES[way]} found {outcome['found']!r}, and not {_EXPECTED[way]!r}")
            seconds[way].append(outcome["seconds"])
            peaks[way] = max(peaks[way], outcome["peak_gb"])
            line = f"{outcome['seconds']:.2f} s, {outcome['peak_gb']:.2f} GB, found: {outcome['found']}"
            console.print(f"  {repetition + 1}/{repetitions}  {_NAMES[way]}: {line}")
    return [Row(_NAMES[way], figures, peaks[way]) for way, figures in seconds.items()]


_NAMES = {
    "ours": "ours",
    "equal": "ours, equal tables",
    "hash": "one pass that hashes both tables",
    "except": "EXCEPT both ways",
    "join": "full join, IS DISTINCT FROM",
    "joindiff": f"{PEER} JOINDIFF",
    "hashdiff": f"{PEER} HASHDIFF",
}
# Timings of a comparison that misses the planted differences would mean nothing.
_EXPECTED = {"ours": "5 rows modified in fare; 1 row only in legacy; 1 row only in candidate", "join": "7"}
_MEMORY = Bound(_NAMES["ours"], gigabytes=1.0)
BOUNDS = [
    Bound(_NAMES["ours"], 1.5, of=_NAMES["hash"]),
    Bound(_NAMES["equal"], 1.5, of=_NAMES["hash"]),
    Bound(_NAMES["ours"], 1.0, of=_NAMES["except"]),
    Bound(_NAMES["ours"], 1.0, of=_NAMES["join"]),
    Bound(_NAMES["ours"], 1 / 5, of=_NAMES["joindiff"]),
    Bound(_NAMES["ours"], 1 / 15, of=_NAMES["hashdiff"]),
    _MEMORY,
]
LARGE_BOUNDS = [_MEMORY]
WIDE_BOUNDS = [
    Bound(_NAMES["ours"], 3.0, of=_NAMES["hash"]),
    Bound(_NAMES["equal"], 1.5, of=_NAMES["hash"]),
    Bound(_NAMES["ours"], 1.0, of=_NAMES["except"]),
    _MEMORY,
]


def _tables(console: Console, rows: int, *, wide: bool = False) -> Path:
    file = FOLDER / f"{'wide' if wide else 'trips'}_{rows}.duckdb"
    if file.exists():
        return file
    FOLDER.mkdir(parents=True, exist_ok=True)
    console.print(f"writing 2 × {rows:,} rows into {file} …")
    # In a separate process: its memory would otherwise be counted for every process started later.
    subprocess.run(
        [sys.executable, "-m", "bench.compare", str(rows), str(file)], cwd=PROJECT_ROOT, check=True
    )
    return file


def _write(rows: int, file: Path) -> None:
    with atomic.replacing(file) as unfinished:
        unfinished.unlink()  # DuckDB creates the file itself
        legacy = _wide() if file.name.startswith("wide") else TRIPS
        _write_rows(legacy.format(rows=rows), rows, unfinished)


def _write_rows(legacy: str, rows: int, file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        for side in Side:
            connection.execute(f"create schema {side}")
        connection.execute(legacy)
        connection.execute(PLANTED.format(rows=rows))


def _wide() -> str:
    """The legacy table as in `TRIPS`, with `id`, `fare`, and columns of four types up to `WIDE_COLUMNS`."""
    kinds = (
        "({0} % 1000)::integer",
        "({0} % 10000 / 100)::decimal(9, 2)",
        "({0} % 10000) / 7.0",
        "'v' || {0} % 500",
    )
    columns = (
        f"{kinds[each % len(kinds)].format(f'hash(range + {each})')} as c{each}"
        for each in range(WIDE_COLUMNS - 2)
    )
    fare = "(hash(range) % 10000 / 100)::decimal(9, 2) as fare"
    return (
        f"create or replace table legacy.trips as select range as id, {fare}, {', '.join(columns)}"
        " from range({rows})"
    )


def _peer(console: Console) -> Path | None:
    """The Python of an environment with reladiff, which must stay out of ours."""
    python = FOLDER / "peer" / "bin" / "python"
    if python.exists():
        return python
    shutil.rmtree(FOLDER / "peer", ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT / ".tools" / "uv"), "UV_LINK_MODE": "copy"}
    steps = [
        [*uv, "venv", "--quiet", "--python", sys.executable, str(FOLDER / "peer")],
        [*uv, "pip", "install", "--quiet", "--python", str(python), PEER, "duckdb"],
    ]
    try:
        for step in steps:
            subprocess.run(step, env=environment, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(FOLDER / "peer", ignore_errors=True)
        console.print(f"  {PEER}: not available ({error.stderr.strip().splitlines()[-1:]})")
        return None
    return python


def _ours(file: Path, first: Side, second: Side) -> str:
    with DuckDBPair(file, file) as pair:
        legacy = pair.relation(Side.LEGACY, first.value, "trips")
        candidate = pair.relation(Side.CANDIDATE, second.value, "trips")
        return compare(ComparisonSpec("trips", legacy, candidate, key=("id",)), pair).reason


def _columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [str(row[0]) for row in connection.execute("describe legacy.trips").fetchall()]


def _hash(connection: duckdb.DuckDBPyConnection) -> str:
    names = ", ".join(_columns(connection))
    both = " union all ".join(
        f"select '{side}' as side, hash({names}) as hash from {side}.trips" for side in Side
    )
    return f"select count(distinct total) - 1 from (select sum(hash) as total from ({both}) group by side)"


def _except(connection: duckdb.DuckDBPyConnection) -> str:
    ways = ("legacy", "candidate"), ("candidate", "legacy")
    counts = (f"(select count(*) from (from {left}.trips except from {right}.trips))" for left, right in ways)
    return f"select {' + '.join(counts)}"


def _join(connection: duckdb.DuckDBPyConnection) -> str:
    differs = " or ".join(f"legacy.{name} is distinct from candidate.{name}" for name in _columns(connection))
    return (
        "select count(*) from legacy.trips legacy full join candidate.trips candidate"
        f" on legacy.id = candidate.id where {differs}"
    )


_STATEMENTS: dict[str, Callable[[duckdb.DuckDBPyConnection], str]] = {
    "hash": _hash,
    "except": _except,
    "join": _join,
}


def _one(way: str, file: Path) -> None:
    began = time.perf_counter()
    if way in _STATEMENTS:
        with duckdb.connect(str(file), read_only=True) as connection:
            found = str(connection.execute(_STATEMENTS[way](connection)).fetchall()[0][0])
    else:
        found = _ours(file, *(Side if way == "ours" else (Side.LEGACY, Side.LEGACY)))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_gb": peak, "found": found}) + "\n")


if __name__ == "__main__":
    what, file = sys.argv[1], Path(sys.argv[2])
    if what.isdecimal():
        _write(int(what), file)
    else:
        _one(what, file)
