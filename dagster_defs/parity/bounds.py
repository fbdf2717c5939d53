"""The bounds of a window: in which order they stand, and what they say about one column's rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from dagster_defs.errors import UnusableBound
from dagster_defs.parity.families import NUMBERS, ColumnType, Family
from dagster_defs.parity.fragments import all_of, any_of, cast, column
from dagster_defs.parity.records import Bound, Column, ComparisonSpec, Dialect

# A timestamp in nanoseconds lies between these; a bound beyond them is one of them.
_FIRST_NANOSECOND = datetime(1677, 9, 21, 0, 12, 43, 145225)  # noqa: DTZ001 - naive means UTC here
_LAST_NANOSECOND = datetime(2262, 4, 11, 23, 47, 16, 854775)  # noqa: DTZ001 - naive means UTC here


def reversed_bounds(lower: Bound | None, upper: Bound | None) -> bool:
    """Is the end before the start? Bounds that no one type holds are left to `window_filter` to refuse."""
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
    """None where an end is open or is no instant."""
    start, end = (None if bound is None else _as_instant(bound) for bound in (lower, upper))
    return None if start is None or end is None else end - start


def window_filter(spec: ComparisonSpec, time: Column, kind: ColumnType, dialect: Dialect) -> exp.Expr:
    """`time >= lower and time < upper` for one side's column, the column bare so that its statistics help.

    Raises UnusableBound where a bound is no value of such a column.
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
    """Rows of which the time is in one of the half-open spans (naive, in UTC), by the bare column as well."""
    return any_of(
        *(
            all_of(
                exp.GTE(this=column(time.name), expression=_instant_literal(start, kind, dialect)),
                exp.LT(this=column(time.name), expression=_instant_literal(end, kind, dialect)),
            )
            for start, end in spans
        )
    )


def _literal(
    spec: ComparisonSpec, bound: Bound, time: Column, kind: ColumnType, dialect: Dialect
) -> exp.Expr:
    if kind.family is Family.INSTANT:
        instant = _as_instant(bound)
        if instant is not None:
            return _instant_literal(instant, kind, dialect)
    elif kind.family in NUMBERS:
        number = _as_number(bound)
        if number is not None:
            return exp.Literal.number(f"{number:f}")
    elif kind.family is Family.TEXT and isinstance(bound, str):
        return exp.Literal.string(bound)
    raise UnusableBound(spec.name, str(bound), time.name, time.type)


def _instant_literal(instant: datetime, kind: ColumnType, dialect: Dialect) -> exp.Expr:
    if kind.is_date:
        # `day >= bound` and `day < bound` both stay the same when the bound moves up to the next midnight.
        day = instant.date()
        if instant.time() != datetime.min.time():
            # The year 10000 is past what Python can write; the last day itself is then the bound.
            day = day + timedelta(days=1) if day < date.max else day
        return cast(exp.Literal.string(day.isoformat()), "date")
    precise = kind.fraction == 9 and not kind.zoned and dialect is Dialect.DUCKDB
    if precise:
        instant = min(max(instant, _FIRST_NANOSECOND), _LAST_NANOSECOND)
    text = instant.isoformat(sep=" ")
    if kind.zoned:
        return cast(exp.Literal.string(f"{text}+00:00"), "timestamptz")
    return cast(exp.Literal.string(text), "timestamp_ns" if precise else "timestamp_ntz")


def _as_instant(bound: Bound) -> datetime | None:
    """Naive, in UTC."""
    if isinstance(bound, str):
        try:
            bound = datetime.fromisoformat(bound)
        except ValueError:
            return None
    if isinstance(bound, datetime):
        try:
            return bound.astimezone(UTC).replace(tzinfo=None) if bound.tzinfo else bound
        except OverflowError:  # the year 1 or 9999 at the edge of a zone
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
