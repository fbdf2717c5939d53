"""Before a run writes where everybody reads: is it the owner's, and is it the only one?"""

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from dagster_defs.adapters.ledger import Ledger
from dagster_defs.adapters.proxied_state import proxied_state_dir, read_marks
from dagster_defs.components.run_window import windows_of_run
from dagster_defs.errors import ParityError, RunLives
from dagster_defs.lifecycle import Unit, state_of, tags
from dagster_defs.lifecycle.ownership import Asking, refuse_foreign_run
from dagster_defs.parity import Side
from dagster_defs.windows import PartitionedSchedule, Window


def windows_to_write(
    context: dg.AssetExecutionContext, unit: Unit, partitions: PartitionedSchedule
) -> list[Window]:
    """The windows of a legacy-side run, in order, once it is sure that the run may write them.

    Raises NotOwner if it may not, RunLives if an earlier run of these windows has not ended, and what reading the
    ledger and the marks raises: without them nobody knows who the owner is.
    """
    windows = windows_of_run(context, partitions)
    history = Ledger.at_hand().history(unit)
    state = state_of(unit, read_marks(proxied_state_dir(), unit.dag_id), recorded=history.stage)
    said, keys = context.run.tags, context.partition_key_range
    proxied_by = (
        Unit(said[tags.AIRFLOW_DAG], said[tags.AIRFLOW_TASK])
        if tags.AIRFLOW_DAG in said and tags.AIRFLOW_TASK in said
        else None
    )
    asking = Asking(windows, (keys.start, keys.end), proxied_by, said.get(tags.BACKFILL, ""))
    refuse_foreign_run(state, history, asking)
    _refuse_second_run(context, unit, partitions, windows)
    return windows


def _refuse_second_run(
    context: dg.AssetExecutionContext, unit: Unit, partitions: PartitionedSchedule, windows: Sequence[Window]
) -> None:
    for run in reversed(list(_live_runs(context, unit))):
        if run.run_id == context.run.run_id:
            return  # what comes after it will see this one
        if any(window in windows for window in _windows_of(run, partitions)):
            raise RunLives(f"windows of {unit}", run.run_id)


def _live_runs(context: dg.AssetExecutionContext, unit: Unit) -> Iterator[dg.DagsterRun]:
    """Runs that write the unit, the newest first: of its own job, of its DAG's, and of its assets as Dagster's UI
    starts them, under a job that carries no tags of ours."""
    own, live = context.assets_def.keys, list(NOT_FINISHED_STATUSES)
    asked = [
        dg.RunsFilter(tags={tags.UNIT: str(unit), tags.SIDE: Side.LEGACY.value}, statuses=live),
        dg.RunsFilter(tags={tags.DAG: unit.dag_id}, statuses=live),
        dg.RunsFilter(job_name=IMPLICIT_ASSET_JOB_NAME, statuses=live),
    ]
    found = [record for wanted in asked for record in context.instance.get_run_records(wanted)]
    for record in sorted(found, key=lambda one: one.storage_id, reverse=True):
        run = record.dagster_run
        if run.job_name != IMPLICIT_ASSET_JOB_NAME or own & (run.asset_selection or own):
            yield run


def _windows_of(run: dg.DagsterRun, partitions: PartitionedSchedule) -> list[Window]:
    """None for a run whose keys are no windows of the unit any more: it fails by itself."""
    key = run.tags.get("dagster/partition", "")
    first = run.tags.get(ASSET_PARTITION_RANGE_START_TAG, key)
    last = run.tags.get(ASSET_PARTITION_RANGE_END_TAG, key)
    try:
        return list(partitions.windows_between(first, last)) if first and last else []
    except ParityError:
        return []
