"""Time zones by name: IANA zones and fixed offsets, both of which an Airflow DAG may have."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pendulum

from dagster_defs.windows.window import utc

__all__ = ["canonical_zone", "iana_zone", "zone_named"]

Zone = pendulum.Timezone | pendulum.FixedTimezone

_UTC = re.compile(r"Z|tzutc\(\)|datetime\.timezone\.utc|(UTC|GMT)?[+-]00:?00(:?00)?", re.IGNORECASE)
_OFFSET = re.compile(
    r"(?:UTC|GMT)?(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>[0-5]\d)(?::?(?P<seconds>[0-5]\d))?"
)
# How pendulum and dateutil (in seconds) and pytz (in minutes) write a fixed offset without a name.
_IN_SECONDS = re.compile(r"(?:FixedTimezone|tzoffset)\((?:[^,()]*,\s*)?(?P<seconds>-?\d+)(?:,[^()]*)?\)")
_IN_MINUTES = re.compile(r"pytz\.FixedOffset\((?P<minutes>-?\d+)\)")
_LONGEST = timedelta(hours=24)

# Places whose offset is not a whole number of hours; whether it is constant is checked for the years in question.
_PLACES = {
    -570: "Pacific/Marquesas",
    210: "Asia/Tehran",
    270: "Asia/Kabul",
    330: "Asia/Kolkata",
    345: "Asia/Kathmandu",
    390: "Asia/Yangon",
    525: "Australia/Eucla",
    570: "Australia/Darwin",
}


def canonical_zone(name: str) -> str:
    """The canonical spelling of a zone: `UTC`, `+05:30`, or the IANA name as it is.

    `+00:00`, `UTC+05:30`, `tzutc()` and other names that Airflow, pendulum, dateutil and pytz give to a fixed offset
    are rewritten; any other name is returned unchanged.
    """
    offset = _fixed_offset(name)
    return name if offset is None else _written(offset)


def zone_named(name: str) -> Zone:
    """Raises ValueError for a name that is neither an IANA zone nor an offset of less than a day."""
    offset = _fixed_offset(name)
    if offset is None:
        try:
            return pendulum.timezone(name)
        except (ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {name!r}") from error
    if not offset:
        return pendulum.UTC
    return pendulum.FixedTimezone(int(offset.total_seconds()), name=_written(offset))


def iana_zone(zone: Zone, start: datetime, until: datetime) -> str | None:
    """The name of an IANA zone that has the same offset as `zone` from `start` to `until`; None if there is none.

    Dagster's partitions accept IANA names only. For whole hours that is `Etc/GMT-2` (which means +02:00); for any other
    offset it is a place that has it, checked for these years.
    """
    if not isinstance(zone, pendulum.FixedTimezone):
        return zone.name
    hours, rest = divmod(zone.offset, 3600)
    if not rest:
        # POSIX counts westwards; the zones range from -12:00 to +14:00.
        return f"Etc/GMT{-hours:+d}" if -12 <= hours <= 14 else None
    place = _PLACES.get(zone.offset // 60) if zone.offset % 60 == 0 else None
    if place is None or not _keeps(pendulum.timezone(place), zone.offset, start, until):
        return None
    return place


def _keeps(place: pendulum.Timezone, offset: int, start: datetime, until: datetime) -> bool:
    """Samples every six days: no place changes its clock and changes it back within a week."""
    # From where Dagster searches for the first boundary to where Airflow's last window ends.
    at, last = utc(start).subtract(days=400), utc(until).add(days=400)
    while at < last:
        if at.astimezone(place).utcoffset() != timedelta(seconds=offset):
            return False
        at = at.add(days=6)
    return True


def _fixed_offset(name: str) -> timedelta | None:
    text = name.strip()
    if _UTC.fullmatch(text):
        return timedelta()
    if match := _OFFSET.fullmatch(text):
        parts = {unit: int(match[unit] or 0) for unit in ("hours", "minutes", "seconds")}
        offset = timedelta(**parts) * (-1 if match["sign"] == "-" else 1)
    elif match := _IN_SECONDS.fullmatch(text):
        offset = timedelta(seconds=int(match["seconds"]))
    elif match := _IN_MINUTES.fullmatch(text):
        offset = timedelta(minutes=int(match["minutes"]))
    else:
        return None
    return offset if abs(offset) < _LONGEST else None


def _written(offset: timedelta) -> str:
    if not offset:
        return "UTC"
    minutes, seconds = divmod(int(abs(offset).total_seconds()), 60)
    sign = "-" if offset < timedelta() else "+"
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")
