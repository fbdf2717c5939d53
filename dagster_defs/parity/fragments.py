"""Small pieces of SQL, as expressions. Names are always quoted."""

from __future__ import annotations

from datetime import timezone
from functools import cache

from sqlglot import exp

from dagster_defs.parity.records import Relation


def column(name: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=quoted(name), table=quoted(table) if table else None)


def quoted(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=True)


def named(name: str) -> exp.Table:
    """A common table expression."""
    return exp.Table(this=quoted(name))


def stored(relation: Relation) -> exp.Table:
    table = exp.Table(
        this=quoted(relation.table), db=quoted(relation.schema), catalog=quoted(relation.catalog)
    )
    if relation.as_of is not None:
        instant = cast(text(relation.as_of.astimezone(timezone.utc).isoformat()), "timestamptz")
        table.set("when", exp.HistoricalData(this="AT", kind="TIMESTAMP", expression=instant))
    return table


def select(*expressions: exp.Expr | str) -> exp.Select:
    """Unlike sqlglot's own `select`, it does not copy its arguments, which would be most of the work."""
    return exp.Select().select(*expressions, copy=False)


def as_(expression: exp.Expr, name: str) -> exp.Alias:
    return exp.Alias(this=expression, alias=quoted(name))


def number(value: int) -> exp.Literal | exp.Neg:
    return exp.Literal.number(value)


def func(name: str, *parts: exp.Expr) -> exp.Expr:
    return exp.func(name, *parts, copy=False)


def all_of(*terms: exp.Expr) -> exp.Expr:
    return exp.and_(*terms, copy=False)


def any_of(*terms: exp.Expr) -> exp.Expr:
    return exp.or_(*terms, copy=False)


def text(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def cast(expression: exp.Expr, to: str) -> exp.Cast:
    return exp.Cast(this=expression, to=_type(to).copy())


def try_cast(expression: exp.Expr, to: str) -> exp.TryCast:
    return exp.TryCast(this=expression, to=_type(to).copy())


@cache
def _type(name: str) -> exp.DataType:
    # DuckDB types that sqlglot does not know are written literally.
    return exp.DataType.build(name, dialect="duckdb", udt=True)


def joined(*parts: exp.Expr) -> exp.Expr:
    """Concatenated text; NULL if one part is."""
    first, *rest = parts
    for part in rest:
        first = exp.DPipe(this=first, expression=part)
    return first


def total(expression: exp.Expr) -> exp.Expr:
    """0 for no rows."""
    return func("coalesce", exp.Sum(this=expression), number(0))


def when(condition: exp.Expr, value: exp.Expr, otherwise: exp.Expr | None = None) -> exp.Case:
    case = exp.case().when(condition, value, copy=False)
    return case if otherwise is None else case.else_(otherwise, copy=False)


def is_null(expression: exp.Expr) -> exp.Is:
    return exp.Is(this=expression, expression=exp.Null())


def same(left: exp.Expr, right: exp.Expr) -> exp.NullSafeEQ:
    return exp.NullSafeEQ(this=left, expression=right)


def other(left: exp.Expr, right: exp.Expr) -> exp.NullSafeNEQ:
    return exp.NullSafeNEQ(this=left, expression=right)


def smaller(left: exp.Expr, right: exp.Expr) -> exp.Case:
    return when(exp.LT(this=left.copy(), expression=right.copy()), left.copy(), right.copy())


def larger(left: exp.Expr, right: exp.Expr) -> exp.Case:
    return when(exp.GT(this=left.copy(), expression=right.copy()), left.copy(), right.copy())


def decimal_digits(value: exp.Expr) -> exp.Expr:
    """A decimal as text without padding: the same for the same number, whatever its scale."""
    # DuckDB writes `.5` for decimal(1, 1) and `0.5` for decimal(2, 1).
    bare = func("regexp_replace", cast(value, "varchar"), text(r"^(-?)0\."), text(r"\1."))
    for trailing in "0.":
        bare = func("rtrim", bare, text(trailing))
    return when(exp.EQ(this=value.copy(), expression=number(0)), text("0"), bare)
