"""The bounds of a window: their order, and which rows of a column they select."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from dagster_defs.errors import UnusableBound
from dagster_defs.older_python import date_of, datetime_of
from dagster_defs.parity.clocks import day_that_begins, instant_of, wall_clock
from dagster_defs.parity.dialects import sql_of
from dagster_defs.parity.families import NUMBERS, ColumnType, Family, parse_type
from dagster_defs.parity.fragments import all_of, any_of, column
from dagster_defs.parity.records import Bound, Column, ComparisonSpec, Dialect, Side, Zones
from dagster_defs.windows import zone_named


def reversed_bounds(lower: Bound | None, upper: Bound | None) -> bool:
    """Whether the end is before the start. Bounds without a common type are left to `window_filter` to refuse."""
    if lower is None or upper is None:
        return False
    start, end = _as_instant(lower), _as_instant(upper)
    if start is not None and end is not None:
        return start > end
    first, last = _as_number(lower), _as_number(upper)
    if first is not None and last is not None:
        return first > last
    return str(lower) > str(upper)


def window_length(lower: Bound | None, upper: Bound | None) -> timedelta | None:
    """None if an end is open or is not an instant."""
    start, end = (None if bound is None else _as_instant(bound) for bound in (lower, upper))
    return None if start is None or end is None else end - start


def window_filter(spec: ComparisonSpec, time: Column, kind: ColumnType, dialect: Dialect) -> exp.Expr:
    """`time >= lower and time < upper` for one side's column, the column bare so that its statistics help.
    Raises UnusableBound if a bound is not a value of such a column, or would split one of its values: the day of a
    DATE, or the hour that the clocks of a naive column's zone show twice.
    """
    value = column(time.name)
    terms: list[exp.Expr] = []
    if spec.lower is not None:
        terms.append(exp.GTE(this=value, expression=_literal(spec, spec.lower, time, kind, dialect)))
    if spec.upper is not None:
        terms.append(exp.LT(this=value.copy(), expression=_literal(spec, spec.upper, time, kind, dialect)))
    return all_of(*terms)


def instant_filter(
    spans: Iterable[tuple[datetime, datetime]], time: Column, kind: ColumnType, dialect: Dialect
) -> exp.Expr:
    """Rows whose time is in one of the half-open spans (naive, in UTC), also stated on the bare column."""
    return any_of(
        *(
            all_of(
                exp.GTE(this=column(time.name), expression=sql_of(dialect).instant_literal(start, kind)),
                exp.LT(this=column(time.name), expression=sql_of(dialect).instant_literal(end, kind)),
            )
            for start, end in spans
        )
    )


def refuse_uneven_bounds(spec: ComparisonSpec, times: Mapping[Side, Column]) -> None:
    """Raises UnusableBound if one side has a DATE and the other times, and a bound would not split both at the same
    point.

    A date equals the UTC midnight that begins it; equal rows must be in the same windows.
    """
    kinds = {side: parse_type(time.type) for side, time in times.items()}
    dates = [side for side, kind in kinds.items() if kind.is_date]
    others = [side for side, kind in kinds.items() if kind.family is Family.INSTANT and not kind.is_date]
    if len(dates) != 1 or len(others) != 1:
        return
    [dated], [timed] = dates, others
    for bound in (spec.lower, spec.upper):
        if bound is None:
            continue
        day, instant = (
            bounding_value(spec.zones, bound, is_date=side is dated, zoned=kinds[side].zoned)
            for side in (dated, timed)
        )
        if isinstance(day, datetime) and isinstance(instant, datetime) and day != instant:
            why = (
                f"it is a DATE in {dated} and {times[timed].type} in {timed}, and the bound would split the two at "
                f"different times ({day} and {instant}). Declare the zone that both are in (naive_zone)"
            )
            raise UnusableBound(spec.name, str(bound), times[dated].name, times[dated].type, why)


def _literal(
    spec: ComparisonSpec, bound: Bound, time: Column, kind: ColumnType, dialect: Dialect
) -> exp.Expr:
    if kind.family is Family.INSTANT:
        try:
            instant = bounding_value(spec.zones, bound, is_date=kind.is_date, zoned=kind.zoned)
        except ValueError as error:
            raise UnusableBound(spec.name, str(bound), time.name, time.type, str(error)) from error
        if instant is not None:
            return sql_of(dialect).instant_literal(instant, kind)
    elif kind.family in NUMBERS:
        number = _as_number(bound)
        if number is not None:
            return exp.Literal.number(f"{number:f}")
    elif kind.family is Family.TEXT and isinstance(bound, str):
        return sql_of(dialect).text_bound(bound)
    raise UnusableBound(spec.name, str(bound), time.name, time.type)


def bounding_value(zones: Zones, bound: Bound, *, is_date: bool, zoned: bool) -> datetime | None:
    """What a column of that kind is compared with: a naive time in the column's own frame, UTC for a zoned one.

    A day is its midnight. None for a bound that is not a time. Raises ValueError if the bound would split a value, or
    is a local time that occurs twice or never.
    """
    moment = _as_moment(bound)
    if moment is None:
        return None
    naive = zone_named(zones.naive) if zones.naive is not None else None
    own = zone_named(zones.bound) if zones.bound is not None else None
    try:
        if own is not None and _has_no_offset(moment):
            moment = instant_of(moment, own)
        if zoned:
            return _in_utc(instant_of(moment, naive or timezone.utc) if _has_no_offset(moment) else moment)
        if not isinstance(moment, datetime):
            return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - as the column has it
        if not is_date:
            return moment if _has_no_offset(moment) else wall_clock(moment, naive or timezone.utc)
        if _has_no_offset(moment):
            day = moment.date() if moment.time() == datetime.min.time() else None
            where = ""
        else:
            window = zone_named(zones.window) if zones.window is not None else None
            day = day_that_begins(moment, naive or window)
            where = f" of {naive or window}" if naive or window else ""
    except OverflowError:  # year 1 or 9999 at the edge of a zone
        return None
    if day is None:
        raise ValueError(
            f"it lies inside a day{where}, but a DATE has no time of day. Use whole days as bounds, or declare the "
            "zone whose days the dates are (naive_zone)"
        )
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - as the column has it


def _as_moment(bound: Bound) -> datetime | date | None:
    """Text without a time of day is a day."""
    if isinstance(bound, str):
        for read in (date_of, datetime_of):
            try:
                return read(bound)
            except ValueError:
                continue
        return None
    return bound if isinstance(bound, date) else None


def _has_no_offset(moment: datetime | date) -> bool:
    return not isinstance(moment, datetime) or moment.utcoffset() is None


def _in_utc(instant: datetime | date) -> datetime:
    assert isinstance(instant, datetime)  # noqa: S101 - a day has become an instant
    return instant.astimezone(timezone.utc).replace(tzinfo=None)


def _as_instant(bound: Bound) -> datetime | None:
    """Naive, in UTC."""
    if isinstance(bound, str):
        try:
            bound = datetime_of(bound)
        except ValueError:
            return None
    if isinstance(bound, datetime):
        try:
            return bound.astimezone(timezone.utc).replace(tzinfo=None) if bound.tzinfo else bound
        except OverflowError:  # year 1 or 9999 at the edge of a zone
            return None
    if isinstance(bound, date):
        return datetime(bound.year, bound.month, bound.day)  # noqa: DTZ001 - naive means UTC here
    return None


def _as_number(bound: Bound) -> Decimal | None:
    if isinstance(bound, int | str):
        try:
            number = Decimal(bound)
        except InvalidOperation:
            return None
        return number if number.is_finite() else None
    return None
