"""A ledger of 100,000 entries: seconds of CPU, next to a loop that shows how fast the core is at the moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.table import Bound, Row
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move

ENTRIES, UNITS = 100_000, 300
ROUNDS = int(os.environ.get("BENCH_REPETITIONS", "5"))
LOOP = "a loop of 30 M additions"
ALL = f"{ENTRIES:,} entries of {UNITS} units, read and understood"
ONE = "one unit of them"
BOUNDS = [Bound(ALL, 2.5, of=LOOP), Bound(ONE, 1, of=LOOP)]

_WAY = ((Move.CUTOVER, Stage.SHADOWED), (Move.ROLLBACK, Stage.CUT_OVER))
_STEPS = ("the ledger says: intended", "Dagster has loaded the unit's job", "the ledger says: done")


def measure(console: Console) -> list[Row]:
    """Run the three in turn, so that other load on the machine affects all of them."""
    with TemporaryDirectory(prefix="bench-ledger-") as folder:
        ledger = long_ledger(Path(folder), ENTRIES, UNITS)
        console.print(f"a ledger of {ledger.path.stat().st_size / 1e6:.0f} MB; CPU, not the clock")
        work: dict[str, Callable[[], object]] = {
            LOOP: lambda: sum(range(30_000_000)),
            ALL: lambda: ledger.read().histories(),
            ONE: lambda: ledger.history(Unit("dag_7", "dbt")),
        }
        seconds_of: dict[str, list[float]] = {what: [] for what in work}
        for _ in range(ROUNDS):
            for what, do in work.items():
                seconds_of[what].append(cpu_seconds(do))
    return [Row(what, seconds) for what, seconds in seconds_of.items()]


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def long_ledger(folder: Path, entries: int, units: int) -> Ledger:
    """A ledger of alternating cutovers and rollbacks."""
    ledger = Ledger(folder)
    at = datetime(2024, 3, 9, 22, tzinfo=timezone.utc)
    lines: list[str] = []
    for number in range(entries // 2):
        move, stage = _WAY[number // units % 2]
        unit = Unit(f"dag_{number % units}", "dbt")
        intent = Entry(f"{number:012x}", at, "ada@ops", unit, move, Kind.INTENDED, stage, "why", (), _STEPS)
        for entry in (intent, replace(intent, kind=Kind.DONE, reason="", steps=())):
            lines.append(f"{json.dumps(entry.as_json())}\n")
    atomic.write_text(ledger.path, "".join(lines))
    return ledger
