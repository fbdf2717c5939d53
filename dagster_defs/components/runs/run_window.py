"""Which windows a Dagster run covers, and whether its caller meant the same ones."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from dagster_defs.errors import ParityError, RunLives, WindowDiffers
from dagster_defs.lifecycle import tags
from dagster_defs.windows import PartitionedSchedule, Window


def windows_of_run(context: dg.AssetExecutionContext, partitions: PartitionedSchedule) -> list[Window]:
    """The windows of the run's partitions, in order.

    A run that Airflow's proxy launched names the data interval that it stands for. Before anything is written, raises
    WindowDiffers if that is not the partition's window or is incomplete, and RunLives if an earlier run for the same
    task instance has not ended.
    """
    keys = context.partition_key_range
    windows = list(partitions.windows_between(keys.start, keys.end))
    run_tags = context.run.tags
    if tags.PARTITION in run_tags and (tags.RANGE_START in run_tags or tags.RANGE_END in run_tags):
        raise WindowDiffers(keys.start, str(windows[0]), "a range of partitions too")
    if tags.WINDOW_START in run_tags or tags.WINDOW_END in run_tags:
        requested = window_of_tags(run_tags)
        if [requested] != windows:
            bounds = f"[{run_tags.get(tags.WINDOW_START, '?')}, {run_tags.get(tags.WINDOW_END, '?')})"
            raise WindowDiffers(keys.start, str(windows[0]), str(requested or bounds))
    if tags.AIRFLOW_TASK_INSTANCE in run_tags:
        _give_way(context, run_tags[tags.AIRFLOW_TASK_INSTANCE])
    return windows


def window_of_tags(run_tags: Mapping[str, str]) -> Window | None:
    """The window that both tags name; None if they do not."""
    start, end = run_tags.get(tags.WINDOW_START, ""), run_tags.get(tags.WINDOW_END, "")
    try:
        return Window.between(start, end)
    except (ParityError, ValueError):
        return None


def _give_way(context: dg.AssetExecutionContext, task_instance: str) -> None:
    """The proxy checks before it launches; this catches two simultaneous checks, and a launch that arrives late."""
    of_the_same = dg.RunsFilter(
        tags={tags.AIRFLOW_TASK_INSTANCE: task_instance}, statuses=list(NOT_FINISHED_STATUSES)
    )
    runs = context.instance.get_runs(of_the_same)  # newest first
    if runs and runs[-1].run_id != context.run.run_id:
        raise RunLives(f"the same task of Airflow ({task_instance})", runs[-1].run_id)


def window_metadata(windows: list[Window]) -> dict[str, Any]:
    return {
        tags.WINDOW_START: dg.MetadataValue.timestamp(windows[0].start.timestamp()),
        tags.WINDOW_END: dg.MetadataValue.timestamp(windows[-1].end.timestamp()),
    }
