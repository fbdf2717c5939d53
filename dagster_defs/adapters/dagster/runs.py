"""Runs in Dagster's run storage: what each was meant to write and where it came from, whatever its tags say."""

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
)  # tags that mark runs as being about the same thing
TEMPORARY = (
    ".tmp_dagster_home_"  # created by Dagster's commands without DAGSTER_HOME, and removed when they end
)


def is_forgotten(instance: dg.DagsterInstance) -> bool:
    """Whether this instance's records vanish with its process, so that nobody would see what a run wrote."""
    return instance.is_ephemeral or Path(instance.root_directory).name.startswith(TEMPORARY)


def record_of(run: dg.DagsterRun) -> RunRecord:
    import dagster as dg

    # Without a selection, Dagster stores no asset selection or an empty one, and no check selection.
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
    """Earlier runs with the same launch id, backfill or task instance, newest first."""
    import dagster as dg

    own = instance.get_run_record_by_id(run.run_id)
    related: dict[int, RunRecord] = {}
    for name in NAMES:
        if value := run.tags.get(name):
            for record in instance.get_run_records(dg.RunsFilter(tags={name: value})):
                if own is None or record.storage_id < own.storage_id:
                    related[record.storage_id] = record_of(record.dagster_run)
    return [related[place] for place in sorted(related, reverse=True) if related[place].run_id != run.run_id]


@dataclass
class PlannedAssets:
    """What runs are to write, according to their plans. Runs of one job and selection share a plan, read once."""

    instance: dg.DagsterInstance
    _by_plan: dict[str, frozenset[Any]] = field(default_factory=dict)
    _by_step: dict[tuple[str, str], frozenset[Any]] = field(default_factory=dict)

    def of(self, run: dg.DagsterRun) -> Collection[dg.AssetKey] | None:
        """None for a run without a plan and a selection: it is unknown."""
        plan = run.execution_plan_snapshot_id
        if plan is None:
            return run.asset_selection
        if plan not in self._by_plan:
            steps = self.instance.get_execution_plan_snapshot(plan).steps
            outputs = [output.properties for step in steps for output in step.outputs if output.properties]
            self._by_plan[plan] = frozenset(each.asset_key for each in outputs if each.asset_key)
        return self._by_plan[plan]

    def of_step(self, run: dg.DagsterRun, step: str) -> Collection[dg.AssetKey] | None:
        """What the run was to write by that step; nothing if it was not to execute it, as a re-execution from failure,
        whose plan holds the other steps all the same. None for a run without a plan."""
        plan = run.execution_plan_snapshot_id
        if plan is None:
            return None
        if (plan, step) not in self._by_step:
            snapshot = self.instance.get_execution_plan_snapshot(plan)
            steps = [each for each in snapshot.steps if each.key == step]
            outputs = [output.properties for each in steps for output in each.outputs if output.properties]
            is_run = step in snapshot.step_keys_to_execute
            self._by_step[plan, step] = frozenset(
                each.asset_key for each in outputs if each.asset_key and is_run
            )
        return self._by_step[plan, step]


def live_writers(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetKey]
) -> Iterator[tuple[int, dg.DagsterRun]]:
    """Unfinished runs of any job that are to write one of these assets, newest first, each with its position in the run
    storage. Runs whose assets are unknown are included."""
    import dagster as dg
    from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

    planned, wanted = PlannedAssets(instance), set(keys)
    live = instance.get_run_records(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES)))
    for record in sorted(live, key=lambda each: each.storage_id, reverse=True):
        assets = planned.of(record.dagster_run)
        if assets is None or wanted & set(assets):
            yield record.storage_id, record.dagster_run


def partition_bounds(run: dg.DagsterRun) -> tuple[str, str] | None:
    """The first and last partition key of a run; None for a run without any."""
    key = run.tags.get(tags.PARTITION, "")
    first, last = run.tags.get(tags.RANGE_START, key), run.tags.get(tags.RANGE_END, key)
    return (first, last) if first and last else None
