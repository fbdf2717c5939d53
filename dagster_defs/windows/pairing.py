"""Pairs Dagster's ticks with Airflow's windows.

Away from clock changes both are the plain wall-clock times of the cron, so a single comparison is enough. Near a clock
change they may differ: on a day that has no 02:30, a `02:30` schedule starts at 03:00 in Dagster and at 03:30 in
Airflow. There both are walked from one quiet instant to the next, a few ticks, and paired in order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Generic

import pendulum

from dagster_defs.errors import DoesNotAdvance, ScheduleRefused
from dagster_defs.windows.boundaries import Boundaries, Boundary
from dagster_defs.windows.schedule import M_co, Recurring
from dagster_defs.windows.window import Scheduled, utc
from dagster_defs.windows.zones import Zone

# A schedule of every minute has 720 ticks between its quiet instants, a sparse hourly one a few dozen.
_LONGEST_WALK = 5_000
_DAY = timedelta(days=1)
_MOST_KNOWN = 4_096


@dataclass(frozen=True, slots=True)
class Seam(Generic[M_co]):
    """The ticks between two quiet instants around a clock change, each with its window.

    `phantoms` are Dagster's ticks without a window, `keyless` are Airflow's windows without a tick.
    """

    windows: Mapping[Boundary, M_co]
    phantoms: tuple[Boundary, ...]
    keyless: tuple[M_co, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pairing(Generic[M_co]):
    schedule: Recurring[M_co]
    ticks: Boundaries
    # Filled on demand: pairs depend only on the schedule, so no seam has to be walked twice, not even one that Airflow
    # does not get past.
    _seams: dict[Boundary, Seam[M_co] | DoesNotAdvance] = field(init=False, repr=False, default_factory=dict)
    _known_quiet: dict[datetime, bool] = field(init=False, repr=False, default_factory=dict)

    def window_at(self, tick: Boundary) -> M_co | None:
        """Airflow's window for one of Dagster's ticks; None if Airflow has none."""
        if self._quiet(tick.instant):
            return self.schedule.window_from(tick.instant)
        return self._seam_from(self._quiet_before(tick)).windows.get(tick)

    def tick_of(self, window: Scheduled) -> Boundary | None:
        """Dagster's tick for one of Airflow's windows; None for any other interval."""
        tick = self.ticks.at_or_after(window.start)
        if tick.instant == window.start and self.window_at(tick) == window:
            return tick
        if self._quiet(window.start):
            return None
        return next((near for near in self.ticks.near(window.start) if self.window_at(near) == window), None)

    def seams(self, start: datetime, until: datetime) -> Iterator[Seam[M_co] | DoesNotAdvance]:
        """The clock changes in `[start, until]` around which ticks and windows do not match one to one, or which
        Airflow's own timetable does not get past."""
        if self.schedule.once_a_day:
            return  # a local day has one tick and one boundary, wherever in the day they lie
        for change in clock_changes(self.schedule.zone, start, until):
            if self._counts_evenly_over(change):
                continue
            # One seam, or two where a sparse cron has quiet ticks between.
            around = {
                self._quiet_before(tick)
                for tick in (self.ticks.before(change), self.ticks.at_or_after(change))
            }
            for first in sorted(around):
                try:
                    seam = self._seam_from(first)
                except DoesNotAdvance as stuck:
                    yield stuck
                else:
                    if seam.phantoms or seam.keyless:
                        yield seam

    def _quiet(self, instant: datetime) -> bool:
        """See `_is_quiet`. Around a clock change each key asks about the same few dozen instants."""
        if instant not in self._known_quiet:
            if len(self._known_quiet) >= _MOST_KNOWN:
                self._known_quiet.clear()
            self._known_quiet[instant] = self._is_quiet(instant)
        return self._known_quiet[instant]

    def _is_quiet(self, instant: datetime) -> bool:
        """Whether a tick at `instant` is certainly the start of a window and vice versa, because no clock change is
        near.

        Hourly and denser crons count elapsed time from one boundary to the next, so no change may lie between
        boundaries either: an earlier tick, further away than a change can shift, must have the same offset.
        """
        if self.schedule.zone.name == "UTC":
            return True
        margin = timedelta(hours=26 if self.schedule.once_a_day else 6)
        since = utc(instant) - margin
        if self.schedule.covers_every_hour and not self.schedule.every_day:
            settled = self.ticks.before(utc(instant).subtract(hours=3)).instant
            if utc(instant) - settled > timedelta(hours=30):
                return False
            since = min(since, settled.subtract(hours=1))
        return _offset_is_constant(self.schedule.zone, since, utc(instant) + margin)

    def _counts_evenly_over(self, change: datetime) -> bool:
        """True for a cron of every hour of every day and a clock that moves by whole hours: both sides then count the
        same minutes."""
        before, after = (_offset(self.schedule.zone, utc(change).add(hours=hours)) for hours in (-3, 3))
        return (
            self.schedule.covers_every_hour
            and self.schedule.every_day
            and not (after - before) % timedelta(hours=1)
        )

    def _quiet_before(self, tick: Boundary) -> Boundary:
        """`tick` itself if it is quiet, else the last quiet tick before it."""
        for first in islice(self.ticks.walk(tick.instant, ahead=False), _LONGEST_WALK):
            if self._quiet(first.instant):
                return first
        raise self._never_quiet(tick)

    def _seam_from(self, first: Boundary) -> Seam[M_co]:
        if first not in self._seams:
            try:
                self._seams[first] = self._pair(first)
            except DoesNotAdvance as stuck:
                self._seams[first] = stuck
        found = self._seams[first]
        if isinstance(found, DoesNotAdvance):
            raise found.with_traceback(None)
        return found

    def _pair(self, first: Boundary) -> Seam[M_co]:
        walk = self.ticks.walk(first.instant)
        ticks = [next(walk)]
        while not self._quiet((last := next(walk)).instant):
            ticks.append(last)
            if len(ticks) > _LONGEST_WALK:
                raise self._never_quiet(first)
        windows = [self.schedule.window_from(first.instant)]
        while (following := self.schedule.following(windows[-1])).start < last.instant:
            windows.append(following)
        if following.start != last.instant:
            raise self._never_quiet(last)
        return _pair_in_order(ticks, windows)

    def _never_quiet(self, tick: Boundary) -> ScheduleRefused:
        return ScheduleRefused(
            self.schedule.expression,
            self.schedule.timezone,
            f"Airflow's and Dagster's boundaries do not meet around {tick.key}",
            "Declare it in UTC",
        )


def _pair_in_order(ticks: list[Boundary], windows: list[M_co]) -> Seam[M_co]:
    """Pairs equal instants; what is left between two such pairs is the same wall-clock time, shifted."""
    by_start = {window.start: window for window in windows}
    paired = {tick: by_start[tick.instant] for tick in ticks if tick.instant in by_start}
    common = sorted(tick.instant for tick in paired)
    shared = set(common)
    free = [window for window in windows if window.start not in shared]
    phantoms: list[Boundary] = []
    for tick in ticks:
        if tick in paired:
            continue
        stretch = bisect_right(common, tick.instant)
        match = next((window for window in free if bisect_right(common, window.start) == stretch), None)
        if match is None:
            phantoms.append(tick)
        else:
            free.remove(match)
            paired[tick] = match
    return Seam(MappingProxyType(paired), tuple(phantoms), tuple(free))


def _offset(zone: Zone, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _offset_is_constant(zone: Zone, first: pendulum.DateTime, last: pendulum.DateTime) -> bool:
    # No known zone changes its clock and changes it back within a day, so one check a day misses nothing. Every key
    # asks this, and Python's own datetimes answer several times as fast as pendulum's.
    at, end = (datetime.fromtimestamp(each.timestamp(), timezone.utc) for each in (first, last))
    offset = _offset(zone, at)
    while at < end:
        at = min(at + _DAY, end)
        if _offset(zone, at) != offset:
            return False
    return True


def counts_hours_alike(schedule: Recurring[Scheduled], until: datetime, asked_at: datetime) -> bool:
    """Whether Dagster places the minutes of an hourly schedule the same way on every day on which it is evaluated.

    Its `cron_string_iterator` (`dagster/_utils/schedules.py`, 1.13) takes the minutes of "every hour, every
    day" crons from the zone's clock if the UTC offset at `asked_at` is not a whole number of hours, else from UTC.
    """
    if not (schedule.covers_every_hour and schedule.every_day):
        return True
    now = utc(asked_at)
    examined = [now, *clock_changes(schedule.zone, now, now.add(years=1))]
    examined += [schedule.start, *clock_changes(schedule.zone, schedule.start, until)]
    parts = {_offset(schedule.zone, instant) % timedelta(hours=1) for instant in examined}
    minutes = {timedelta(minutes=minute) for minute in schedule.minutes}
    return len({frozenset((minute - part) % timedelta(hours=1) for minute in minutes) for part in parts}) == 1


def clock_changes(zone: Zone, start: datetime, until: datetime) -> tuple[pendulum.DateTime, ...]:
    """The instants in `[start, until]` at which a new UTC offset takes effect, to the minute."""
    return (
        () if isinstance(zone, pendulum.FixedTimezone) or zone.name == "UTC" else _changes(zone, start, until)
    )


# Decades are walked day by day, and the units of an estate have few zones and starts.
@lru_cache(maxsize=512)
def _changes(zone: Zone, start: datetime, until: datetime) -> tuple[pendulum.DateTime, ...]:
    return tuple(_walked_changes(zone, start, until))


def _walked_changes(zone: Zone, start: datetime, until: datetime) -> Iterator[pendulum.DateTime]:
    day, last = utc(start), utc(until)
    while day < last:
        next_day = min(day.add(days=1), last)
        if _offset(zone, day) != _offset(zone, next_day):
            low, high = day, next_day
            while high - low > timedelta(minutes=1):
                middle = low.add(seconds=int((high - low).total_seconds()) // 2)
                low, high = (middle, high) if _offset(zone, middle) == _offset(zone, day) else (low, middle)
            yield high.start_of("minute")
        day = next_day
