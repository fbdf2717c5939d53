"""A burst of finished task instances in Airflow: seconds for each thousand until Dagster has them all, and peak memory.

Ours is the observer, tick after tick, with its events stored as the daemon stores them. Stock is what Airlift's
monitoring job does in its op, without the run around it. Its single query is not paged, so from a burst in one range it
gets only a hundred task instances; to know what all of them cost, it is also run in ranges of a hundred, which its own
sensor does not do. Each way is a separate process beside one loopback Airflow, and stores into its own SQLite
instance.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from bench.table import Bound, Row
from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.older_python import datetime_of
from demo.checkout import PROJECT_ROOT
from tests.support.fakes import FakeAirflow

BURST = int(os.environ.get("BENCH_BURST", "10000"))
UNITS = 10
HUNDRED = 100
DAG = "burst"
SPREAD = timedelta(seconds=100)  # all of it within the observer's overlap
NAMES = {
    "stock": "stock, one range",
    "stock-ranges": "stock, in ranges of a hundred",
    "ours": "ours",
}
BOUNDS = [Bound(NAMES["ours"], 1, of=NAMES["stock-ranges"]), Bound(NAMES["ours"], gigabytes=0.5)]


class Burst(FakeAirflow):
    """Tasks of DAG runs that still run, so that both sides are asked for task instances and nothing else."""

    def __init__(self, first: datetime) -> None:
        super().__init__()
        for number in range(BURST):
            day = (datetime(2020, 1, 1, tzinfo=timezone.utc) + timedelta(days=number // UNITS)).isoformat()
            after = (datetime(2020, 1, 2, tzinfo=timezone.utc) + timedelta(days=number // UNITS)).isoformat()
            run = f"scheduled__{day}"
            if number % UNITS == 0:
                self.add_run(DAG, run, day, after, state="running")
            self.finish(DAG, f"task_{number % UNITS}", run, _end(first, number))

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        if "/logs/" in path:
            return 200, {"content": "[('worker', 'done')]", "continuation_token": None}
        return super().answer(method, path, body, headers)


def _end(first: datetime, number: int) -> Any:
    import pendulum

    return pendulum.instance(first + SPREAD / BURST * number)


def measure(console: Console) -> list[Row]:
    """One burst for all ways; prints how many task instances each has reported, and in how many events."""
    first = datetime.now(timezone.utc) - SPREAD
    rows = []
    with Burst(first) as airflow:
        for way, name in NAMES.items():
            figures = _in_process_of_its_own(way, airflow.url, first)
            console.print(
                f"  {name}: reported {figures['distinct']:,} of {BURST:,} task instances, {figures['told']:,} events, "
                f"in {figures['seconds']:.1f} s"
            )
            rows.append(Row(name, [figures["seconds"] / figures["distinct"] * 1_000], figures["gigabytes"]))
            if way == "ours" and not figures["distinct"] == figures["told"] == BURST:
                raise RuntimeError(f"not every task instance was reported exactly once: {figures}")
    return rows


def _in_process_of_its_own(way: str, url: str, first: datetime) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.observe", way, first.isoformat()],
        cwd=PROJECT_ROOT,
        env={**os.environ, "AIRFLOW_URL": url, "AIRFLOW_USER": "admin", "AIRFLOW_PASSWORD": "admin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def _specs() -> list[Any]:
    import dagster as dg
    from dagster_airlift.core import assets_with_task_mappings

    specs = {f"task_{number}": [dg.AssetSpec(f"table_{number}")] for number in range(UNITS)}
    return [*assets_with_task_mappings(DAG, specs)]


def _ours(instance: Any) -> Callable[[], None]:
    import dagster as dg

    from dagster_defs.components.sensors.airflow_sensor import build_sensor
    from dagster_defs.lifecycle import Unit
    from dagster_defs.windows import Schedule

    daily = partitioned(Schedule.of("0 0 * * *", "UTC", "2020-01-01"))
    partitions = {Unit(DAG, f"task_{number}"): daily for number in range(UNITS)}
    sensor = build_sensor("airflow", partitions, {}, [], 30, PROJECT_ROOT)
    specs = [spec.replace_attributes(partitions_def=definition_of(daily)) for spec in _specs()]
    definitions = dg.Definitions(assets=specs, sensors=[sensor])

    def observe() -> None:
        cursor: str | None = None
        quiet = False
        while not quiet:
            with dg.build_sensor_context(
                instance=instance, cursor=cursor, definitions=definitions
            ) as context:
                result: Any = sensor(context)
            for event in result.asset_events:
                instance.report_runless_asset_event(event)
            cursor, quiet = result.cursor, not result.asset_events

    return observe


def _stock(instance: Any, ranges: list[tuple[datetime, datetime]]) -> Callable[[], None]:
    import dagster as dg
    from dagster_airlift.core import AirflowBasicAuthBackend, AirflowInstance
    from dagster_airlift.core.airflow_defs_data import AirflowDefinitionsData
    from dagster_airlift.core.monitoring_job.event_stream import persist_events

    backend = AirflowBasicAuthBackend(os.environ["AIRFLOW_URL"], "admin", "admin")
    airflow = AirflowInstance(auth_backend=backend, name="airflow")
    repository = dg.Definitions(assets=_specs()).get_repository_def()
    data = AirflowDefinitionsData(airflow_instance=airflow, resolved_repository=repository)
    context: Any = SimpleNamespace(instance=instance, log=logging.getLogger("stock"))

    def observe() -> None:
        for start, end in ranges:
            persist_events(context, data, airflow, start.timestamp(), end.timestamp())

    return observe


def _ranges(first: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Ranges of a hundred; both ends count, so they lie between two task instances."""
    half = SPREAD / BURST / 2
    for number in range(0, BURST, HUNDRED):
        start = first + SPREAD / BURST * number - half
        yield start, start + SPREAD / BURST * HUNDRED


def _events_of(instance: Any, *, partitioned: bool) -> tuple[int, int]:
    """How many task instances have an event, and how many events there are.

    Stock's events do not name the run, so each counts as another task instance's.
    """
    import dagster as dg

    events, distinct = 0, set()
    for number in range(UNITS):
        key = dg.AssetKey(f"table_{number}")
        records = instance.fetch_materializations(key, limit=BURST).records
        events += len(records)
        distinct |= {
            (number, record.partition_key if partitioned else record.storage_id) for record in records
        }
    return len(distinct), events


def _main(way: str, first: datetime) -> dict[str, Any]:
    import dagster as dg

    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        if way == "ours":
            observe = _ours(instance)
        elif way == "stock":
            observe = _stock(instance, [(first - SPREAD, first + 2 * SPREAD)])
        else:
            observe = _stock(instance, list(_ranges(first)))
        began = time.perf_counter()
        observe()
        seconds = time.perf_counter() - began
        distinct, events = _events_of(instance, partitioned=way == "ours")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"seconds": seconds, "distinct": distinct, "told": events, "gigabytes": peak}


if __name__ == "__main__":
    # Dagster's own lines go to stderr; the figures are the last line of stdout.
    sys.stdout.write(json.dumps(_main(sys.argv[1], datetime_of(sys.argv[2]))) + "\n")
