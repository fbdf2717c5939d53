"""Airflow 2.11's data intervals, reproduced.

Every rule comes from `CronDataIntervalTimetable` (`airflow/timetables/_cron.py` and `interval.py` of 2.11.2) and uses
the same libraries, croniter and pendulum; `tests/windows/test_oracle.py` compares the two. Docstrings name the Airflow
method that each method reproduces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Generic, TypeVar

import pendulum
from croniter import CroniterBadDateError, CroniterError, croniter
from typing_extensions import Self

from dagster_defs.errors import DoesNotAdvance, ScheduleRefused
from dagster_defs.older_python import datetime_of
from dagster_defs.windows.window import Scheduled, Window, utc
from dagster_defs.windows.zones import Zone, zone_named

# airflow.utils.dates.cron_presets, and the two aliases that Airflow leaves to croniter.
PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@midnight": "0 0 * * *",
    "@annually": "0 0 1 1 *",
}

_NO_INTERVAL = {
    "@once": "it runs once and has no recurring window",
    "@continuous": "it runs again as soon as it ends and has no fixed window",
    "None": "it runs only when triggered and has no window",
}

_MIRROR_INSTEAD = "Mirror it without partitions, or declare a five-field cron expression or a preset"


def _wall_clock(*fields: int) -> datetime:
    return datetime(*fields)  # type: ignore[arg-type]  # noqa: DTZ001 - croniter counts on wall-clock time


@lru_cache(maxsize=256)  # parsing an expression takes longer than a step
def _read(cron: str) -> croniter:
    return croniter(cron, start_time=_wall_clock(2000, 1, 1))


@lru_cache(maxsize=4096)  # aligning repeats the same step at once
def _neighbour(cron: str, wall_clock: datetime, ahead: bool) -> datetime:
    ticks = copy(_read(cron))
    ticks.set_current(wall_clock, force=True)
    neighbour: datetime = (ticks.get_next if ahead else ticks.get_prev)(datetime)
    return neighbour


def parse_timezone(name: str, schedule: str) -> Zone:
    """The IANA zone of that name, or the fixed offset; raises `ScheduleRefused` if there is none."""
    try:
        return zone_named(name)
    except ValueError as error:
        raise ScheduleRefused(
            schedule,
            name,
            "there is no such time zone",
            "Use an IANA name such as America/New_York, or an offset such as +05:30",
        ) from error


def _five_fields(expression: str, timezone: str) -> str:
    """The cron expression behind a preset or another spelling; raises `ScheduleRefused` for a schedule without data
    intervals."""

    def refuse(reason: str, remedy: str) -> ScheduleRefused:
        return ScheduleRefused(expression, timezone, reason, remedy)

    written = expression.strip()
    if written in _NO_INTERVAL:
        raise refuse(_NO_INTERVAL[written], _MIRROR_INSTEAD)
    if "Timetable" in written:
        raise refuse(
            "a timetable object is not a schedule text; trigger timetables have empty windows",
            _MIRROR_INSTEAD,
        )
    if written.startswith("@") and written not in PRESETS:
        raise refuse("Airflow has no such preset", f"Use one of {', '.join(PRESETS)}")
    fields = PRESETS.get(written, written).split()
    if len(fields) != 5:
        hint = (
            "a field for seconds has no Dagster partition"
            if len(fields) in (6, 7)
            else "five fields are expected"
        )
        raise refuse(f"it has {len(fields)} fields and {hint}", "Write minute hour day month weekday")
    if any(part[:1] in "RrHh" for part in fields):
        raise refuse(
            "hashed and random fields have no predictable windows", "Write the minute or hour itself"
        )
    cron = " ".join(fields)
    try:
        _read(cron)
    except (CroniterError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise refuse(f"croniter cannot read it ({error})", "Write minute hour day month weekday") from error
    return cron


M_co = TypeVar("M_co", bound=Scheduled, covariant=True)


# `datetime.min` means "always" to Airflow.
_EARLIEST_YEAR = 1900


@dataclass(frozen=True, slots=True)
class Recurring(ABC, Generic[M_co]):
    """A cron or preset schedule of an Airflow DAG, in the DAG's own time zone. What its runs are about, windows or
    ticks, is the subclass's to say; the words "window" and `windows` below stand for either.

    `start` and `end` are the DAG's dates. Aware ones are converted to UTC; naive ones, dates and ISO text without an
    offset are wall-clock times in the zone: the second one of a time that occurs twice, and a time inside a gap is
    shifted by the gap's length. `end` is inclusive, as in Airflow: the last window *starts* at or before it. Raises
    `ScheduleRefused` for a schedule without recurring data intervals, and for a bad expression, zone or date.
    """

    expression: str
    timezone: str
    start: pendulum.DateTime
    end: pendulum.DateTime | None = None
    cron: str = field(init=False, compare=False)
    _zone: Zone = field(init=False, compare=False, repr=False)
    minutes: tuple[int, ...] = field(init=False, compare=False, repr=False)
    covers_every_hour: bool = field(init=False, compare=False, repr=False)
    every_day: bool = field(init=False, compare=False, repr=False)
    once_a_day: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        cron = _five_fields(self.expression, self.timezone)
        zone = parse_timezone(self.timezone, self.expression)
        put = object.__setattr__
        put(self, "timezone", zone.name)
        put(self, "cron", cron)
        put(self, "_zone", zone)
        minute, hour = _read(cron).expanded[:2]
        # croniter normalises 0-23 and */1 to the star (Airflow's _covers_every_hour).
        put(self, "covers_every_hour", hour == ["*"])
        put(self, "every_day", cron.endswith(" * * *"))
        put(self, "minutes", tuple(range(60)) if minute == ["*"] else tuple(minute))
        put(self, "once_a_day", all(len(part) == 1 and isinstance(part[0], int) for part in (minute, hour)))
        put(self, "start", self._instant(self.start))
        if self.start.year < _EARLIEST_YEAR:
            raise self._refused(
                f"it begins in the year {self.start.year}, and its partitions would be counted from there",
                "Write the date of the first run that counts",
            )
        if self.end is not None:
            put(self, "end", self._instant(self.end))
            if self.end < self.start:
                raise self._refused("it ends before it starts", "Correct start or end")
        try:
            self.next_boundary(self.start)
        except CroniterBadDateError as error:
            raise self._refused("it never fires", "Write a day that exists in that month") from error

    @classmethod
    def of(
        cls,
        expression: str,
        timezone: str,
        start: datetime | date | str,
        end: datetime | date | str | None = None,
    ) -> Self:
        """Like the constructor, for the looser types that YAML gives for the two dates."""
        # The constructor converts these types too and refuses the rest.
        return cls(expression, timezone, start, end)  # type: ignore[arg-type]  # see above

    @classmethod
    def every(
        cls, delta: timedelta, start: datetime | date | str, end: datetime | date | str | None = None
    ) -> Self:
        """A `timedelta` schedule. Airflow counts elapsed time from `start_date` in UTC, so the result is the
        cron schedule in UTC whose boundaries are `start + n * delta`. Raises `ScheduleRefused` for a delta
        that Dagster's partitions cannot express: a cron can repeat only at divisors of an hour or of a day, at one day
        and at one week."""
        anchor = cls.of("@daily", "UTC", start).start
        return cls.of(_cron_of_delta(delta, anchor), "UTC", anchor, end)

    def _refused(self, reason: str, remedy: str) -> ScheduleRefused:
        return ScheduleRefused(self.expression, self.timezone, reason, remedy)

    def _instant(self, value: object) -> pendulum.DateTime:
        try:
            if isinstance(value, str):
                value = datetime_of(value)
            if isinstance(value, date) and not isinstance(value, datetime):
                value = _wall_clock(value.year, value.month, value.day)
            if isinstance(value, datetime):
                # pendulum.datetime, and Airflow for a DAG's date given as text, read such times with fold=1.
                return utc(
                    value if value.utcoffset() is not None else self._zone.convert(value.replace(fold=1))
                )
        except ValueError as error:
            raise self._refused(
                f"{value!r} is not a date ({error})", "Write 2024-03-01 or 2024-03-01T06:00"
            ) from error
        raise self._refused(f"{value!r} is not a date", "Write 2024-03-01 or 2024-03-01T06:00")

    @property
    def zone(self) -> Zone:
        return self._zone

    @property
    def known_until(self) -> pendulum.DateTime | None:
        """The instant up to which windows are known; None if a rule determines all of them."""
        return None

    def bounded(self, start: pendulum.DateTime, end: pendulum.DateTime | None) -> Self:
        """The same windows with another start and end."""
        return type(self)(self.expression, self.timezone, start, end)

    def recurs_like(self, other: Recurring[Scheduled]) -> bool:
        """Whether both have the same windows, apart from their start and end."""
        return type(other) is type(self) and (self.cron, self.timezone) == (other.cron, other.timezone)

    def is_in_bounds(self, window: Scheduled) -> bool:
        """Whether Airflow runs a task with this schedule's start and end for the window: the window's start must lie
        between the two, both included (`task_filter` of Airflow's DagRun)."""
        return self.start <= window.start and (self.end is None or window.start <= self.end)

    def __str__(self) -> str:
        return f"{self.expression!r} in {self.timezone}"

    def next_boundary(self, instant: datetime) -> pendulum.DateTime:
        """The first boundary after `instant` (Airflow's `_get_next`), in UTC."""
        return self._step(instant, ahead=True)

    def prev_boundary(self, instant: datetime) -> pendulum.DateTime:
        """The last boundary before `instant` (Airflow's `_get_prev`), in UTC."""
        return self._step(instant, ahead=False)

    def _step(self, instant: datetime, *, ahead: bool) -> pendulum.DateTime:
        local = pendulum.instance(instant).in_timezone(self._zone)
        wall_clock = _wall_clock(*local.timetuple()[:6], local.microsecond)
        tick = _neighbour(self.cron, wall_clock, ahead)
        if self.covers_every_hour:
            # Elapsed time, not the wall clock, so that the repeated hour of a fall-back day has windows of its own.
            return (local + (tick - wall_clock)).in_timezone("UTC")
        # Airflow's make_aware: the second of two equal wall-clock times, and a time inside a gap is shifted by the
        # gap's length.
        return utc(self._zone.convert(tick.replace(fold=1)))

    def align_to_next(self, instant: datetime) -> pendulum.DateTime:
        """`instant` if it is a boundary, else the next one (Airflow's `_align_to_next`)."""
        ahead = self.next_boundary(instant)
        return ahead if self.prev_boundary(ahead) != instant else utc(instant)

    def align_to_prev(self, instant: datetime) -> pendulum.DateTime:
        """`instant` if it is a boundary, else the one before (Airflow's `_align_to_prev`).

        On a day with a gap Airflow may answer with a *later* instant: for `15,45 2 * * *` in New York, 03:15
        becomes 03:45. The half hour between the two is in none of Airflow's windows.
        """
        behind = self.prev_boundary(instant)
        return behind if self.next_boundary(behind) != instant else utc(instant)

    def run_after(self, window: Scheduled) -> pendulum.DateTime:
        """The logical date of the run after that of `window`, even beyond the schedule's end. Raises ValueError where
        nothing here determines it, and in Airflow 3, which has no such name."""
        raise ValueError(self._untold_run("after", "end"))

    def run_before(self, window: Scheduled) -> pendulum.DateTime:
        """The logical date of the run before that of `window`, even before the schedule's start. Raises like
        `run_after`."""
        raise ValueError(self._untold_run("before", "start"))

    def _untold_run(self, side: str, bound: str) -> str:
        return f"{self} does not determine the run {side} a run: use data_interval_{bound} instead"

    @abstractmethod
    def window_from(self, start: datetime) -> M_co:
        """What the run whose data interval starts at `start` is about, where `start` is a boundary."""

    @abstractmethod
    def following(self, window: Scheduled) -> M_co:
        """What Airflow schedules after `window` (its `next_dagrun_info`, with catch-up). Raises `DoesNotAdvance` if
        Airflow would return to time that it has covered already."""

    def _stuck(self, at: datetime, step: datetime) -> DoesNotAdvance:
        return DoesNotAdvance(self.expression, self.timezone, at.isoformat(), step.isoformat())

    def windows(self, from_: datetime | None = None, until: datetime | None = None) -> Iterator[M_co]:
        """The windows that start in `[from_, until)`, within the schedule's own start and end, oldest first.

        Endless without `until` or an end. Raises `DoesNotAdvance`, see `following`.
        """
        earliest = self.start if from_ is None else max(self.start, utc(from_))
        window = self._first_from(earliest)
        while (until is None or window.start < until) and (self.end is None or window.start <= self.end):
            yield window
            window = self.following(window)

    def ending_after(self, instant: datetime) -> Iterator[M_co]:
        """The next few windows, within the schedule's own start and end, that end after `instant`, oldest first.
        Raises `DoesNotAdvance`."""
        until = self.next_boundary(self.next_boundary(max(self.start, utc(instant))))
        return (window for window in self.windows(self.align_to_prev(instant), until) if window.end > instant)

    def ended_by(self, instant: datetime) -> Iterator[M_co]:
        """The last few windows, within the schedule's own start and end, that are over by `instant`, newest first.
        Raises `DoesNotAdvance`."""
        begin = utc(instant) if self.end is None else min(utc(instant), self.end)
        for _ in range(4):  # the last window that is over is among the last few
            begin = self.prev_boundary(begin)
        # The window that begins at `instant` is not over, a tick is.
        until = utc(instant).add(microseconds=1)
        return reversed([window for window in self.windows(begin, until) if window.end <= instant])

    def _first_from(self, earliest: pendulum.DateTime) -> M_co:
        """The first window that starts at or after `earliest`, as Airflow reaches it from the schedule's start.

        Inside a clock change boundaries depend on where the walk starts, so it starts a day and a boundary earlier,
        unless Airflow does not get from there to `earliest`."""
        before = self.prev_boundary(earliest.subtract(days=1))
        try:
            window = self.window_from(self.align_to_next(max(self.start, before)))
            while window.start < earliest:
                window = self.following(window)
        except DoesNotAdvance:
            return self.window_from(self.align_to_next(earliest))
        return window

    def first_window(self) -> M_co:
        return self.window_from(self.align_to_next(self.start))


@dataclass(frozen=True, slots=True)
class Schedule(Recurring[Window]):
    """A schedule with data intervals, one from each boundary to the next: see `Recurring`."""

    def run_after(self, window: Scheduled) -> pendulum.DateTime:
        return self.align_to_prev(window.end)

    def run_before(self, window: Scheduled) -> pendulum.DateTime:
        return self.prev_boundary(window.start)

    def window_from(self, start: datetime) -> Window:
        """The window that starts at `start`; raises `DoesNotAdvance` if Airflow's window would have no length."""
        end = self.next_boundary(start)
        if end <= start:
            raise self._stuck(start, end)
        return Window(utc(start), end)

    def following(self, window: Scheduled) -> Window:
        """The window that Airflow schedules after `window` (its `next_dagrun_info`, with catch-up).

        Raises `DoesNotAdvance` if Airflow would return to time that `window` has already covered, as with hourly
        schedules in Australia/Lord_Howe, whose clock moves by half an hour.
        """
        start = self.align_to_prev(window.end)
        if start < window.end:
            raise self._stuck(window.end, start)
        return self.window_from(start)


def _cron_of_delta(delta: timedelta, anchor: pendulum.DateTime) -> str:
    def refuse(reason: str) -> ScheduleRefused:
        return ScheduleRefused(
            str(delta),
            "UTC",
            reason,
            "Mirror it without partitions, or change the DAG to a cron schedule first",
        )

    minutes, rest = divmod(delta, timedelta(minutes=1))
    if minutes <= 0 or rest:
        raise refuse("a delta of whole minutes is expected")
    if anchor.second or anchor.microsecond:
        raise refuse(f"it is anchored at {anchor.isoformat()}, off the minute, where no cron has a boundary")
    if minutes == 7 * 24 * 60:
        return f"{anchor.minute} {anchor.hour} * * {anchor.isoweekday() % 7}"
    if 60 % minutes == 0:
        return f"{','.join(map(str, range(anchor.minute % minutes, 60, minutes)))} * * * *"
    hours, odd = divmod(minutes, 60)
    if not odd and 24 % hours == 0:
        return f"{anchor.minute} {','.join(map(str, range(anchor.hour % hours, 24, hours)))} * * *"
    raise refuse("no cron repeats at that step, and Dagster's partitions are crons")
