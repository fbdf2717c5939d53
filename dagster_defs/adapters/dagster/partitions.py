"""Dagster's side of a schedule's partitions: the boundaries of its own cron, and the partitions definitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from typing import overload
from zoneinfo import ZoneInfo

from dagster import (
    BackfillPolicy,
    DagsterInvalidDefinitionError,
    PartitionsDefinition,
    StaticPartitionsDefinition,
    TimeWindowPartitionsDefinition,
)
from dagster._check import CheckError
from dagster._utils.schedules import cron_string_iterator

from dagster_defs.windows import (
    ListedPartitions,
    PartitionedSchedule,
    Partitions,
    Schedule,
    Scheduled,
    TickPartitions,
    TickSchedule,
)
from dagster_defs.windows.window import utc


@dataclass(frozen=True, slots=True)
class DagsterCrons:
    """Obeys `windows.boundaries.CronTicks`."""

    asked_at: datetime

    @classmethod
    def asked_now(cls) -> DagsterCrons:
        return cls(datetime.now(timezone.utc))

    def is_expressible(self, cron: str, zone: str, fmt: str, start: datetime) -> bool:
        try:
            _definition(cron, zone, fmt, start)
        except DagsterInvalidDefinitionError:
            return False
        return True

    def boundaries(
        self, cron: str, zone: str, instant: datetime, *, ahead: bool
    ) -> Iterator[datetime] | None:
        stream = cron_string_iterator(instant.timestamp(), cron, zone, ascending=ahead)
        try:
            head = next(stream)
        except CheckError:
            # Dagster's shortcut for daily and weekly crons cannot begin at some instants of a day whose midnight does
            # not exist or occurs twice.
            return None
        return chain([head], stream)


@overload
def partitioned(schedule: Schedule) -> PartitionedSchedule: ...


@overload
def partitioned(schedule: TickSchedule) -> TickPartitions: ...


def partitioned(schedule: Schedule | TickSchedule) -> PartitionedSchedule | TickPartitions:
    """The partitions of a schedule, as Dagster counts them now. Raises what Partitions raises."""
    crons = DagsterCrons.asked_now()
    if isinstance(schedule, TickSchedule):
        return TickPartitions(schedule, crons)
    return PartitionedSchedule(schedule, crons)


def definition_of(partitions: Partitions[Scheduled]) -> PartitionsDefinition:
    """Begins with Airflow's first window and, if the schedule ends, ends with Airflow's last. A cron tick without an
    Airflow window is excluded. A list of windows becomes a static definition (decision 20), without a cron.

    Dagster's partition lasts from one cron tick to the next, and is offered once that time is over. Airflow's tick is
    over at once: its partition is the one that has just begun."""
    if isinstance(partitions, ListedPartitions):
        return StaticPartitionsDefinition(partitions.keys)
    return _definition(
        partitions.cron,
        partitions.zone,
        partitions.fmt,
        _askable_start(partitions),
        partitions.end_boundary,
        partitions.phantoms,
        partitions_ahead=1 if partitions.of_ticks else 0,
    )


def backfill_policy(*, takes_ranges: bool) -> BackfillPolicy:
    """One run for a whole backfill if one run can take several windows, else one run per partition."""
    return BackfillPolicy.single_run() if takes_ranges else BackfillPolicy.multi_run(1)


def _askable_start(partitions: Partitions[Scheduled]) -> datetime:
    """A start that Dagster can count from and whose first tick is the first partition's: see `boundaries`."""
    first = partitions.first_boundary
    for minutes in (0, 30, 59, 119):
        start = first.subtract(minutes=minutes)
        definition = _definition(partitions.cron, partitions.zone, partitions.fmt, start)
        try:
            window = definition.get_next_partition_window(start, respect_bounds=False)
        except CheckError:
            continue
        if window is not None and utc(window.start) == first:
            return start
    return first


def _definition(
    cron: str,
    zone: str,
    fmt: str,
    start: datetime,
    end: datetime | None = None,
    exclusions: Sequence[datetime] = (),
    partitions_ahead: int = 0,
) -> TimeWindowPartitionsDefinition:
    local = ZoneInfo(zone)
    return TimeWindowPartitionsDefinition(
        start=_plain(start, local),
        end=None if end is None else _plain(end, local),
        timezone=zone,
        fmt=fmt,
        cron_schedule=cron,
        exclusions=[_plain(excluded, local) for excluded in exclusions] or None,
        end_offset=partitions_ahead,
    )


def _plain(instant: datetime, zone: ZoneInfo) -> datetime:
    # Dagster keeps the wall-clock fields and the fold, and substitutes its own zone object.
    return datetime.fromtimestamp(instant.timestamp(), tz=zone)
