"""A new window on a project of 2,000 models: seconds from the start of the run to the first model's start.

Stock dagster-dbt hands `--vars` to a `dbt` process of its own, and a changed window voids the partial parse. Both
ways run the same one-model selection as an asset in a process of its own, as a run worker does; the clock starts when
that process starts, and stops when the warehouse's first statement of the model is logged by dbt.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from bench.projects import write_project
from bench.table import Bound, Row
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-no-reparse"
MODELS = int(os.environ.get("BENCH_MODELS", "2000"))
REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))
NAMES = {
    "stock": "stock dagster-dbt, changed --vars",
    "ours": "ours, changed window",
    "whole": "ours, with the whole manifest",
}
BOUNDS = [Bound(NAMES["ours"], 1 / 5, of=NAMES["stock"]), Bound(NAMES["whole"], 1 / 5, of=NAMES["stock"])]


def measure(console: Console) -> list[Row]:
    """Stock first; each repetition has a window that was never run before."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    projects = {way: write_project(FOLDER / way, MODELS) for way in NAMES}
    console.print(f"{MODELS} models; preparing the projects …")
    for way, project in projects.items():
        _partition_run(way, project, 0)  # parses, so that what follows is a changed window and nothing else
    seconds: dict[str, list[float]] = {way: [] for way in projects}
    for repetition in range(REPETITIONS):
        for way, project in projects.items():
            taken = _partition_run(way, project, repetition + 1)
            seconds[way].append(taken)
            console.print(f"  {repetition + 1}/{REPETITIONS}  {way}: {taken:.1f} s")
    return [Row(NAMES[way], figures) for way, figures in seconds.items()]


def _partition_run(way: str, project: Path, day: int) -> float:
    window = json.dumps({"min_date": f"2024-01-{day + 1:02}", "max_date": f"2024-01-{day + 2:02}"})
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "bench.one_model", way, str(project), window],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return float(done.stdout.strip().splitlines()[-1]) - began
