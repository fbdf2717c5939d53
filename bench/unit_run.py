"""A run of one unit, as its worker has it: in an estate of 300 units beside the same run in an estate of 12."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from rich.console import Console

from bench.estates import PACKAGE, write_estate
from bench.location import cpu_seconds
from bench.servers import ledger_up_to
from bench.table import Bound, Row
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.lifecycle import Stage, Unit
from demo.checkout import PROJECT_ROOT

FOLDER = PROJECT_ROOT / ".demo" / "bench-unit-run"
UNIT = Unit("dag_0000", "build_m_0")
SMALL, LARGE = 12, 300
REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))


def _name(units: int) -> str:
    return f"a run in an estate of {units} units"


BOUNDS = [Bound(_name(LARGE), 1.2, of=_name(SMALL))]


def measure(console: Console) -> list[Row]:
    """CPU time of the worker, dbt included, in turn; the first run of each estate, which parses, does not count."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    seconds: dict[int, list[float]] = {}
    for units in (SMALL, LARGE):
        folder = write_estate(FOLDER / str(units), units)
        ledger = Ledger(folder / "proxied_state")
        for entry in ledger_up_to(Stage.RETIRED, UNIT):
            ledger.append(entry)
    for repetition in range(REPETITIONS + 1):
        for units in (SMALL, LARGE):
            taken = _run(FOLDER / str(units), f"2024-01-{repetition + 1:02}")
            console.print(f"  {repetition}  {_name(units)}: {taken:.1f} s")
            seconds.setdefault(units, []).append(taken)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return [Row(_name(units), taken[1:]) for units, taken in seconds.items()]


def _run(folder: Path, key: str) -> float:
    environment = {**os.environ, "PARITY_PROXIED_STATE": str(folder / "proxied_state"), "PARITY_STRICT": "1"}
    command = [sys.executable, "-m", "bench.unit_run", str(folder), key]
    return cpu_seconds(command, environment)


def main(folder: Path, key: str) -> None:
    """Runs the unit's job for one partition by Dagster's function for the worker of a run. `dagster.execute_job` would
    load the whole location three times more, which no worker does."""
    import dagster as dg
    from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
    from dagster._grpc.impl import core_execute_run

    repository = ReconstructableRepository.for_module(f"{PACKAGE}.definitions", "defs", str(folder))
    sys.path.insert(0, str(folder))
    (home := folder / "dagster_home").mkdir(exist_ok=True)
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        job = ReconstructableJob(repository, UNIT.identifier)
        run = instance.create_run_for_job(job.get_definition(), tags={"dagster/partition": key})
        events = list(core_execute_run(job, run, instance, inject_env_vars=False))
        if failures := [event.message for event in events if event.is_failure]:
            raise SystemExit(f"the run failed: {failures}")
        built = [event.asset_key for event in events if event.is_step_materialization]
        if built != [dg.AssetKey("m_0")]:
            raise SystemExit(f"the run built {built}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
