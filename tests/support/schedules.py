"""Schedules for hypothesis to draw: crons, presets and deltas, in zones with odd clocks, near their changes.

What is drawn revolves around an *eventful minute*: a wall-clock time that a clock change of the zone skips or
repeats. Starts and ends lie around it, and half of the crons fire at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from dagster_defs.windows import PRESETS
from tests.support.timetables import Case, Kind

# Half-hour saving, offsets with parts of an hour, changes at midnight, two changes in a month, a saving of
# two hours, negative saving, a day that was left out, offsets that moved for good; and plain zones.
ZONES = (
    "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns", "Asia/Kolkata",
    "Australia/Adelaide", "Pacific/Apia", "Africa/Casablanca", "America/Caracas", "Asia/Pyongyang",
    "Africa/Cairo", "Europe/Dublin", "America/Nuuk", "Antarctica/Troll", "Pacific/Kiritimati",
    "Asia/Beirut", "America/Santiago", "America/Havana", "Asia/Tehran", "Europe/Istanbul", "Asia/Amman",
    "America/New_York", "Europe/Berlin", "Europe/London", "Asia/Tokyo", "UTC",
)  # fmt: skip
FIRST, LAST = datetime(2013, 1, 1, tzinfo=timezone.utc), datetime(2028, 1, 1, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Change:
    """A clock change: the UTC offset before `at` and from then on."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def eventful(self) -> tuple[datetime, int]:
        """The first wall-clock minute that is skipped or repeated, and how many there are."""
        first = (self.at + min(self.before, self.after)).replace(tzinfo=None)
        return first, abs(self.after - self.before) // MINUTE


def offset(zone: str, at: datetime) -> timedelta:
    return at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()


@cache
def changes(zone: str, first: datetime = FIRST, last: datetime = LAST) -> tuple[Change, ...]:
    """The clock changes between two instants, to the minute."""
    changed = []
    while first < last:
        low, high = first, min(first + timedelta(days=1), last)
        before, after = offset(zone, low), offset(zone, high)
        first = high
        if before == after:
            continue
        while high - low > MINUTE:
            middle = low + (high - low) // MINUTE // 2 * MINUTE
            low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
        changed.append(Change(high, before, after))
    return tuple(changed)


@st.composite
def eventful_minutes(draw: st.DrawFn, zone: str) -> datetime:
    """A wall-clock minute inside a gap or a fold of the zone; any minute if its clock never changes."""
    known = changes(zone)
    if not known:
        return draw(st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None))).replace(
            second=0, microsecond=0
        )
    first, length = draw(st.sampled_from(known)).eventful
    return first + draw(st.integers(0, length - 1)) * MINUTE


def lists_of(values: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=2, max_size=3, unique=True).map(
        lambda values: ",".join(map(str, sorted(values)))
    )


@st.composite
def ranges(draw: st.DrawFn, low: int, high: int) -> str:
    first = draw(st.integers(low, high - 1))
    last = draw(st.integers(first + 1, high))
    return f"{first}-{last}" + draw(st.sampled_from(["", "", "/2", "/3"]))


def fields(low: int, high: int, steps: list[int], likely: int) -> st.SearchStrategy[str]:
    """Any spelling of a cron field from `low` to `high`; `likely` is often among its values."""
    value = st.just(likely) | st.integers(low, high)
    return st.one_of(
        value.map(str),
        lists_of(value),
        ranges(low, high),
        st.sampled_from(steps).map("*/{}".format),
        st.builds("{}-{}".format, st.just(low), st.just(high)),
    )


def mostly_any(field: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 3).flatmap(lambda chance: field if chance == 0 else st.just("*"))


@st.composite
def crons(draw: st.DrawFn, eventful: datetime) -> str:
    """Five fields; as often as not, the time of day is the eventful minute's."""
    times = st.one_of(
        st.just(f"{eventful.minute} {eventful.hour}"),
        st.builds("{} {}".format, fields(0, 59, [15, 30, 7], eventful.minute), st.just(eventful.hour)),
        st.builds("{} *".format, fields(0, 59, [10, 15, 30], eventful.minute)),
        st.builds(
            "{} {}".format,
            fields(0, 59, [20, 30], eventful.minute),
            fields(0, 23, [1, 2, 3, 5, 6], eventful.hour),
        ),
    )
    weekday = eventful.isoweekday()
    days = mostly_any(fields(1, 31, [1, 2, 10], eventful.day) | st.just("L"))
    months = mostly_any(fields(1, 12, [1, 2, 3], eventful.month) | st.just("JAN,MAR-APR,SEP-NOV"))
    weekdays = mostly_any(
        fields(0, 7, [1, 2, 3], weekday)
        | st.sampled_from(["MON-FRI", "SUN", "SAT,SUN", f"{weekday % 7}#1", f"L{weekday % 7}"])
    )
    return f"{draw(times)} {draw(days)} {draw(months)} {draw(weekdays)}"


# Steps of minutes, hours and days: some that a cron can express, some that none can, and some off the minute.
DELTAS = st.one_of(
    st.sampled_from([1, 5, 7, 12, 15, 20, 30, 40, 45, 60, 90]).map(lambda minutes: minutes * 60),
    st.sampled_from([2, 3, 4, 5, 6, 7, 8, 12, 18, 24, 36]).map(lambda hours: hours * 3600),
    st.sampled_from([1, 2, 7, 14, 28]).map(lambda days: days * 86400),
    st.sampled_from([-3600, 0, 30, 61, 90, 5400, 86399, 100_000]),
)


KINDS = (Kind.CRON, Kind.CRON, Kind.CRON, Kind.PRESET, Kind.DELTA)


@st.composite
def cases(
    draw: st.DrawFn,
    kinds: tuple[Kind, ...] = KINDS,
    most: int = 60,
    longest_lead: timedelta = timedelta(days=40),
) -> Case:
    """A schedule whose start, and sometimes whose end, is near an eventful minute of its zone."""
    zone = draw(st.sampled_from(ZONES))
    eventful = draw(eventful_minutes(zone))
    kind = draw(st.sampled_from(kinds))
    schedule: str | int
    match kind:
        case Kind.CRON:
            schedule = draw(crons(eventful))
        case Kind.PRESET:
            schedule = draw(st.sampled_from(sorted(PRESETS)))
        case Kind.DELTA:
            schedule = draw(DELTAS)
    start = eventful - draw(leads(longest_lead))
    end = draw(st.none() | st.sampled_from([2, 14, 400]).flatmap(lambda days: st.integers(0, days * 1440)))
    return Case(
        kind,
        schedule,
        zone,
        start.isoformat(),
        None if end is None else (start + end * MINUTE).isoformat(),
        most,
    )


def leads(longest: timedelta) -> st.SearchStrategy[timedelta]:
    """How long before the eventful minute a schedule starts: hours for dense ones, days for sparse ones,
    sometimes a little after it, rarely off the minute."""
    minutes = st.one_of([st.integers(-90, most) for most in (300, 3000, 40 * 1440)])
    lead = minutes.map(lambda minutes: min(minutes * MINUTE, longest))
    return st.builds(lambda lead, odd: lead - timedelta(seconds=odd), lead, st.sampled_from([0] * 7 + [17]))
