"""Runs as Dagster's run storage has them: what each was to write and where it comes from, whatever its tags say."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.claims import RunRecord

if TYPE_CHECKING:
    import dagster as dg

NAMES = (
    tags.LAUNCH,
    tags.BACKFILL,
    tags.AIRFLOW_TASK_INSTANCE,
)  # tags by which runs are about the same thing
TEMPORARY = (
    ".tmp_dagster_home_"  # what Dagster's commands make without DAGSTER_HOME, and remove when they end
)


def is_forgotten(instance: dg.DagsterInstance) -> bool:
    """Whether what a run does in this instance is gone when its process ends: nobody would see what it wrote."""
    return instance.is_ephemeral or Path(instance.root_directory).name.startswith(TEMPORARY)


def record_of(run: dg.DagsterRun) -> RunRecord:
    import dagster as dg

    # Without any selection Dagster stores either none or an empty one of assets, and no selection of checks.
    is_whole = not run.asset_selection and run.asset_check_selection is None and not run.op_selection
    return RunRecord(
        run.run_id,
        run.job_name,
        run.tags,
        whole=is_whole,
        parent=run.parent_run_id or run.root_run_id or "",
        succeeded=run.status is dg.DagsterRunStatus.SUCCESS,
    )


def related_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[RunRecord]:
    """Runs created before this one that carry its launch id, its backfill or its task instance, newest first."""
    import dagster as dg

    own = instance.get_run_record_by_id(run.run_id)
    found: dict[int, RunRecord] = {}
    for name in NAMES:
        if value := run.tags.get(name):
            for record in instance.get_run_records(dg.RunsFilter(tags={name: value})):
                if own is None or record.storage_id < own.storage_id:
                    found[record.storage_id] = record_of(record.dagster_run)
    return [found[place] for place in sorted(found, reverse=True) if found[place].run_id != run.run_id]


@dataclass
class PlannedAssets:
    """What runs are to write, by their plans. Runs of one job and selection share a plan, which is read once."""

    instance: dg.DagsterInstance
    _by_plan: dict[str, frozenset[Any]] = field(default_factory=dict)

    def of(self, run: dg.DagsterRun) -> Collection[dg.AssetKey] | None:
        """None for a run without a plan and a selection: nobody knows."""
        plan = run.execution_plan_snapshot_id
        if plan is None:
            return run.asset_selection
        if plan not in self._by_plan:
            steps = self.instance.get_execution_plan_snapshot(plan).steps
            outputs = [output.properties for step in steps for output in step.outputs if output.properties]
            self._by_plan[plan] = frozenset(one.asset_key for one in outputs if one.asset_key)
        return self._by_plan[plan]


def live_writers(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetKey]
) -> Iterator[tuple[int, dg.DagsterRun]]:
    """Runs that have not ended and are to write one of these assets, of whatever job, newest first, each with its
    place in the run storage. One of which nobody knows what it writes is among them."""
    import dagster as dg
    from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

    planned, wanted = PlannedAssets(instance), set(keys)
    live = instance.get_run_records(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES)))
    for record in sorted(live, key=lambda one: one.storage_id, reverse=True):
        assets = planned.of(record.dagster_run)
        if assets is None or wanted & set(assets):
            yield record.storage_id, record.dagster_run


def partition_bounds(run: dg.DagsterRun) -> tuple[str, str] | None:
    """The first and the last partition key of a run; None for one without."""
    key = run.tags.get(tags.PARTITION, "")
    first, last = run.tags.get(tags.RANGE_START, key), run.tags.get(tags.RANGE_END, key)
    return (first, last) if first and last else None
