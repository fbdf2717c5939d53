"""Dagster's own boundaries for a cron: the instants at which its partitions start, and their keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import dropwhile
from typing import Protocol

import pendulum

from dagster_defs.errors import ScheduleRefused, UnknownPartition
from dagster_defs.windows.schedule import Recurring
from dagster_defs.windows.window import Scheduled, utc
from dagster_defs.windows.zones import iana_zone

DAY_FORMAT = "%Y-%m-%d"
# In schedules of less than a day the same wall-clock time occurs twice in autumn; only the offset tells them apart.
INSTANT_FORMAT = "%Y-%m-%dT%H:%M%z"

# How long after a schedule's start its clock changes are examined. Beyond that Dagster offers keys without a window,
# which are still refused when used.
HORIZON = timedelta(days=15 * 366)
_SLACKS = tuple(timedelta(hours=hours) for hours in (0, 30, 100))


class CronTicks(Protocol):
    """Where Dagster's own cron puts boundaries, in an IANA zone; the adapter asks Dagster."""

    @property
    def asked_at(self) -> datetime:
        """When Dagster evaluates the cron: it counts some crons by the UTC offset of that day."""
        ...

    def is_expressible(self, cron: str, zone: str, fmt: str, start: datetime) -> bool:
        """Whether Dagster's partitions can be defined by this cron, with keys in this format, from `start` on."""
        ...

    def boundaries(
        self, cron: str, zone: str, instant: datetime, *, ahead: bool
    ) -> Iterator[datetime] | None:
        """In local time, forwards or backwards; None if Dagster cannot begin at `instant`, although it would pass it
        when beginning elsewhere."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Boundary:
    """The start of one of Dagster's partitions, and its key.

    The instant is in UTC: Dagster's own datetimes share one zone, and Python compares those by the wall clock.
    """

    instant: pendulum.DateTime
    key: str


@dataclass(frozen=True, slots=True, eq=False)
class Boundaries:
    """All ticks of a schedule's cron, regardless of its start and end.

    Raises `ScheduleRefused` if Dagster cannot read the cron expression.
    """

    schedule: Recurring[Scheduled]
    crons: CronTicks
    zone: str = field(init=False)
    """The IANA name of the schedule's zone: Dagster accepts no other."""

    def __post_init__(self) -> None:
        schedule = self.schedule
        until = schedule.end or schedule.start + HORIZON
        zone = iana_zone(schedule.zone, schedule.start, until)
        if zone is None:
            raise ScheduleRefused(
                schedule.expression,
                schedule.timezone,
                "Dagster's partitions need an IANA time zone, and none has this offset throughout those years",
                "Mirror it without partitions, or move the DAG to a named time zone first",
            )
        object.__setattr__(self, "zone", zone)
        if not self.crons.is_expressible(self.cron, zone, self.fmt, schedule.start):
            raise ScheduleRefused(
                schedule.expression,
                schedule.timezone,
                "Dagster's partitions cannot express it",
                "Mirror it without partitions, or declare a plain five-field cron",
            )

    @property
    def cron(self) -> str:
        """The expression as passed to Dagster. Dagster's shortcut for `29 2` looks for these digits, and would miss a
        29 February that it starts from."""
        return re.sub(r" 29 2 \*$", " 29 FEB *", self.schedule.cron)

    @property
    def fmt(self) -> str:
        return DAY_FORMAT if self.schedule.once_a_day else INSTANT_FORMAT

    def _tick(self, start: datetime) -> Boundary:
        return Boundary(utc(start), start.strftime(self.fmt))

    def walk(self, instant: datetime, *, ahead: bool = True) -> Iterator[Boundary]:
        """The ticks from `instant` on, itself included, forwards or backwards."""
        at, way = utc(instant), 1 if ahead else -1
        for slack in _SLACKS:
            starts = self.crons.boundaries(self.cron, self.zone, at - way * slack, ahead=ahead)
            if starts is None:
                continue
            ticks = (self._tick(start) for start in starts)
            return dropwhile(lambda tick: tick.instant < at if ahead else tick.instant > at, ticks)
        raise ScheduleRefused(
            self.schedule.expression,
            self.schedule.timezone,
            f"Dagster's own cron fails around {at.isoformat()}",
            "Declare it in UTC, or at an hour without clock changes",
        )

    def at_or_after(self, instant: datetime) -> Boundary:
        return next(self.walk(instant))

    def after(self, tick: Boundary) -> Boundary:
        return self.at_or_after(tick.instant.add(seconds=1))

    def before(self, instant: datetime) -> Boundary:
        """The last tick before `instant`."""
        return next(tick for tick in self.walk(instant, ahead=False) if tick.instant < instant)

    def near(self, instant: datetime) -> Iterator[Boundary]:
        """The ticks around `instant`, further to either side than a clock change can move a boundary."""
        reach = utc(instant).add(hours=3)
        for tick in self.walk(self.before(self.before(reach.subtract(hours=6)).instant).instant):
            yield tick
            if tick.instant > reach:
                return

    def of_key(self, key: str) -> Boundary:
        """Raises `UnknownPartition` for text that is not a key of this cron and zone."""
        try:
            named = datetime.strptime(key, self.fmt)  # noqa: DTZ007 - a day has no offset
        except ValueError as error:
            reason = f"a key looks like {self.at_or_after(self.schedule.start).key}"
            raise UnknownPartition(key, str(self.schedule), reason) from error
        # A date names a local day, whose first instant may be up to 14 hours away from UTC's.
        day = timedelta(hours=26) if named.tzinfo is None else timedelta(hours=2)
        named = named if named.tzinfo is not None else named.replace(tzinfo=timezone.utc)
        for tick in self.walk(named - day):
            if tick.key == key:
                return tick
            if tick.instant > named + 2 * day:
                break
        raise UnknownPartition(
            key, str(self.schedule), f"there is no boundary there, the next is {self.at_or_after(named).key}"
        )
