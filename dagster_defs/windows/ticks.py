"""Dagster's own boundaries of a cron: the instants at which its partitions start, and the keys it gives
them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pendulum
from dagster import DagsterInvalidDefinitionError, TimeWindowPartitionsDefinition
from dagster._utils.schedules import cron_string_iterator

from dagster_defs.errors import ScheduleRefused, UnknownPartition
from dagster_defs.windows.schedule import Schedule
from dagster_defs.windows.window import utc

DAY_FORMAT = "%Y-%m-%d"
# Below a day the same wall-clock time comes twice in autumn: only the offset tells which.
INSTANT_FORMAT = "%Y-%m-%dT%H:%M%z"


@dataclass(frozen=True, slots=True, order=True)
class Tick:
    """Where Dagster starts a partition, and that partition's key.

    The instant is in UTC: Dagster's own datetimes share one zone, and Python compares such by the wall clock.
    """

    instant: pendulum.DateTime
    key: str


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """All ticks of a schedule's cron, without its start and end.

    Raises `ScheduleRefused` if Dagster cannot read the cron expression.
    """

    schedule: Schedule
    _endless: TimeWindowPartitionsDefinition = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_endless", self.definition(self.schedule.start))

    @property
    def fmt(self) -> str:
        return DAY_FORMAT if self.schedule.once_a_day else INSTANT_FORMAT

    def definition(
        self, start: datetime, end: datetime | None = None, exclusions: Sequence[datetime] = ()
    ) -> TimeWindowPartitionsDefinition:
        zone = ZoneInfo(self.schedule.timezone)
        try:
            return TimeWindowPartitionsDefinition(
                start=_plain(start, zone),
                end=None if end is None else _plain(end, zone),
                timezone=self.schedule.timezone,
                fmt=self.fmt,
                cron_schedule=self.schedule.cron,
                exclusions=[_plain(excluded, zone) for excluded in exclusions] or None,
            )
        except DagsterInvalidDefinitionError as error:
            raise ScheduleRefused(
                self.schedule.expression,
                self.schedule.timezone,
                "Dagster's partitions cannot express it",
                "Mirror it without partitions, or declare a plain five-field cron",
            ) from error

    def _tick(self, start: datetime) -> Tick:
        return Tick(utc(start), start.strftime(self.fmt))

    def at_or_after(self, instant: datetime) -> Tick:
        window = self._endless.get_next_partition_window(utc(instant), respect_bounds=False)
        assert window is not None  # noqa: S101 - only bounds make it None
        return self._tick(window.start)

    def after(self, tick: Tick) -> Tick:
        return self.at_or_after(tick.instant.add(seconds=1))

    def walk(self, first: Tick, *, ahead: bool = True) -> Iterator[Tick]:
        """`first` and all ticks after it, or before it."""
        # One pass of Dagster's iterator: asking for each tick alone is ten times slower on dense crons.
        stream = cron_string_iterator(
            first.instant.timestamp(), self.schedule.cron, self.schedule.timezone, ascending=ahead
        )
        return (self._tick(start) for start in stream)

    def before(self, instant: datetime) -> Tick:
        """The last tick before `instant`."""
        window = self._endless.get_prev_partition_window(utc(instant), respect_bounds=False)
        assert window is not None  # noqa: S101 - only bounds make it None
        # Dagster gives the last window that *ends* by then.
        ended = self._tick(window.end)
        return ended if ended.instant < instant else self._tick(window.start)

    def near(self, instant: datetime) -> Iterator[Tick]:
        """The ticks around `instant`, farther to either side than a clock change moves a boundary."""
        tick = self.before(self.before(utc(instant).subtract(hours=3)).instant)
        reach = utc(instant).add(hours=3)
        while tick.instant <= reach:
            yield tick
            tick = self.after(tick)
        yield tick

    def of_key(self, key: str) -> Tick:
        """Raises `UnknownPartition` for text that is no key of this cron and zone."""
        try:
            tick = self._tick(self._endless.start_time_for_partition_key(key))
        except ValueError as error:
            reason = f"a key looks like {self.at_or_after(self.schedule.start).key}"
            raise UnknownPartition(key, str(self.schedule), reason) from error
        if tick.key == key:
            return tick
        # Where midnight falls into a gap, Dagster reads a date as an instant after that day's tick.
        candidate = self.at_or_after(tick.instant - timedelta(days=3))
        while candidate.instant < tick.instant:
            if candidate.key == key:
                return candidate
            candidate = self.after(candidate)
        raise UnknownPartition(key, str(self.schedule), f"the nearest key is {tick.key}")


def _plain(instant: datetime, zone: ZoneInfo) -> datetime:
    # Dagster keeps the wall-clock fields and the fold and puts its own zone object in.
    return datetime.fromtimestamp(instant.timestamp(), tz=zone)
