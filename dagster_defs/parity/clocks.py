"""What a time zone's wall clock shows, and when it shows the same time twice or skips an hour."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone, tzinfo

_TICK = timedelta(microseconds=1)


def instant_of(local: datetime | date, zone: tzinfo) -> datetime:
    """The instant at which a clock in the zone shows a local time, in that zone; for a date, its first instant.

    Raises ValueError for a time that the clock shows twice or never, because it does not identify an instant.
    """
    if not isinstance(local, datetime):
        return _first_instant(local, zone)
    earlier, later = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if earlier.utcoffset() == later.utcoffset():
        return earlier
    if _shown(earlier, zone) != local:
        raise ValueError(f"clocks of {zone} never show {local}: they are put forward past it")
    raise ValueError(f"clocks of {zone} show {local} twice: write its offset")


def wall_clock(instant: datetime, zone: tzinfo) -> datetime:
    """What a clock in the zone shows at that instant.

    Raises ValueError if the clock later shows a time that it has already shown: times of a naive column before and
    after such an instant cannot be distinguished.
    """
    shown = _shown(instant, zone)
    if _is_twice(shown, zone) and (_fold(instant, zone) or _is_twice(shown - _TICK, zone)):
        raise ValueError(
            f"it lies in the time that clocks of {zone} show twice (as {shown}), and the column's values do not say "
            "which of the two they mean"
        )
    return shown


def day_that_begins(instant: datetime, zone: tzinfo | None) -> date | None:
    """The day whose first instant in the zone (None: in the instant's own zone) this is; None if it is inside a day."""
    own = zone or instant.tzinfo or timezone.utc
    today = _shown(instant, own).date()
    return today if _shown(instant.astimezone(timezone.utc) - _TICK, own).date() < today else None


def _first_instant(day: date, zone: tzinfo) -> datetime:
    midnight = datetime.combine(day, time.min)
    first = midnight.replace(tzinfo=zone, fold=0)
    if _shown(first, zone) == midnight:
        return first
    # Clocks are put forward past midnight: with the offset from before, midnight is the instant of the change.
    return first.astimezone(timezone.utc).astimezone(zone)


def _shown(instant: datetime, zone: tzinfo) -> datetime:
    return instant.astimezone(timezone.utc).astimezone(zone).replace(tzinfo=None, fold=0)


def _fold(instant: datetime, zone: tzinfo) -> int:
    return instant.astimezone(timezone.utc).astimezone(zone).fold


def _is_twice(local: datetime, zone: tzinfo) -> bool:
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first is not None and second is not None and first > second
