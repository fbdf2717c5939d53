"""Doubles and intervals as text, in the functions that DuckDB and Snowflake share."""

from __future__ import annotations

from sqlglot import exp

from dagster_defs.parity.fragments import cast, func, joined, number, try_cast


def double_as_decimal(value: exp.Expr, exact: str) -> exp.Expr:
    """As `Sql.double_as_decimal`.

    The cast to `exact` rounds. If the rounded number still reads back as the same double, it *is* the shortest decimal
    (a shorter one would be a contradiction), so nothing was lost. The text of a double that does not fit (more places,
    an exponent, nan, inf) never looks like one of `exact`.
    """
    shortest = cast(cast(value, "double"), "varchar")
    rounded = try_cast(shortest, exact)
    # Through text, because a direct cast from decimal to double divides and may round twice.
    reads_back = exp.EQ(this=cast(cast(rounded.copy(), "varchar"), "double"), expression=value.copy())
    known = exp.case().when(reads_back, cast(rounded, "varchar"))
    if exact == "uhugeint":  # cannot read the sign of -0.0
        known = known.when(exp.EQ(this=value.copy(), expression=number(0)), exp.Literal.string("0"))
    return known.else_(shortest.copy())


def interval_text(value: exp.Expr) -> exp.Expr:
    """As `Sql.interval`: in DuckDB a month equals 30 days and a day 24 hours."""

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
