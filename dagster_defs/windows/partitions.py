"""A schedule's partitions: Dagster's keys and Airflow's data intervals, or ticks, one to one.

The window, or tick, of a key is always Airflow's, even on the few days on which Dagster's own cron puts the boundary
elsewhere. So use this module, not `partition_time_window`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Generic

import pendulum

from dagster_defs.errors import DoesNotAdvance, ParityError, ScheduleRefused, Unaligned, UnknownPartition
from dagster_defs.windows.boundaries import HORIZON, Boundaries, Boundary, CronTicks
from dagster_defs.windows.pairing import Pairing, Seam, counts_hours_alike
from dagster_defs.windows.schedule import M_co, Recurring, Schedule
from dagster_defs.windows.window import Scheduled, Tick, Window, share_time, utc

# The hours by which a clock change may move a boundary away from Dagster's tick.
_FARTHEST = 3


@dataclass(frozen=True, slots=True, eq=False)
class Partitions(Generic[M_co]):
    """The partitions of a schedule. The words "window" and `window` below stand for a tick, too.

    `first_boundary` is the tick of Airflow's first window; if the schedule ends, `end_boundary` is the tick after that
    of Airflow's last window. `phantoms` are ticks between them without a window in Airflow; they are not partitions.
    Keys are local dates (`2024-03-10`) if a local day has at most one boundary, else local times with their offset
    (`2024-03-10T03:00-0400`). `keyless_windows` are Airflow's windows without a partition, up to `HORIZON`;
    `impassable` are the clock changes up to there that Airflow's own timetable does not get past. A key at one of them
    raises; all other keys are unaffected.

    Raises `ScheduleRefused` if Dagster cannot express the cron, or counts its hours by today's UTC offset.
    """

    schedule: Recurring[M_co]
    crons: CronTicks = field(repr=False)
    first_boundary: pendulum.DateTime = field(init=False, repr=False)
    end_boundary: pendulum.DateTime | None = field(init=False, repr=False)
    phantoms: tuple[pendulum.DateTime, ...] = field(init=False, repr=False)
    keyless_windows: tuple[M_co, ...] = field(init=False, repr=False)
    impassable: tuple[DoesNotAdvance, ...] = field(init=False, repr=False)
    _ticks: Boundaries = field(init=False, repr=False)
    _pairing: Pairing[M_co] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        schedule = self.schedule
        ticks = Boundaries(schedule, self.crons)
        put(self, "_ticks", ticks)
        put(self, "_pairing", Pairing(schedule, ticks))
        until = utc(schedule.start + HORIZON) if schedule.end is None else schedule.end
        if not counts_hours_alike(schedule, until, self.crons.asked_at):
            raise ScheduleRefused(
                schedule.expression,
                schedule.timezone,
                "the clock of this zone moves by a fraction of an hour, and Dagster then places the minutes of an "
                "hourly schedule by the UTC offset of the day on which it evaluates the schedule",
                "Mirror it without partitions, or move the DAG to UTC first",
            )
        changes = list(self._pairing.seams(schedule.start, until))
        seams = [seam for seam in changes if isinstance(seam, Seam)]
        put(self, "impassable", tuple(stuck for stuck in changes if isinstance(stuck, DoesNotAdvance)))
        first, passed = self._first_tick()
        keyless = [*passed, *(window for seam in seams for window in seam.keyless)]
        put(self, "keyless_windows", tuple(dict.fromkeys(keyless)))
        put(self, "first_boundary", first.instant)
        put(
            self, "phantoms", tuple(tick.instant for seam in seams for tick in seam.phantoms if tick >= first)
        )
        end = None if schedule.end is None else ticks.after(self._last_tick(first, schedule.end)).instant
        put(self, "end_boundary", end)

    def _first_tick(self) -> tuple[Boundary, list[M_co]]:
        """The first partition's tick, and Airflow's windows before it."""
        passed: list[M_co] = []
        try:
            for window in self.schedule.windows():
                # If the schedule starts inside a clock change, Airflow's first windows may have no partition.
                tick = self._pairing.tick_of(window)
                if tick is not None:
                    return tick, passed
                passed.append(window)
        except DoesNotAdvance:
            # The schedule starts where Airflow is stuck: the keys there raise, later ones do not.
            return self._ticks.at_or_after(self.schedule.start), passed
        if passed:
            raise ScheduleRefused(
                self.schedule.expression,
                self.schedule.timezone,
                "it ends before its first window that can have a partition",
                "Mirror it without partitions, or let it start a day before the clock change",
            )
        return self._ticks.at_or_after(self.schedule.start), passed

    def _last_tick(self, first: Boundary, end: datetime) -> Boundary:
        beyond = list(self._ticks.near(end))[-1]
        for tick in self._ticks.walk(beyond.instant, ahead=False):
            if tick < first:
                break
            try:
                window = self._pairing.window_at(tick)
                start = None if window is None else window.start
            except DoesNotAdvance:  # as at the start: only the keys of this clock change raise
                start = tick.instant
            if start is not None and start <= end:
                return tick
        raise ScheduleRefused(
            self.schedule.expression,
            self.schedule.timezone,
            "it ends before its first window starts",
            "Correct start or end",
        )

    def bounded(self, start: pendulum.DateTime, end: pendulum.DateTime | None) -> Partitions[M_co]:
        """The same windows with another start and end."""
        return type(self)(self.schedule.bounded(start, end), self.crons)

    @property
    def cron(self) -> str:
        """The expression as passed to Dagster."""
        return self._ticks.cron

    @property
    def tile(self) -> bool:
        """Whether windows follow each other without holes, so that one run may take several as if they were one."""
        return True

    @property
    def of_ticks(self) -> bool:
        """Whether its runs are about ticks, which have no length."""
        return False

    @property
    def zone(self) -> str:
        """The IANA name of the zone in which Dagster counts and keys are written; for a fixed offset, a zone that has
        that offset throughout."""
        return self._ticks.zone

    @property
    def fmt(self) -> str:
        """The `strftime` format of the keys, on local time."""
        return self._ticks.fmt

    def window_of(self, key: str) -> M_co:
        """Airflow's data interval for that partition, even beyond the schedule's end.

        Raises `UnknownPartition` for text that is not a key of this cron and zone, `DoesNotAdvance` near a clock
        change that Airflow does not get past."""
        window = self._pairing.window_at(self._ticks.of_key(key))
        if window is None:
            raise UnknownPartition(
                key, str(self.schedule), "a clock change skips it, so Airflow has no window there"
            )
        return window

    def key_of(self, window: Scheduled) -> str:
        """The partition whose window is exactly `window`; raises `Unaligned`, naming the nearest windows, if there is
        none, as for a tick where the schedule has windows."""
        return self._tick_of(window).key

    def window_containing(self, instant: datetime) -> M_co:
        """The window that contains `instant`, or the tick at it; raises `Unaligned` in an hour that Airflow leaves
        out."""
        for window in self._near(instant):
            if share_time(window, Tick(utc(instant))):
                return window
        raise self._unaligned(utc(instant).isoformat(), instant)

    def beside(self, first: Scheduled, last: Scheduled) -> Iterator[M_co]:
        """The window before `first` and the one after `last`, as far as they have partitions."""
        for instant in self._beside(first, last):
            with suppress(ParityError):  # there is none before the first window or after the last
                window = self.window_containing(instant)
                self.key_of(window)
                yield window

    def _beside(self, first: Scheduled, last: Scheduled) -> tuple[pendulum.DateTime, pendulum.DateTime]:
        return first.start.subtract(microseconds=1), last.end

    def keys_over(self, window: Scheduled) -> list[str]:
        """The partitions, within the schedule's start and end, whose windows share time with `window`, oldest first.
        Airflow's keyless windows, and clock changes that Airflow does not get past, contribute none."""
        keys: list[str] = []
        for tick in self._ticks.walk(window.end.add(hours=_FARTHEST), ahead=False):
            if tick.instant < self.first_boundary:
                break
            try:
                own = self._pairing.window_at(tick)
            except DoesNotAdvance:
                continue
            if own is None:
                continue
            if own.end < window.start:
                break
            if share_time(own, window) and self.schedule.is_in_bounds(own):
                keys.append(tick.key)
        return keys[::-1]

    def range_windows(self, first_key: str, last_key: str) -> tuple[M_co, M_co]:
        """The first and the last window of a single-run backfill. Raises `UnknownPartition` if they are in the wrong
        order."""
        first, last = self.window_of(first_key), self.window_of(last_key)
        if last.start < first.start:
            raise UnknownPartition(last_key, str(self.schedule), f"the range starts later, at {first_key}")
        return first, last

    def windows_between(self, first_key: str, last_key: str) -> list[M_co]:
        """The windows of all partitions between two keys, both included, oldest first."""
        self.range_windows(first_key, last_key)
        return [
            window for window in map(self._pairing.window_at, self._between(first_key, last_key)) if window
        ]

    def keys_between(self, first_key: str, last_key: str) -> list[str]:
        """The keys that Dagster offers between two keys, both included; far quicker than computing their windows."""
        phantoms = set(self.phantoms)
        return [tick.key for tick in self._between(first_key, last_key) if tick.instant not in phantoms]

    def _between(self, first_key: str, last_key: str) -> Iterator[Boundary]:
        first, last = self._ticks.of_key(first_key), self._ticks.of_key(last_key)
        return takewhile(lambda tick: tick <= last, self._ticks.walk(first.instant))

    def _tick_of(self, window: Scheduled) -> Boundary:
        tick = self._pairing.tick_of(window)
        if tick is None:
            raise self._unaligned(str(window), window.start)
        return tick

    def _near(self, instant: datetime) -> list[M_co]:
        return [window for window in map(self._pairing.window_at, self._ticks.near(instant)) if window]

    def _unaligned(self, interval: str, start: datetime) -> Unaligned:
        def distance(window: Scheduled) -> float:
            return abs(window.start.timestamp() - start.timestamp())

        nearest = sorted(sorted(self._near(start), key=distance)[:2], key=_begin)
        return Unaligned(str(self.schedule), interval, [str(window) for window in nearest])


def _begin(window: Scheduled) -> pendulum.DateTime:
    return window.start


@dataclass(frozen=True, slots=True, eq=False)
class PartitionedSchedule(Partitions[Window]):
    """The partitions of a schedule with data intervals, which follow each other without holes: see `Partitions`."""

    schedule: Schedule


def widest(own: Partitions[Scheduled], others: Sequence[Partitions[Scheduled]]) -> Partitions[Scheduled]:
    """From the first start to the last end of the schedules that recur like `own`; `own` itself if all are the same."""
    alike: list[Recurring[Scheduled]] = [own.schedule]
    alike += [other.schedule for other in others if other.schedule.recurs_like(own.schedule)]
    start = min(schedule.start for schedule in alike)
    ends = [schedule.end for schedule in alike if schedule.end is not None]
    end = max(ends) if len(ends) == len(alike) else None
    if (start, end) == (own.schedule.start, own.schedule.end):
        return own
    return own.bounded(start, end)
