"""What a Dagster run is about, windows or a run of Airflow's, and whether its caller meant the same."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from dagster_defs.errors import BadOccasion, ParityError, RunLives, WindowDiffers
from dagster_defs.lifecycle import tags
from dagster_defs.windows import (
    EventSchedule,
    Moment,
    Occasion,
    Partitions,
    Scheduled,
    Times,
    scheduled_between,
)


def moments_of_run(context: dg.AssetExecutionContext, times: Times) -> Sequence[Moment]:
    """`windows_of_run`, or the only run that a run of a unit without a clock is about. Raises what both raise."""
    if isinstance(times, EventSchedule):
        return [occasion_of_run(context)]
    return windows_of_run(context, times)


def stands_for_a_run(context: dg.AssetExecutionContext) -> bool:
    """Whether a run of a unit without a clock was told which run of Airflow's it stands for."""
    return "occasion" in (context.op_execution_context.op_config or {})


def occasion_of_run(context: dg.AssetExecutionContext) -> Occasion:
    """The run of Airflow's that this run stands for, or the run itself if a person has started it in Dagster.

    Raises BadOccasion if what its caller says about Airflow's run is missing, malformed or contradictory, and RunLives
    if an earlier run for the same task instance has not ended.
    """
    run, config = context.run, context.op_execution_context.op_config or {}
    if "occasion" in config:
        occasion = Occasion.from_json(config["occasion"])
        if run.tags.get(tags.AIRFLOW_RUN, occasion.run_id) != occasion.run_id:
            raise BadOccasion(
                f"it is {occasion.run_id} in one place and {run.tags[tags.AIRFLOW_RUN]} in another"
            )
    elif tags.AIRFLOW_RUN in run.tags:
        raise BadOccasion(f"nobody says what Airflow recorded about {run.tags[tags.AIRFLOW_RUN]}")
    else:
        record = context.instance.get_run_record_by_id(run.run_id)
        if record is None:
            raise BadOccasion("Dagster does not know when it was started")
        return Occasion.by_hand(record.create_timestamp, config.get("conf", {}))
    if tags.AIRFLOW_TASK_INSTANCE in run.tags:
        _give_way(context, run.tags[tags.AIRFLOW_TASK_INSTANCE])
    return occasion


def windows_of_run(context: dg.AssetExecutionContext, partitions: Partitions[Scheduled]) -> list[Scheduled]:
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


def window_of_tags(run_tags: Mapping[str, str]) -> Scheduled | None:
    """The window, or the tick, that both tags name; None if they do not."""
    start, end = run_tags.get(tags.WINDOW_START, ""), run_tags.get(tags.WINDOW_END, "")
    try:
        return scheduled_between(start, end)
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


def window_metadata(windows: Sequence[Moment]) -> dict[str, Any]:
    """What was written about: the span of the windows, or the run of Airflow's."""
    first, last = windows[0], windows[-1]
    if isinstance(first, Occasion) or isinstance(last, Occasion):
        assert isinstance(first, Occasion)  # noqa: S101 - a run is about windows, or about one occasion
        return occasion_metadata(first)
    return {
        tags.WINDOW_START: dg.MetadataValue.timestamp(first.start.timestamp()),
        tags.WINDOW_END: dg.MetadataValue.timestamp(last.end.timestamp()),
    }


def occasion_metadata(occasion: Occasion) -> dict[str, Any]:
    """With its conf, as Airflow's own UI shows it."""
    return {
        tags.SHOWN_RUN_ID: occasion.run_id,
        tags.OCCASION: dg.MetadataValue.json(occasion.as_json()),
    }
