"""Windows and ticks that follow no rule: Airflow's own timetable has listed them, and the list takes its place."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import pendulum
from typing_extensions import Self

from dagster_defs.errors import BadWindowList, ParityError, ScheduleRefused
from dagster_defs.older_python import datetime_of
from dagster_defs.windows.occasions import OccasionKind
from dagster_defs.windows.schedule import Recurring, parse_timezone
from dagster_defs.windows.window import Scheduled, Tick, instant_text, scheduled_between, utc

__all__ = ["SCHEMA", "ListedSchedule", "WindowList"]

SCHEMA = "parity/windows/1"
_EXPORT_AGAIN = "Export the inventory again and run parity scaffold"


@dataclass(frozen=True, slots=True)
class WindowList:
    """All windows of a DAG that start in `[since, until)`, as Airflow lists them, oldest first: time between windows is
    a hole, not a missing window. Windows may overlap, as with a trigger whose `interval=` is longer than its step, but
    no window ends after one that begins later. `of_ticks`: it lists ticks, for which the word "window" stands too.

    Raises BadWindowList for two windows that begin together, for a window that ends after one that begins later, for
    one that does not begin on a full second, and for one outside `[since, until)`.
    """

    since: pendulum.DateTime
    until: pendulum.DateTime
    windows: tuple[Scheduled, ...]
    of_ticks: bool = False
    starts: tuple[pendulum.DateTime, ...] = field(init=False, compare=False, repr=False)
    ends: tuple[pendulum.DateTime, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "starts", tuple(window.start for window in self.windows))
        put(self, "ends", tuple(window.end for window in self.windows))
        if self.since >= self.until:
            raise BadWindowList(f"it covers no time, from {self.since} to {self.until}")
        for before, window in pairwise(self.windows):
            if window.start == before.start:
                raise BadWindowList(f"two windows begin at {instant_text(window.start)}")
            if window.start < before.start:
                raise BadWindowList(f"the window {window} comes after {before}")
            if window.end < before.end:
                # The sensor starts runs in the order of their windows, each when its window is over, and remembers
                # only the last one.
                raise BadWindowList(
                    f"the window {before} ends after {window}, which begins later, and runs start in the order of "
                    "their windows. Make the timetable end them in the order in which they begin, or leave the DAG in "
                    "Airflow"
                )
        for window in self.windows:
            if isinstance(window, Tick) is not self.of_ticks:
                raise BadWindowList(f"{window} is in a list of {'ticks' if self.of_ticks else 'windows'}")
            if window.start.microsecond:
                raise BadWindowList(f"the window {window} does not begin on a full second, as keys must")
            if not self.since <= window.start < self.until:
                raise BadWindowList(f"the window {window} begins outside {self.since} … {self.until}")

    def __hash__(self) -> int:
        return hash((self.since, self.until, len(self.windows)))

    def extended(self, other: WindowList) -> WindowList:
        """This list plus the windows that another list has before or after it; existing windows never change.

        Raises BadWindowList if there is time between the two that neither covers, and if they contradict each other
        about time that both cover.
        """
        if other.of_ticks is not self.of_ticks:
            theirs, ours = ("windows", "ticks") if self.of_ticks else ("ticks", "windows")
            raise BadWindowList(
                f"Airflow's runs are about {theirs} now, and the list has {ours}: the DAG's timetable has "
                "changed. Remove the list with the mirrors beside it, and scaffold the DAG anew"
            )
        if other.since > self.until or other.until < self.since:
            first, last = sorted(
                (self.until, other.since) if other.since > self.until else (other.until, self.since)
            )
            raise BadWindowList(
                f"it ends {instant_text(self.until)} and begins {instant_text(self.since)}, and no list has the "
                f"windows from {instant_text(first)} to {instant_text(last)}. Export the inventory from "
                f"{first.date()} on"
            )
        both = max(self.since, other.since), min(self.until, other.until)
        mine, others = (
            {window for window in listed.windows if both[0] <= window.start < both[1]}
            for listed in (self, other)
        )
        if mine != others:
            first_window = min(mine ^ others, key=lambda window: window.start)
            who = (
                "the list, but no longer in Airflow"
                if first_window in mine
                else "Airflow, but not in the list"
            )
            raise BadWindowList(
                f"{len(mine ^ others)} windows contradict, first {first_window}: it is in {who}. Windows that have "
                "run stay as they are. If the DAG's schedule was edited, cut the list where the edit begins (the "
                "windows from there on, and `until`), and export the inventory from that day on"
            )
        return WindowList(
            min(self.since, other.since),
            max(self.until, other.until),
            tuple(sorted({*self.windows, *other.windows}, key=lambda window: window.start)),
            self.of_ticks,
        )

    def as_document(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            **({"occasion": OccasionKind.TICK.value} if self.of_ticks else {}),
            "windows": [[window.start.isoformat(), window.end.isoformat()] for window in self.windows],
        }

    @classmethod
    def of_document(cls, document: Any) -> Self:
        """Raises BadWindowList for anything that `as_document` would not have written."""
        if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
            raise BadWindowList(f"it is not a list of windows: its `schema` is not {SCHEMA}")
        try:
            since, until = (utc(datetime_of(document[name])) for name in ("since", "until"))
            of_ticks = OccasionKind(document.get("occasion", OccasionKind.WINDOW)) is OccasionKind.TICK
            windows = tuple(scheduled_between(start, end) for start, end in document["windows"])
            return cls(since, until, windows, of_ticks=of_ticks)
        except BadWindowList:
            raise
        except (KeyError, TypeError, ValueError, ParityError) as error:
            raise BadWindowList(f"a part of it is missing or malformed ({error})") from error


@dataclass(frozen=True, slots=True)
class ListedSchedule(Recurring[Scheduled]):
    """A schedule known only by its windows. `start` and `end` are a task's own; without them the list's bounds apply.

    Raises ScheduleRefused for a bad zone, and if no window is left.
    """

    listed: WindowList = field(kw_only=True)

    def __post_init__(self) -> None:
        put = object.__setattr__
        zone = parse_timezone(self.timezone, self.expression)
        put(self, "timezone", zone.name)
        put(self, "_zone", zone)
        put(self, "cron", "")
        put(self, "minutes", ())
        for name in ("covers_every_hour", "every_day", "once_a_day"):
            put(self, name, False)
        put(self, "start", self._instant(self.start))
        if self.end is not None:
            put(self, "end", self._instant(self.end))
        if next(self.windows(), None) is None:
            raise ScheduleRefused(
                self.expression,
                self.timezone,
                "its list has no window between its start and end",
                _EXPORT_AGAIN,
            )

    @classmethod
    def listing(
        cls,
        listed: WindowList,
        timezone: str,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
    ) -> Self:
        """Bounds as `Schedule.of` takes them."""
        first = start or listed.since
        # The constructor converts these types too and refuses the rest.
        what = "ticks" if listed.of_ticks else "windows"
        return cls(f"{what} listed by Airflow", timezone, first, end, listed=listed)  # type: ignore[arg-type]  # see above

    def __str__(self) -> str:
        return f"{len(self.listed.windows)} {self.expression} to {instant_text(self.listed.until)}"

    @property
    def known_until(self) -> pendulum.DateTime | None:
        return None if self.end is not None and self.end < self.listed.until else self.listed.until

    def recurs_like(self, other: Recurring[Scheduled]) -> bool:
        return (
            isinstance(other, ListedSchedule)
            and self.timezone == other.timezone
            and (self.listed is other.listed or self.listed == other.listed)
        )

    def bounded(self, start: pendulum.DateTime, end: pendulum.DateTime | None) -> Self:
        return type(self)(self.expression, self.timezone, start, end, listed=self.listed)

    def next_boundary(self, instant: datetime) -> pendulum.DateTime:
        """The next start of a window; a day after `instant` if none is known."""
        starts, at = self.listed.starts, utc(instant)
        place = bisect_right(starts, at)
        return starts[place] if place < len(starts) else at.add(days=1)

    def prev_boundary(self, instant: datetime) -> pendulum.DateTime:
        """The last start of a window before `instant`; a day before `instant` if none is known."""
        starts, at = self.listed.starts, utc(instant)
        place = bisect_left(starts, at)
        return starts[place - 1] if place else at.subtract(days=1)

    def align_to_next(self, instant: datetime) -> pendulum.DateTime:
        at = utc(instant)
        return at if at in self._starts_at(at) else self.next_boundary(at)

    def align_to_prev(self, instant: datetime) -> pendulum.DateTime:
        at = utc(instant)
        return at if at in self._starts_at(at) else self.prev_boundary(at)

    def _starts_at(self, at: pendulum.DateTime) -> tuple[pendulum.DateTime, ...]:
        place = bisect_left(self.listed.starts, at)
        return self.listed.starts[place : place + 1]

    def window_from(self, start: datetime) -> Scheduled:
        place = bisect_left(self.listed.starts, utc(start))
        if self.listed.starts[place : place + 1] != (utc(start),):
            raise self._untold(f"has no window that starts at {instant_text(start)}")
        return self.listed.windows[place]

    def following(self, window: Scheduled) -> Scheduled:
        place = bisect_right(self.listed.starts, window.start)
        if place == len(self.listed.windows):
            raise self._untold(f"does not say what comes after {window}")
        return self.listed.windows[place]

    def windows(self, from_: datetime | None = None, until: datetime | None = None) -> Iterator[Scheduled]:
        earliest = self.start if from_ is None else max(self.start, utc(from_))
        first = bisect_left(self.listed.starts, earliest)
        for window in self.listed.windows[first:]:
            if (until is not None and window.start >= until) or (
                self.end is not None and window.start > self.end
            ):
                return
            yield window

    def ending_after(self, instant: datetime) -> Iterator[Scheduled]:
        """All of them, because a long window that ends after `instant` may begin many windows earlier."""
        place = bisect_right(self.listed.ends, utc(instant))
        return filter(self.is_in_bounds, self.listed.windows[place:])

    def ended_by(self, instant: datetime) -> Iterator[Scheduled]:
        place = bisect_right(self.listed.ends, utc(instant))
        return filter(self.is_in_bounds, reversed(self.listed.windows[:place]))

    def first_window(self) -> Scheduled:
        return next(self.windows())

    def _untold(self, what: str) -> ScheduleRefused:
        return ScheduleRefused(self.expression, self.timezone, f"the list {what}", _EXPORT_AGAIN)
