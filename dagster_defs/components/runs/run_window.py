"""Which windows a Dagster run is about, and whether the caller meant the same ones."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from dagster_defs.errors import ParityError, RunLives, WindowDiffers
from dagster_defs.lifecycle import tags
from dagster_defs.windows import PartitionedSchedule, Window


def windows_of_run(context: dg.AssetExecutionContext, partitions: PartitionedSchedule) -> list[Window]:
    """The windows of the run's partitions, in order.

    A run that Airflow's proxy launched says which data interval it stands for; WindowDiffers is raised, before
    anything is written, if that is not the partition's window, or if it is only half said. So is RunLives, if an
    earlier run for the same task instance has not ended.
    """
    keys = context.partition_key_range
    windows = list(partitions.windows_between(keys.start, keys.end))
    said = context.run.tags
    if tags.PARTITION in said and (tags.RANGE_START in said or tags.RANGE_END in said):
        raise WindowDiffers(keys.start, str(windows[0]), "a range of partitions too")
    if tags.WINDOW_START in said or tags.WINDOW_END in said:
        asked = window_of_tags(said)
        if [asked] != windows:
            bounds = f"[{said.get(tags.WINDOW_START, '?')}, {said.get(tags.WINDOW_END, '?')})"
            raise WindowDiffers(keys.start, str(windows[0]), str(asked or bounds))
    if tags.AIRFLOW_TASK_INSTANCE in said:
        _give_way(context, said[tags.AIRFLOW_TASK_INSTANCE])
    return windows


def window_of_tags(said: Mapping[str, str]) -> Window | None:
    """The window that both tags name; None if they do not."""
    start, end = said.get(tags.WINDOW_START, ""), said.get(tags.WINDOW_END, "")
    try:
        return Window.between(start, end)
    except (ParityError, ValueError):
        return None


def _give_way(context: dg.AssetExecutionContext, task_instance: str) -> None:
    """The proxy looks before it launches; two that look at once, and a launch that arrives late, are met here."""
    of_the_same = dg.RunsFilter(
        tags={tags.AIRFLOW_TASK_INSTANCE: task_instance}, statuses=list(NOT_FINISHED_STATUSES)
    )
    runs = context.instance.get_runs(of_the_same)  # the newest first
    if runs and runs[-1].run_id != context.run.run_id:
        raise RunLives(f"the same task of Airflow ({task_instance})", runs[-1].run_id)


def window_metadata(windows: list[Window]) -> dict[str, Any]:
    return {
        tags.WINDOW_START: dg.MetadataValue.timestamp(windows[0].start.timestamp()),
        tags.WINDOW_END: dg.MetadataValue.timestamp(windows[-1].end.timestamp()),
    }
