"""Which period of time a unit's window variables name, decided by comparing the values that Airflow rendered with the
windows for which they were rendered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any

from dagster_defs.older_python import StrEnum, date_of, datetime_of
from dagster_defs.windows import zone_named
from dagster_defs.windows.values import as_text


class Convention(StrEnum):
    HALF_OPEN = "half-open"
    INCLUSIVE_DAY = "inclusive-day"
    PREVIOUS_DAY = "previous-day"
    EVENT_TIME = "event-time"
    ENV_ONLY = "env-only"
    IRREGULAR = "irregular"
    NONE = "none"
    UNDETERMINED = "undetermined"


class Carrier(StrEnum):
    """What carries the window to dbt, in order of precedence."""

    EVENT_TIME = "event-time"
    VARS = "vars"
    ENV = "env"


@dataclass(frozen=True, slots=True)
class Interval:
    """A sampled data interval; `start` may equal `end`."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: str, end: str) -> Interval:
        return cls(datetime_of(start), datetime_of(end))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that may be a bound of the window: its template text, and its value for each interval."""

    name: str
    text: str
    carrier: Carrier
    values: tuple[tuple[Interval, Any], ...]
    determined: bool = True
    reason: str = ""

    @property
    def moments(self) -> list[date | datetime] | None:
        """The values as dates or instants; None if any of them is neither."""
        read = [_moment(value) for _, value in self.values]
        return [moment for moment in read if moment is not None] if None not in read and read else None


@dataclass(frozen=True, slots=True)
class NamedWindow:
    """`start` and `end` are template text; `utc_date`: a bound is the UTC date although the local date differs;
    `shape`: what the values mean if the convention only names their carrier; `ends_exclusive`: the upper bound lies
    beyond the last day that is meant."""

    convention: Convention
    start: str | None = None
    end: str | None = None
    carrier: Carrier | None = None
    start_name: str | None = None
    end_name: str | None = None
    utc_date: bool = False
    reason: str = ""
    shape: Convention | None = None

    @property
    def ends_exclusive(self) -> bool:
        return self.shape in (Convention.HALF_OPEN, Convention.PREVIOUS_DAY) and self.start != self.end


_LOWER = frozenset({"start", "from", "min", "begin", "lower", "since", "after", "low", "first", "gte"})
_UPPER = frozenset(
    {"end", "to", "max", "until", "till", "upper", "before", "thru", "through", "high", "stop", "last", "lt"}
)
_DAY = timedelta(days=1)

# An edge of the window, a distance from it in days, and the zone in which that holds.
Relation = tuple[str, int, str]


def looks_like_bound(name: str) -> bool:
    return _is_named(name, _LOWER) or _is_named(name, _UPPER)


def name_window(candidates: Sequence[Candidate], zone: str) -> NamedWindow:
    """The convention of the carrier with the highest precedence. Candidates are only values that may name a window."""
    for carrier in Carrier:
        mine = [candidate for candidate in candidates if candidate.carrier is carrier]
        if mine:
            return _name(mine, carrier, zone_named(zone))
    return NamedWindow(Convention.NONE)


def _name(candidates: Sequence[Candidate], carrier: Carrier, zone: tzinfo) -> NamedWindow:
    lower, upper = _bounds([c for c in candidates if c.determined and c.moments])
    unknown = [c for c in candidates if not c.determined]
    if unknown and (lower is None or upper is None or lower == upper or any(map(_bounding, unknown))):
        ends = _bounds(candidates)
        return NamedWindow(
            Convention.UNDETERMINED,
            ends[0].text if ends[0] else None,
            ends[1].text if ends[1] else None,
            carrier,
            reason=unknown[0].reason,
        )
    if lower is None or upper is None:
        first, last = (bound or candidates[0] for bound in _bounds(candidates))
        return NamedWindow(Convention.IRREGULAR, first.text, last.text, carrier, first.name, last.name)
    convention = {Carrier.EVENT_TIME: Convention.EVENT_TIME, Carrier.ENV: Convention.ENV_ONLY}.get(carrier)
    alone = lower == upper
    shape = _compare(lower, upper, zone)
    return NamedWindow(
        convention or shape,
        lower.text,
        None if alone and carrier is not Carrier.VARS else upper.text,
        carrier,
        lower.name,
        upper.name,
        _is_utc_date(lower, "start", zone) or _is_utc_date(upper, "end", zone),
        shape=None if alone and carrier is not Carrier.VARS else shape,
    )


def _bounding(candidate: Candidate) -> bool:
    return looks_like_bound(candidate.name)


def _bounds(candidates: Sequence[Candidate]) -> tuple[Candidate | None, Candidate | None]:
    """The lower and the upper bound: by name, then by value; a single candidate is both."""
    if not candidates:
        return None, None
    lower = next((c for c in candidates if _is_named(c.name, _LOWER)), None)
    upper = next((c for c in candidates if _is_named(c.name, _UPPER) and c is not lower), None)
    left = [c for c in candidates if c is not lower and c is not upper]
    if lower is None and upper is None:
        ordered = sorted(left, key=lambda c: [as_text(value) for _, value in c.values])
        return ordered[0], ordered[-1]
    if lower is None:
        lower = left[0] if left else upper
    if upper is None:
        upper = left[0] if left else lower
    return lower, upper


def _compare(lower: Candidate, upper: Candidate, zone: tzinfo) -> Convention:
    low, high = _relations(lower, zone), _relations(upper, zone)
    lows, highs = lower.moments or [], upper.moments or []
    same = [as_text(a) for a in lows] == [as_text(b) for b in highs]
    crossing = not same and any(as_text(a) == as_text(b) for a, b in zip(lows, highs, strict=False))
    intervals = [interval for interval, _ in lower.values]
    empty = all(interval.start == interval.end for interval in intervals)
    short = not empty and any(i.end - i.start < timedelta(hours=20) for i in intervals)
    dates = not any(isinstance(moment, datetime) for moment in lows)
    if not same and not empty and not (crossing and dates) and _has(low, "start", 0) and _has(high, "end", 0):
        return Convention.HALF_OPEN
    if short and dates:
        return Convention.IRREGULAR  # a whole day for each window, although windows are shorter than a day
    if _has(low, "start", 0) and dates and (same or _has(high, "end", -1)):
        return Convention.INCLUSIVE_DAY
    if _has(low, "start", 0) and not empty and _has(high, "end", -1):
        return Convention.INCLUSIVE_DAY  # up to 23:59:59
    if _has(low, "start", -1) and (_has(high, "start", 0) or same):
        return Convention.PREVIOUS_DAY
    return Convention.IRREGULAR


def _has(relations: frozenset[Relation], edge: str, days: int) -> bool:
    return any(relation[:2] == (edge, days) for relation in relations)


def _relations(candidate: Candidate, zone: tzinfo) -> frozenset[Relation]:
    """The relations between a bound and the window that hold in every sample."""
    each = [
        frozenset(_relate(moment, interval, zone))
        for (interval, _), moment in zip(candidate.values, candidate.moments or [], strict=False)
    ]
    return frozenset.intersection(*each) if each else frozenset()


def _relate(moment: date | datetime, interval: Interval, zone: tzinfo) -> set[Relation]:
    relations: set[Relation] = set()
    for name, instant in (("start", interval.start), ("end", interval.end)):
        for where, clock in (("UTC", timezone.utc), ("local", zone)):
            local = instant.astimezone(clock)
            if isinstance(moment, datetime):
                if moment.tzinfo is not None:
                    away = moment.astimezone(clock).replace(tzinfo=None) - local.replace(tzinfo=None)
                else:
                    away = moment - local.replace(tzinfo=None)
                if away % _DAY == timedelta(0):
                    relations.add((name, away // _DAY, where))
                if name == "end" and -timedelta(seconds=1) <= away < timedelta(0):
                    relations.add(("end", -1, where))
                if moment.time() == datetime.min.time():
                    relations.add((name, (moment.date() - local.date()).days, where))
            else:
                relations.add((name, (moment - local.date()).days, where))
    return relations


def _is_utc_date(candidate: Candidate, edge: str, zone: tzinfo) -> bool:
    """A date that is nearer to the edge's UTC date than to its local date."""
    if any(isinstance(moment, datetime) for moment in candidate.moments or []):
        return False
    relations = _relations(candidate, zone)
    if not _has(relations, edge, 0):
        edge = "start"  # an upper bound that names the window's first day: both bounds of a single day

    def away(where: str) -> int | None:
        days = [abs(days) for name, days, zone_name in relations if (name, zone_name) == (edge, where)]
        return min(days, default=None)

    in_utc, in_local = away("UTC"), away("local")
    return in_utc is not None and (in_local is None or in_utc < in_local)


def _is_named(name: str, words: frozenset[str]) -> bool:
    parts = set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_").split("_"))
    return not parts.isdisjoint(words)


def _moment(value: Any) -> date | datetime | None:
    if isinstance(value, date):
        return value
    text = str(value).strip()
    for read in (_compact_date, _epoch, date_of, datetime_of):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _epoch(text: str) -> datetime:
    """Seconds or milliseconds since 1970, for years from 2001 on."""
    if len(text) not in (10, 13) or not text.isdigit():
        raise ValueError(text)
    return datetime.fromtimestamp(int(text[:10]), timezone.utc)


def _compact_date(text: str) -> date:
    if len(text) != 8 or not text.isdigit():
        raise ValueError(text)
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
