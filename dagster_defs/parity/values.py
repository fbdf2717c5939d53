"""The value of a column as SQL, brought to one type for both sides so that equal values are equal in SQL.

What equal means stands in the comparison's rules: by value across types, NULL = NULL, NaN = NaN, -0.0 = 0.0.
DuckDB's and Snowflake's own `is not distinct from` and `group by` already treat NULL, NaN and -0.0 so.
"""

from __future__ import annotations

from sqlglot import exp

from dagster_defs.parity.families import NUMBERS, ColumnType, Family, comparable
from dagster_defs.parity.records import Dialect

_MAX_PRECISION = 38


def column(name: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=quoted(name), table=quoted(table) if table else None)


def quoted(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=True)


def paired_values(
    legacy: tuple[str, ColumnType], candidate: tuple[str, ColumnType], dialect: Dialect
) -> tuple[exp.Expr, exp.Expr]:
    """The two columns (name and type) as expressions of one type whose values are equal iff ours are."""
    (left, left_type), (right, right_type) = legacy, candidate
    if not comparable(left_type, right_type):
        return _foreign(left, left_type, dialect), _foreign(right, right_type, dialect)
    family = left_type.family
    if family in NUMBERS:
        return _numbers(left, left_type, right_type, dialect), _numbers(right, right_type, left_type, dialect)
    if family is Family.INSTANT:
        return _instant(left, left_type, right_type, dialect), _instant(right, right_type, left_type, dialect)
    if family is Family.TEXT:
        return _text(left, left_type, dialect), _text(right, right_type, dialect)
    if family is Family.INTERVAL:
        return _interval(left), _interval(right)
    return column(left), column(right)


def cast(expression: exp.Expr, to: str) -> exp.Cast:
    return exp.Cast(this=expression, to=exp.DataType.build(to, dialect="duckdb"))


def try_cast(expression: exp.Expr, to: str) -> exp.TryCast:
    return exp.TryCast(this=expression, to=exp.DataType.build(to, dialect="duckdb"))


def _foreign(name: str, kind: ColumnType, dialect: Dialect) -> exp.Expr:
    """Text that no value of another type has; NULL stays NULL."""
    value = _text(name, kind, dialect) if kind.family is Family.TEXT else cast(column(name), "varchar")
    return exp.DPipe(this=exp.Literal.string(f"{kind.name}: "), expression=value)


def _text(name: str, kind: ColumnType, dialect: Dialect) -> exp.Expr:
    value: exp.Expr = cast(column(name), "varchar") if kind.name.startswith("ENUM") else column(name)
    # A column may be declared with a collation that folds case; strings are compared as they are.
    binary = exp.Var(this="c") if dialect is Dialect.DUCKDB else exp.Literal.string("utf8")
    return exp.Collate(this=value, expression=binary)


def _numbers(name: str, own: ColumnType, other: ColumnType, dialect: Dialect) -> exp.Expr:
    value = column(name)
    if own.name == other.name:
        return value
    if own.family is Family.BINARY and other.family is Family.BINARY:
        return cast(value, "double")
    if own.family is Family.BINARY:
        return _double_as_decimal(value, _exact_type(other, other, dialect))
    if other.family is Family.BINARY:
        return cast(cast(value, _exact_type(own, own, dialect)), "varchar")
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
    return exp.case().when(reads_back, cast(rounded, "varchar")).else_(shortest.copy())


def _decimal_text(value: exp.Expr, kind: ColumnType) -> exp.Expr:
    """The digits without padding: for pairs whose common type would need more than 38 digits."""
    text = cast(value, "varchar")
    if not kind.scale:
        return text
    # DuckDB writes `.5` for decimal(1, 1) and `0.5` for decimal(2, 1).
    bare = exp.func("regexp_replace", text, exp.Literal.string(r"^(-?)0\."), exp.Literal.string(r"\1."))
    for trailing in "0.":
        bare = exp.func("rtrim", bare, exp.Literal.string(trailing))
    return (
        exp.case()
        .when(exp.EQ(this=value.copy(), expression=exp.Literal.number(0)), exp.Literal.string("0"))
        .else_(bare)
    )


def _instant(name: str, own: ColumnType, other: ColumnType, dialect: Dialect) -> exp.Expr:
    value = column(name)
    if own.name == other.name:
        return value
    utc: exp.Expr = exp.AtTimeZone(this=value, zone=exp.Literal.string("UTC")) if own.zoned else value
    if dialect is Dialect.SNOWFLAKE:
        return cast(utc, "timestamp_ntz")
    if 9 in (own.fraction, other.fraction) and own.fraction != other.fraction:
        # As text: nanoseconds reach only from 1677 to 2262, so a cast either way loses or fails.
        return cast(utc if own.fraction == 9 else cast(utc, "timestamp"), "varchar")
    return utc if own.fraction == 9 else cast(utc, "timestamp")


def _interval(name: str) -> exp.Expr:
    """Months apart from time: DuckDB holds one month to equal 30 days."""
    value = column(name)
    months = exp.func("date_part", exp.Literal.string("year"), value) * 12 + exp.func(
        "date_part", exp.Literal.string("month"), value.copy()
    )
    rest = exp.func("epoch_us", value.copy() - exp.func("to_months", cast(months.copy(), "integer")))
    return exp.DPipe(
        this=exp.DPipe(this=cast(months, "varchar"), expression=exp.Literal.string(" months ")),
        expression=exp.DPipe(this=cast(rest, "varchar"), expression=exp.Literal.string(" us")),
    )
