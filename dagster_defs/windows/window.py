"""What one scheduled run is about: the half-open interval of a window, or the instant of a tick."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

import pendulum
from typing_extensions import Self

from dagster_defs.errors import InvalidWindow
from dagster_defs.older_python import datetime_of


def utc(instant: datetime) -> pendulum.DateTime:
    """The same instant as Airflow passes it to templates: a pendulum DateTime in UTC. Raises `ValueError` for a naive
    datetime, which is not an instant."""
    if type(instant) is pendulum.DateTime and instant.tzinfo is pendulum.UTC and not instant.fold:
        return instant
    if instant.utcoffset() is None:
        raise ValueError(f"{instant} has no time zone")
    at = datetime.astimezone(instant, timezone.utc)  # pendulum's own is five times as slow
    return pendulum.DateTime(
        at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, tzinfo=pendulum.UTC
    )


def instant_text(instant: datetime, timespec: str = "minutes") -> str:
    """For display, `2024-11-03 05:30 UTC`: always in UTC, whatever zone the datetime is in."""
    return f"{utc(instant).naive().isoformat(sep=' ', timespec=timespec)} UTC"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """`[start, end)`, both in UTC; any aware datetime is accepted and converted.

    Raises `InvalidWindow` unless start < end: the empty interval of a run that a trigger has made is a `Tick`.
    """

    start: pendulum.DateTime
    end: pendulum.DateTime

    def __post_init__(self) -> None:
        for bound in (self.start, self.end):
            if bound.utcoffset() is None:
                raise InvalidWindow(str(self.start), str(self.end), f"{bound} has no time zone")
        object.__setattr__(self, "start", utc(self.start))
        object.__setattr__(self, "end", utc(self.end))
        if self.start >= self.end:
            raise InvalidWindow(self.start.isoformat(), self.end.isoformat())

    @classmethod
    def between(cls, start: datetime | str, end: datetime | str) -> Self:
        """From aware datetimes or ISO 8601 text with an offset, as Airflow's REST API gives it."""
        return cls(*_bounds(start, end))

    @property
    def length(self) -> timedelta:
        """Elapsed time: 23 or 25 hours for a local day with a clock change."""
        return timedelta(seconds=(self.end - self.start).total_seconds())

    def contains(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def overlaps(self, other: Window) -> bool:
        """Whether the two share some time; windows that only touch do not."""
        return self.start < other.end and other.start < self.end

    def isoformat(self) -> str:
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"

    def __str__(self) -> str:
        return self.isoformat()


def _bounds(start: datetime | str, end: datetime | str) -> tuple[pendulum.DateTime, pendulum.DateTime]:
    """Raises `InvalidWindow` for what is no instant."""
    try:
        first, last = (utc(datetime_of(each) if isinstance(each, str) else each) for each in (start, end))
    except ValueError as error:
        raise InvalidWindow(str(start), str(end), str(error)) from error
    return first, last


@dataclass(frozen=True, slots=True, order=True)
class Tick:
    """The instant at which a trigger is due, in UTC; any aware datetime is accepted and converted.

    It has no length: nothing lies inside it, and which data its run is about only the run's variables say. Airflow
    gives such a run an empty data interval, of which `start` and `end` are the bounds.
    """

    at: pendulum.DateTime

    def __post_init__(self) -> None:
        if self.at.utcoffset() is None:
            raise InvalidWindow(str(self.at), str(self.at), f"{self.at} has no time zone")
        object.__setattr__(self, "at", utc(self.at))

    @property
    def start(self) -> pendulum.DateTime:
        return self.at

    @property
    def end(self) -> pendulum.DateTime:
        return self.at

    def __str__(self) -> str:
        return f"tick {self.at.isoformat()}"


Scheduled: TypeAlias = Window | Tick  # what a run of a DAG with a clock is about


def scheduled_between(start: datetime | str, end: datetime | str) -> Scheduled:
    """A window, or a tick where the interval is empty; bounds as `Window.between` takes them."""
    first, last = _bounds(start, end)
    return Tick(first) if first == last else Window(first, last)


def share_time(one: Scheduled, other: Scheduled) -> bool:
    """Whether two windows overlap, a tick lies in a window, or two ticks are the same."""
    if isinstance(one, Window) and isinstance(other, Window):
        return one.overlaps(other)
    if isinstance(one, Window):
        return one.contains(other.start)
    return other.contains(one.at) if isinstance(other, Window) else one == other
