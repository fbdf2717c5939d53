"""The stand-in in Dagster for a unit whose definitions cannot be built: it says why, and does nothing else."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import dagster as dg

from dagster_defs.adapters.dagster.partitions import definition_of
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.parity import Side
from dagster_defs.windows import EventSchedule, Times

BROKEN = "broken_units"  # the group of the stand-ins, and the first part of their keys


class BrokenMirror(Protocol):
    """What a stand-in takes over from the mirror that it replaces."""

    unit: str

    @property
    def legacy_unit(self) -> Unit: ...

    @property
    def times(self) -> Times: ...

    def job_name(self, side: Side) -> str: ...

    def job_tags(self, side: Side) -> Mapping[str, str]: ...


def broken_key(name: str) -> dg.AssetKey:
    """The key of the stand-in for the unit of this name, which may be invalid as a unit's name."""
    return dg.AssetKey([BROKEN, *(part for part in name.split(".", 1) if part)])


def broken_definitions(unit: BrokenMirror, fault: ParityError, *, with_job: bool) -> dg.Definitions:
    """An asset that describes the fault, and fails with it when it is run.

    `with_job`: also define a job under the unit's own job name, so that Airflow's log says why a proxied run failed.
    """
    times = _times_of(unit)

    @dg.multi_asset(
        name=f"broken__{hashlib.sha256(unit.unit.encode()).hexdigest()[:16]}",  # the name itself may be invalid
        specs=[
            dg.AssetSpec(
                broken_key(unit.unit),
                description=f"The mirror of {unit.unit} is broken, so its assets are missing. {fault}",
                group_name=BROKEN,
                kinds={"broken"},
                metadata={"why": str(fault)},
            )
        ],
        partitions_def=None if times is None or isinstance(times, EventSchedule) else definition_of(times),
        backfill_policy=dg.BackfillPolicy.single_run(),
        op_tags={tags.UNIT: unit.unit},
    )
    def stand_in() -> None:
        raise dg.Failure(f"nothing was run: its mirror is broken. {fault}", allow_retries=False)

    if times is None or not with_job:
        return dg.Definitions(assets=[stand_in])
    job = dg.define_asset_job(
        name=unit.job_name(Side.LEGACY),
        selection=dg.AssetSelection.assets(stand_in.key),
        description=f"{unit.unit} is broken: this job fails and says why.",
        executor_def=dg.in_process_executor,
        tags=unit.job_tags(Side.LEGACY),
    )
    return dg.Definitions(assets=[stand_in], jobs=[job])


def _times_of(unit: BrokenMirror) -> Times | None:
    """None if the schedule itself, or the unit's name, is broken."""
    try:
        return unit.times if unit.legacy_unit else None
    except ParityError:
        return None
