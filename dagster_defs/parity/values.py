"""The value of a column as SQL, brought to one type for both sides so that equal values are equal in SQL.

What equal means stands in the comparison's rules: by value across types, NULL = NULL, NaN = NaN, -0.0 = 0.0.
DuckDB's and Snowflake's own `is not distinct from` and `group by` already treat NULL, NaN and -0.0 so.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from dagster_defs.parity import nested
from dagster_defs.parity.families import NESTED, NUMBERS, ColumnType, Family, comparable
from dagster_defs.parity.fragments import cast, column, decimal_digits, func, joined, number, try_cast
from dagster_defs.parity.records import Dialect

_MAX_PRECISION = 38
_64_BITS = 18  # decimal digits that DuckDB holds in 64 bits
_UP_TO_BIGINT = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}


def paired_values(
    legacy: tuple[str, ColumnType], candidate: tuple[str, ColumnType], dialect: Dialect
) -> tuple[exp.Expr, exp.Expr]:
    """The two columns (name and type) as expressions of one type whose values are equal iff ours are.

    Equal values are equal to `is not distinct from`, to `group by` and to `hash`; values that differ are so to
    the first two. Nested values are text, because DuckDB hashes a missing list like an empty one.
    """
    (left, left_type), (right, right_type) = legacy, candidate
    return (
        _value(column(left), left_type, right_type, dialect),
        _value(column(right), right_type, left_type, dialect),
    )


def hashable(value: exp.Expr, legacy: ColumnType, candidate: ColumnType, dialect: Dialect) -> exp.Expr:
    """A shared value of two columns of these types in a form whose hash tells it from any other.

    DuckDB folds 128 bits into 64 by an xor of the hashes of both halves: -1 would be 0, and a UUID's halves could
    be swapped. As text they are told apart.
    """
    wide = any(
        kind.name in ("UUID", "HUGEINT", "UHUGEINT")
        or (kind.family is Family.EXACT and kind.digits + kind.scale > _64_BITS)
        for kind in (legacy, candidate)
    )
    both = {legacy.name, candidate.name}
    shared_decimal = max(legacy.digits, candidate.digits) + max(legacy.scale, candidate.scale)
    wide = wide or (len(both) > 1 and shared_decimal > _64_BITS)
    if dialect is not Dialect.DUCKDB or not wide or both <= _UP_TO_BIGINT or both == {"UBIGINT"}:
        return value
    return cast(value, "varchar")


def _value(value: exp.Expr, own: ColumnType, other: ColumnType, dialect: Dialect) -> exp.Expr:
    """One side's value in the form that both sides share."""
    if not comparable(own, other):
        return _foreign(value, own, dialect)
    match own.family:
        case Family.EXACT | Family.BINARY:
            return _number(value, own, other, dialect)
        case Family.INSTANT:
            return _instant(value, own, other, dialect)
        case Family.TEXT:
            return _text(value, own, dialect)
        case Family.INTERVAL:
            return _interval(value)
        case Family.JSON | Family.STRUCT | Family.LIST | Family.MAP:
            return _nested(value, own, other, dialect)
        case Family.OTHER if own.name.upper().startswith("UNION"):
            return exp.DPipe(
                this=cast(func("union_tag", value), "varchar"),
                expression=exp.DPipe(this=exp.Literal.string(": "), expression=cast(value.copy(), "varchar")),
            )
        case _:
            return value


def _nested(value: exp.Expr, own: ColumnType, other: ColumnType, dialect: Dialect) -> exp.Expr:
    if dialect is Dialect.SNOWFLAKE:
        return cast(value, "variant")
    if own.family is Family.STRUCT:
        fields = {
            name: _inner(
                func("struct_extract", value.copy(), exp.Literal.string(own_name)),
                kind,
                other_kind,
                dialect,
            )
            for (name, (own_name, kind)), (_, other_kind) in zip(
                own.fields.items(), other.fields.values(), strict=True
            )
        }
        return nested.struct_text(value, fields)
    if own.family is Family.JSON:
        return nested.json_text(value)
    if own.contains(Family.JSON):
        # DuckDB reads a document in a subquery, and has none inside a list.
        document = nested.json_text(func("to_json", value))
        return exp.DPipe(this=document, expression=nested.literally_if_long(value.copy()))
    parts = [(kind, other_kind) for (_, kind), (_, other_kind) in zip(own.parts, other.parts, strict=True)]

    def text(index: int) -> Callable[[exp.Expr], exp.Expr]:
        return lambda inner: _inner(inner, *parts[index], dialect)

    if own.family is Family.LIST:
        return nested.list_text(value, text(0))
    return nested.map_text(value, text(0), text(1))


def _inner(value: exp.Expr, own: ColumnType, other: ColumnType, dialect: Dialect) -> exp.Expr:
    """As a part of a nested value: JSON text, `null` for NULL."""
    shared = _value(value, own, other, dialect)
    if not comparable(own, other) or own.family not in (*NUMBERS, *NESTED, Family.BOOLEAN, Family.JSON):
        return nested.quoted_text(shared)
    if own.family is Family.BINARY or other.family is Family.BINARY:
        return nested.double_text(shared)
    return nested.bare_text(shared)


def _foreign(value: exp.Expr, kind: ColumnType, dialect: Dialect) -> exp.Expr:
    """Text that no value of another type has; NULL stays NULL."""
    shared = _value(value, kind, kind, dialect)
    text = nested.unsigned(shared) if kind.family is Family.BINARY else cast(shared, "varchar")
    return exp.DPipe(this=exp.Literal.string(f"{kind.name}: "), expression=text)


def _text(value: exp.Expr, kind: ColumnType, dialect: Dialect) -> exp.Expr:
    value = cast(value, "varchar") if kind.name.startswith("ENUM") else value
    # A column may be declared with a collation that folds case; strings are compared as they are.
    binary = exp.Var(this="c") if dialect is Dialect.DUCKDB else exp.Literal.string("utf8")
    return exp.Collate(this=value, expression=binary)


def _number(value: exp.Expr, own: ColumnType, other: ColumnType, dialect: Dialect) -> exp.Expr:
    if own.name == other.name:
        return value
    if own.family is Family.BINARY and other.family is Family.BINARY:
        return cast(value, "double")
    if own.family is Family.BINARY:
        return _double_as_decimal(value, _exact_type(other, other, dialect))
    if other.family is Family.BINARY:
        return cast(cast(value, _exact_type(own, own, dialect)), "varchar")
    if {own.name, other.name} <= _UP_TO_BIGINT:
        return cast(value, "bigint")
    digits, scale = max(own.digits, other.digits), max(own.scale, other.scale)
    if digits + scale <= _MAX_PRECISION:
        return cast(value, f"decimal({digits + scale}, {scale})")
    if not scale and not {"UHUGEINT", "BIGNUM"} & {own.name, other.name}:
        return cast(value, "hugeint")
    return _decimal_text(value, own)


def _exact_type(own: ColumnType, other: ColumnType, dialect: Dialect) -> str:
    """The exact type that a double is held against: the other side's scale, all the digits there are."""
    if own.digits + own.scale > _MAX_PRECISION and dialect is Dialect.DUCKDB:
        return "hugeint" if own.name == "HUGEINT" else own.name.lower()
    return f"decimal({_MAX_PRECISION}, {other.scale})"


def _double_as_decimal(value: exp.Expr, exact: str) -> exp.Expr:
    """A double as the text of its shortest round-trip decimal where `exact` can hold it, else its own text.

    The cast to `exact` rounds. If the rounded number still reads back as the same double, it *is* the
    shortest decimal (a shorter one would be a contradiction), so nothing was lost. The text of a double that
    does not fit (more places, an exponent, nan, inf) never looks like one of `exact`.
    """
    shortest = cast(cast(value, "double"), "varchar")
    rounded = try_cast(shortest, exact)
    # Through text, because a direct cast from decimal to double divides and may round twice.
    reads_back = exp.EQ(this=cast(cast(rounded.copy(), "varchar"), "double"), expression=value.copy())
    known = exp.case().when(reads_back, cast(rounded, "varchar"))
    if exact == "uhugeint":  # which cannot read the sign of -0.0
        known = known.when(exp.EQ(this=value.copy(), expression=number(0)), exp.Literal.string("0"))
    return known.else_(shortest.copy())


def _decimal_text(value: exp.Expr, kind: ColumnType) -> exp.Expr:
    """For pairs whose common type would need more than 38 digits."""
    return decimal_digits(value) if kind.scale else cast(value, "varchar")


def instants_as_text(own: ColumnType, other: ColumnType) -> bool:
    """Nanoseconds reach only from 1677 to 2262, so a cast either way loses or fails. DuckDB only."""
    return 9 in (own.fraction, other.fraction) and own.fraction != other.fraction


def _instant(value: exp.Expr, own: ColumnType, other: ColumnType, dialect: Dialect) -> exp.Expr:
    if own.name == other.name:
        return value
    utc: exp.Expr = exp.AtTimeZone(this=value, zone=exp.Literal.string("UTC")) if own.zoned else value
    if dialect is Dialect.SNOWFLAKE:
        return cast(utc, "timestamp_ntz")
    if instants_as_text(own, other):
        return cast(utc if own.fraction == 9 else cast(utc, "timestamp"), "varchar")
    return utc if own.fraction == 9 else cast(utc, "timestamp")


def _interval(value: exp.Expr) -> exp.Expr:
    """Months, days and time apart: to DuckDB a month equals 30 days and a day 24 hours, which no calendar keeps to."""

    def part(name: str) -> exp.Expr:
        return func("date_part", exp.Literal.string(name), value.copy())

    months = part("year") * 12 + part("month")
    whole = func("to_months", cast(months.copy(), "integer")) + func("to_days", cast(part("day"), "integer"))
    rest = func("epoch_us", value.copy() - exp.paren(whole))
    days = cast(part("day"), "varchar")
    return joined(
        *(cast(months, "varchar"), exp.Literal.string(" months "), days, exp.Literal.string(" days ")),
        *(cast(rest, "varchar"), exp.Literal.string(" us")),
    )
