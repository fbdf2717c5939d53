"""The half-open interval of time that one run is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

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

    Raises `InvalidWindow` unless start < end: Airflow's cron trigger timetables and manual runs have empty intervals,
    to which no data belongs.
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
        try:
            bounds = [datetime_of(b) if isinstance(b, str) else b for b in (start, end)]
            return cls(*(utc(bound) for bound in bounds))
        except ValueError as error:
            raise InvalidWindow(str(start), str(end), str(error)) from error

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
