"""What the job of a unit, or of a whole DAG, is made of: its selection, and what a run of it may be told."""

from collections.abc import Collection
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.bare_assets import BareAssets
from dagster_defs.distribution import own_version
from dagster_defs.lifecycle import tags
from dagster_defs.windows import EventSchedule, Times

# The config of the op of a unit without a clock: the Airflow run that it stands for, or the conf that a person gives.
EVENT_CONFIG: Any = {
    "occasion": dg.Field(
        dict,
        is_required=False,
        description="The run in Airflow that this run stands for; its proxy, or the shadow sensor, gives it.",
    ),
    "conf": dg.Field(
        dict, is_required=False, description="Airflow's `conf`, for a run that a person starts in Dagster."
    ),
}


def tags_of(times: Times) -> dict[str, str]:
    """What Airflow's proxy reads: how to name what a run is about (the format of partition keys, or that there is no
    clock), and which version it talks to."""
    own = own_version()
    version = {} if own is None else {tags.VERSION: own}
    if isinstance(times, EventSchedule):
        return {tags.EVENT: times.kind.value, **version}
    return {tags.TIMEZONE: times.zone, tags.KEY_FORMAT: times.fmt, **version}


def own_selection(
    assets: dg.AssetsDefinition, without: Collection[dg.AssetCheckKey] = ()
) -> dg.AssetSelection:
    """What a run of the unit builds and checks.

    Checks are selected by name: tests on a source are checks of another unit's asset, but belong to the unit whose
    command runs them.
    """
    own_assets = BareAssets(selected_keys=[*assets.keys])
    return own_assets | dg.AssetSelection.checks(*set(assets.check_keys).difference(without))


def partitions_as_config(partitions: dg.PartitionsDefinition | None) -> dg.PartitionedConfig[Any] | None:
    """What makes a job that only evaluates checks a partitioned one, for those who launch it.

    Dagster takes the partitions of a job from the assets that it builds.
    """
    return None if partitions is None else dg.PartitionedConfig(partitions, lambda _: {})
