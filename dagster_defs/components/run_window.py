"""Which windows a Dagster run is about, and whether the caller meant the same ones."""

from dataclasses import dataclass
from typing import Any

import dagster as dg
import pendulum

from dagster_defs.errors import WindowDiffers
from dagster_defs.windows import PartitionedSchedule, Window


@dataclass(frozen=True, slots=True)
class RunTags:
    """Names of the tags that travel between the proxy in Airflow and the run in Dagster.

    `legacy_dags/handover/proxy.py` carries the same names; a test holds the two together.
    """

    timezone: str = "parity/timezone"
    key_format: str = "parity/key_format"
    window_start: str = "parity/window_start"
    window_end: str = "parity/window_end"
    airflow_try: str = "parity/airflow_try"


AIRFLOW_RUN_TAGS = RunTags()


def windows_of_run(context: dg.AssetExecutionContext, partitions: PartitionedSchedule) -> list[Window]:
    """The windows of the run's partitions, in order.

    A run that Airflow's proxy launched says which data interval it stands for; WindowDiffers is raised, before
    anything is written, if that is not the partition's window.
    """
    keys = context.partition_key_range
    windows = list(partitions.windows_between(keys.start, keys.end))
    tags = context.run.tags
    start, end = tags.get(AIRFLOW_RUN_TAGS.window_start), tags.get(AIRFLOW_RUN_TAGS.window_end)
    if start and end:
        asked = Window(_instant(start), _instant(end))
        if [asked] != windows:
            raise WindowDiffers(keys.start, str(windows[0]), str(asked))
    return windows


def window_metadata(windows: list[Window]) -> dict[str, Any]:
    return {
        "parity/window_start": dg.MetadataValue.timestamp(windows[0].start.timestamp()),
        "parity/window_end": dg.MetadataValue.timestamp(windows[-1].end.timestamp()),
    }


def _instant(text: str) -> pendulum.DateTime:
    parsed = pendulum.parse(text)
    assert isinstance(parsed, pendulum.DateTime), text  # noqa: S101 - both sides write ISO instants
    return parsed.in_timezone("UTC")
