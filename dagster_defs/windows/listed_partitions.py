"""The partitions of a list of windows: one per window, keyed by the local time at which it begins."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import pendulum

from dagster_defs.errors import Unaligned, UnknownPartition
from dagster_defs.windows.boundaries import CronTicks
from dagster_defs.windows.listed import ListedSchedule
from dagster_defs.windows.partitions import Partitions
from dagster_defs.windows.window import Scheduled, Tick, instant_text, share_time, utc
from dagster_defs.windows.zones import iana_zone

__all__ = ["ListedPartitions"]

# The same for every list, however short: windows that are listed later must not change existing keys.
KEY_FORMAT = "%Y-%m-%dT%H:%M:%S%z"

_EXPORT_AGAIN = "export the inventory again and run parity scaffold"


@dataclass(frozen=True, slots=True, eq=False, init=False)
class ListedPartitions(Partitions[Scheduled]):
    """Every window has its own key, without any of Dagster's crons, so there are no phantoms.

    A run takes one window only, because windows may have holes between them or overlap.
    """

    schedule: ListedSchedule
    _zone: str = field(repr=False)
    _places: dict[str, int] = field(repr=False)

    def __init__(self, schedule: ListedSchedule) -> None:
        put = object.__setattr__
        listed = schedule.listed
        put(self, "schedule", schedule)
        put(self, "crons", cast("CronTicks", None))
        put(self, "_zone", iana_zone(schedule.zone, listed.since, listed.until) or "UTC")
        put(self, "first_boundary", schedule.first_window().start)
        put(self, "end_boundary", None)
        put(self, "phantoms", ())
        put(self, "keyless_windows", ())
        put(self, "impassable", ())
        put(self, "_places", {self._key(window): place for place, window in enumerate(listed.windows)})

    def bounded(self, start: pendulum.DateTime, end: pendulum.DateTime | None) -> Partitions[Scheduled]:
        return ListedPartitions(self.schedule.bounded(start, end))

    @property
    def cron(self) -> str:
        raise AttributeError("a list of windows has no cron")

    @property
    def zone(self) -> str:
        return self._zone

    @property
    def fmt(self) -> str:
        return KEY_FORMAT

    @property
    def tile(self) -> bool:
        return False

    @property
    def of_ticks(self) -> bool:
        return self.schedule.listed.of_ticks

    @property
    def keys(self) -> list[str]:
        """The keys of the windows within the schedule's start and end, oldest first."""
        return [self._key(window) for window in self.schedule.windows()]

    def window_of(self, key: str) -> Scheduled:
        return self.schedule.listed.windows[self._place(key)]

    def key_of(self, window: Scheduled) -> str:
        listed = self.schedule.listed
        place = bisect_left(listed.starts, window.start)
        if listed.windows[place : place + 1] != (window,):
            raise self._unlisted(str(window), window.start)
        return self._key(window)

    def window_containing(self, instant: datetime) -> Scheduled:
        """The one that begins last, if several contain the instant."""
        matches = [window for window in self._about(instant) if share_time(window, Tick(utc(instant)))]
        if not matches:
            raise self._unlisted(utc(instant).isoformat(), instant)
        return matches[-1]

    def _beside(self, first: Scheduled, last: Scheduled) -> tuple[pendulum.DateTime, pendulum.DateTime]:
        if self.of_ticks:
            return self.schedule.prev_boundary(first.start), self.schedule.next_boundary(last.end)
        return super(ListedPartitions, self)._beside(first, last)

    def keys_over(self, window: Scheduled) -> list[str]:
        listed = self.schedule.listed
        place = bisect_right(listed.starts, window.end)
        keys: list[str] = []
        while place and listed.ends[place - 1] >= window.start:
            place -= 1
            own = listed.windows[place]
            if share_time(own, window) and self.schedule.is_in_bounds(own):
                keys.append(self._key(own))
        return keys[::-1]

    def windows_between(self, first_key: str, last_key: str) -> list[Scheduled]:
        self.range_windows(first_key, last_key)
        return list(self.schedule.listed.windows[self._place(first_key) : self._place(last_key) + 1])

    def keys_between(self, first_key: str, last_key: str) -> list[str]:
        return [self._key(window) for window in self.windows_between(first_key, last_key)]

    def _key(self, window: Scheduled) -> str:
        local: pendulum.DateTime = window.start.in_timezone(self._zone)
        return datetime.strftime(local, KEY_FORMAT)

    def _place(self, key: str) -> int:
        if key not in self._places:
            reason = (
                f"a key looks like {next(iter(self._places))}, and the list ends "
                f"{instant_text(self.schedule.listed.until)}: for later windows, {_EXPORT_AGAIN}"
            )
            raise UnknownPartition(key, str(self.schedule), reason)
        return self._places[key]

    def _about(self, instant: datetime) -> list[Scheduled]:
        """The windows that begin at or before `instant` and may last until then."""
        listed, at = self.schedule.listed, utc(instant)
        last = first = bisect_right(listed.starts, at)
        while first and listed.ends[first - 1] >= at:
            first -= 1
        return list(listed.windows[first:last])

    def _unlisted(self, interval: str, at: datetime) -> Unaligned:
        listed = self.schedule.listed
        place = bisect_left(listed.starts, utc(at))
        near = [str(window) for window in listed.windows[max(place - 1, 0) : place + 1]]
        if listed.since <= at < listed.until:
            return Unaligned(str(self.schedule), interval, near)
        covered = f"The list covers only {instant_text(listed.since)} to {instant_text(listed.until)}"
        return Unaligned(str(self.schedule), interval, near, f"{covered}: {_EXPORT_AGAIN}")
