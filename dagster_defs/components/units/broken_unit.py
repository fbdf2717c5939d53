"""What stands in Dagster for a unit whose definitions cannot be made: it says why, and does nothing else."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import dagster as dg

from dagster_defs.adapters.dagster.partitions import definition_of
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.parity import Side
from dagster_defs.windows import PartitionedSchedule

BROKEN = "broken_units"  # the group of the stand-ins, and the first part of their keys


class BrokenMirror(Protocol):
    """What a stand-in takes over of the mirror in whose place it is."""

    unit: str

    @property
    def legacy_unit(self) -> Unit: ...

    @property
    def partitions(self) -> PartitionedSchedule: ...

    def job_name(self, side: Side) -> str: ...

    def job_tags(self, side: Side) -> Mapping[str, str]: ...


def broken_key(name: str) -> dg.AssetKey:
    """The key of the stand-in for the unit of this name; it may be a name that no unit can have."""
    return dg.AssetKey([BROKEN, *(part for part in name.split(".", 1) if part)])


def broken_definitions(unit: BrokenMirror, fault: ParityError, *, with_job: bool) -> dg.Definitions:
    """An asset that says what is wrong, and fails with it when it is run.

    `with_job`: under the name of the unit's own job too, so that Airflow's log says why a proxied run has failed.
    """
    partitions = _partitions_of(unit)

    @dg.multi_asset(
        name=f"broken__{hashlib.sha256(unit.unit.encode()).hexdigest()[:16]}",  # the name itself may be unfit
        specs=[
            dg.AssetSpec(
                broken_key(unit.unit),
                description=f"The mirror of {unit.unit} is broken, and its assets are not there. {fault}",
                group_name=BROKEN,
                kinds={"broken"},
                metadata={"why": str(fault)},
            )
        ],
        partitions_def=definition_of(partitions) if partitions else None,
        backfill_policy=dg.BackfillPolicy.single_run(),
        op_tags={tags.UNIT: unit.unit},
    )
    def stand_in() -> None:
        raise dg.Failure(f"nothing was run: its mirror is broken. {fault}", allow_retries=False)

    if partitions is None or not with_job:
        return dg.Definitions(assets=[stand_in])
    job = dg.define_asset_job(
        name=unit.job_name(Side.LEGACY),
        selection=dg.AssetSelection.assets(stand_in.key),
        description=f"{unit.unit} is broken: this job fails, and says why.",
        executor_def=dg.in_process_executor,
        tags=unit.job_tags(Side.LEGACY),
    )
    return dg.Definitions(assets=[stand_in], jobs=[job])


def _partitions_of(unit: BrokenMirror) -> PartitionedSchedule | None:
    """None where what is broken is the schedule, or the unit's name."""
    try:
        return unit.partitions if unit.legacy_unit else None
    except ParityError:
        return None
