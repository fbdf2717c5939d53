"""Time zones by their names: IANA's, and offsets that never change, which an Airflow DAG may have too."""

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
# How pendulum, dateutil and pytz write such a zone where it has no name: in seconds, pytz in minutes.
_IN_SECONDS = re.compile(r"(?:FixedTimezone|tzoffset)\((?:[^,()]*,\s*)?(?P<seconds>-?\d+)(?:,[^()]*)?\)")
_IN_MINUTES = re.compile(r"pytz\.FixedOffset\((?P<minutes>-?\d+)\)")
_LONGEST = timedelta(hours=24)

# Zones of places that keep an offset which is no whole hour; whether they do is looked up for the years in question.
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
    """The one way in which a zone is written here: `UTC`, `+05:30`, or the IANA name as it is.

    `+00:00`, `UTC+05:30`, `tzutc()` and what else Airflow, pendulum, dateutil and pytz call a fixed offset are
    rewritten; a name that is none of these is returned as it stands.
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
            raise ValueError(f"there is no time zone {name!r}") from error
    if not offset:
        return pendulum.UTC
    return pendulum.FixedTimezone(int(offset.total_seconds()), name=_written(offset))


def iana_zone(zone: Zone, start: datetime, until: datetime) -> str | None:
    """The name of an IANA zone whose clock is this zone's from `start` to `until`; None if there is none.

    Dagster's partitions take IANA names only. For whole hours that is `Etc/GMT-2` (which means +02:00); another offset
    has only the zones of places that keep it, and each of them is examined for these years.
    """
    if not isinstance(zone, pendulum.FixedTimezone):
        return zone.name
    hours, rest = divmod(zone.offset, 3600)
    if not rest:
        # POSIX counts westwards; the zones end at -12:00 and +14:00.
        return f"Etc/GMT{-hours:+d}" if -12 <= hours <= 14 else None
    place = _PLACES.get(zone.offset // 60) if zone.offset % 60 == 0 else None
    if place is None or not _keeps(pendulum.timezone(place), zone.offset, start, until):
        return None
    return place


def _keeps(place: pendulum.Timezone, offset: int, start: datetime, until: datetime) -> bool:
    """No place changes its clock and changes it back within a week."""
    # From where Dagster looks for the first boundary to where Airflow's last window ends.
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
    if found := _OFFSET.fullmatch(text):
        parts = {unit: int(found[unit] or 0) for unit in ("hours", "minutes", "seconds")}
        offset = timedelta(**parts) * (-1 if found["sign"] == "-" else 1)
    elif found := _IN_SECONDS.fullmatch(text):
        offset = timedelta(seconds=int(found["seconds"]))
    elif found := _IN_MINUTES.fullmatch(text):
        offset = timedelta(minutes=int(found["minutes"]))
    else:
        return None
    return offset if abs(offset) < _LONGEST else None


def _written(offset: timedelta) -> str:
    if not offset:
        return "UTC"
    minutes, seconds = divmod(int(abs(offset).total_seconds()), 60)
    sign = "-" if offset < timedelta() else "+"
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")
