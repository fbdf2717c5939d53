"""A retired DAG that waits for another one, `trips`, and the runs of that other one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.components.sensors.scheduled_dag import ScheduledDag
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.waits import Wait
from dagster_defs.usecases.waits import Awaited
from dagster_defs.windows import Schedule
from tests.support.retired_dags import TAXI, Schedules

# An hour before the DAG that waits: its run of the 9th has the logical date 10:00 UTC.
EARLIER = partitioned(Schedule.of("0 5 * * *", "America/New_York", "2024-03-01", None))
LOAD, CLEAN = Unit("trips", "load"), Unit("trips", "clean")
AWAITED = {
    "trips": [
        Awaited(unit, EARLIER, [dg.AssetKey(unit.task_id)], f"run__trips__{unit.task_id}")
        for unit in (LOAD, CLEAN)
    ]
}
WAIT = Wait("for_trips", "trips", ("load",), delta=timedelta(hours=1))
DAY = "2024-03-09"


def waiting(*waits: Wait, **more: Any) -> ScheduledDag:
    return replace(TAXI, waits=waits or (WAIT,), **more)


def observe(schedules: Schedules, unit: Unit, state: str, day: str = DAY) -> None:
    """Airflow's run of that day, as the observer reports it."""
    key, noted = dg.AssetKey(unit.task_id), {"State": state}
    event = (
        dg.AssetMaterialization(key, partition=day, metadata=noted)
        if state == "success"
        else dg.AssetObservation(key, partition=day, metadata=noted)
    )
    schedules.instance.report_runless_asset_event(event)


def step_of(unit: Unit, deps: Sequence[Any], *, is_broken: bool) -> Any:
    @dg.multi_asset(
        name=f"run__trips__{unit.task_id}",
        specs=[dg.AssetSpec(unit.task_id, deps=deps)],
        partitions_def=definition_of(EARLIER),
    )
    def work() -> None:
        if is_broken:
            raise ValueError("out of disk")

    return work


def run_in_dagster(schedules: Schedules, *units: Unit, broken: Sequence[Unit] = (), day: str = DAY) -> None:
    """One run of the steps of these units, in this order."""
    made: list[Any] = []
    for unit in units:
        made.append(step_of(unit, made[-1:], is_broken=unit in broken))
    dg.materialize(
        made,
        instance=schedules.instance,
        partition_key=day,
        tags={"parity/dag": "trips", "parity/side": "legacy"},
        raise_on_error=False,
    )
