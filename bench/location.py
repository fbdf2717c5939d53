"""Loading a code location of N units beside one stock `@dbt_assets` of N models: whole, and as a run's worker does."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from bench.estates import write_estate
from bench.load import EVERY
from bench.table import Bound, Row
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-location"
SIZES = {300: 1.5, 2000: 2.0}  # units, and how many times as long as stock's a load may take
MEMORY = 1.5
REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))

JOBS = {"stock": "__ASSET_JOB", "ours": "dag_0000__build_m_1"}  # the job that a worker runs


def _name(way: str, units: int, by: str) -> str:
    return f"{way}: {units} {'units' if way == 'ours' else 'models'}, {by}"


WHOLE, WORKER, SERVER = "whole", "a run's worker", "a code server, every job"
BOUNDS = [
    Bound(_name("ours", units, by), times, of=_name("stock", units, by), memory_times=MEMORY)
    for units, times in SIZES.items()
    for by in (WHOLE, WORKER, SERVER)
]


def assets(way: str, by: str, units: int) -> int:
    """How many a load must have: of ours each unit's model and its twin, and in a worker those of the job alone."""
    return 1 if (way, by) == ("ours", WORKER) else 2 * units if way == "ours" else units


def measure(console: Console) -> list[Row]:
    """CPU time, imports included, in turn; the first load of each, which asks dbt, does not count."""
    rows = []
    for units in SIZES:
        shutil.rmtree(FOLDER, ignore_errors=True)
        folder = write_estate(FOLDER, units)
        loads_of: dict[tuple[str, str], list[tuple[float, float]]] = {
            (way, by): [] for by in (WHOLE, WORKER, SERVER) for way in JOBS
        }
        for repetition in range(REPETITIONS + 1):
            for (way, by), loads in loads_of.items():
                job = {WHOLE: "", SERVER: EVERY, WORKER: JOBS[way]}[by]
                loads.append(load(way, folder, job, assets(way, by, units), first=repetition == 0))
                console.print(f"  {repetition}  {_name(way, units, by)}: {loads[-1][0]:.1f} s")
        for (way, by), loads in loads_of.items():
            seconds, peaks = [second for second, _ in loads[1:]], [peak for _, peak in loads[1:]]
            rows.append(Row(_name(way, units, by), seconds, max(peaks)))
    shutil.rmtree(FOLDER, ignore_errors=True)
    return rows


def load(way: str, folder: Path, job: str, assets: int, *, first: bool) -> tuple[float, float]:
    """Seconds of CPU, and the peak in GB. Stock prepares its manifest where `dagster dev` is said to run, and only
    there. Raises RuntimeError if a unit is broken, or if there are not as many assets."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "PARITY_STRICT": "1"}
    environment |= {"PARITY_PROXIED_STATE": str(folder / "proxied_state")}
    environment |= {"DAGSTER_IS_DEV_CLI": "1"} if first else {}
    command = [sys.executable, "-m", "bench.load", way, str(folder), job]
    printed: list[str] = []
    seconds = cpu_seconds(command, environment, printed)
    peak, found = map(int, printed[0].split()[-2:])
    if found != assets:
        raise RuntimeError(f"{way} in {folder}: {found} assets instead of {assets}")
    return seconds, peak / 1e6


def cpu_seconds(
    command: list[str], environment: Mapping[str, str], printed: list[str] | None = None
) -> float:
    """CPU time of a command and everything that it starts; what it says on stdout is added to `printed`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    if printed is not None:
        printed.append(done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
