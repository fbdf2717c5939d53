"""The job that runs a whole DAG for one window: Dagster's own, from where Airflow's DAG is retired."""

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Any

import dagster as dg

from dagster_defs.components.schedule_sensor import ScheduledDag
from dagster_defs.components.unit import UnitComponent, own_selection
from dagster_defs.lifecycle import tags
from dagster_defs.parity import Side


def scheduled_dags(
    units: Sequence[UnitComponent], context: dg.ComponentLoadContext
) -> Iterator[tuple[ScheduledDag, Any]]:
    """Each mirrored DAG with its job, but for one whose units have not the same schedule: it cannot be retired."""
    by_dag = groupby(
        sorted(units, key=lambda unit: unit.legacy_unit), key=lambda unit: unit.legacy_unit.dag_id
    )
    for dag_id, found in by_dag:
        mates = list(found)
        schedules = [unit.partitions.schedule for unit in mates]
        if all(schedule == schedules[0] for schedule in schedules):
            yield _scheduled(dag_id, mates), _job(dag_id, mates, context)


def _scheduled(dag_id: str, mates: Sequence[UnitComponent]) -> ScheduledDag:
    """Of what the units say differently, the most careful counts."""
    return ScheduledDag(
        dag_id,
        mates[0].legacy_unit.dag_identifier,
        tuple(unit.legacy_unit for unit in mates),
        mates[0].partitions,
        catchup=all(unit.schedule.catchup for unit in mates),
        max_active_runs=min(unit.schedule.max_active_runs for unit in mates),
        in_order=any(unit.depends_on_past for unit in mates),
    )


def _job(dag_id: str, mates: Sequence[UnitComponent], context: dg.ComponentLoadContext) -> Any:
    """One step for each unit, in the order of their lineage."""
    sides = [unit.parts(context).sides[Side.LEGACY] for unit in mates]
    return dg.define_asset_job(
        name=mates[0].legacy_unit.dag_identifier,
        selection=reduce(or_, [own_selection(assets) for assets in sides]),
        description=f"All units of {dag_id}, for one window; started by Dagster once the DAG is retired.",
        executor_def=dg.in_process_executor,
        tags={tags.DAG: dag_id, tags.SIDE: Side.LEGACY.value},
    )
