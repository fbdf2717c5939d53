"""PostgreSQL's SQL. Its `numeric` holds any number exactly, so nothing is cut to 38 digits.

Rows are hashed as the text of a record, which distinguishes NULL from empty text and takes a table's 1,600 columns,
while a function takes only 100 arguments. The text of a value is exact in a session that `PostgresReader` has set up.
For measurements see docs/decisions/0018-postgresql.md.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from dagster_defs.parity.dialects.sql import DAY_SECONDS, ENDLESS, Sql
from dagster_defs.parity.families import ColumnType, Family
from dagster_defs.parity.fragments import (
    all_of,
    cast,
    column,
    func,
    is_null,
    joined,
    number,
    other,
    quoted,
    select,
    text,
    when,
)
from dagster_defs.parity.nearness import amount, within_share
from dagster_defs.parity.records import Dialect, Tolerance, ToleranceKind

_INTEGERS = frozenset({"SMALLINT", "INTEGER", "BIGINT", "UBIGINT"})
_MICROSECONDS = 1_000_000
_ENDLESS_NUMBERS = ("NaN", "Infinity", "-Infinity")
# Types whose values have the same text exactly if they are equal.
_CANONICAL = frozenset(
    {
        *("uuid", "bytea", "money", "time", "time with time zone", "bit", "bit varying", '"char"'),
        *("inet", "cidr", "macaddr", "macaddr8", "oid", "xid", "xid8", "pg_lsn", "regclass", "tsvector"),
        *("int4range", "int8range", "daterange", "tsrange", "tstzrange"),
        *("int4multirange", "int8multirange", "datemultirange", "tsmultirange", "tstzmultirange"),
    }
)
_STRING = r'"(?:[^"\\]|\\.)*"'
_JSON_TOKENS = rf'({_STRING})|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)'
_JSON_NAMES = rf'({_STRING}\s*:)|{_STRING}|[^"]+'


def _near(
    legacy: exp.Expr, candidate: exp.Expr, tolerance: Tolerance, types: tuple[ColumnType, ColumnType]
) -> exp.Expr:
    """As `Nearness`: exactly, with a double standing for its shortest round-trip decimal."""
    if {kind.family for kind in types} == {Family.BINARY}:
        legacy, candidate = _shortest_decimal(legacy), _shortest_decimal(candidate)
    else:
        legacy, candidate = _numeric(legacy), _numeric(candidate)
    finite = (
        exp.not_(exp.In(this=each.copy(), expressions=[_numeric(text(word)) for word in _ENDLESS_NUMBERS]))
        for each in (legacy, candidate)
    )
    allowed = amount(tolerance)
    if tolerance.kind is ToleranceKind.ABSOLUTE:
        difference = exp.Abs(this=exp.paren(legacy - candidate))
        near: exp.Expr = exp.LTE(this=difference, expression=exp.Literal.number(f"{allowed:f}"))
    else:
        near = within_share(legacy, candidate, allowed)
    return func("coalesce", when(all_of(*finite), near), exp.false())


class PostgresSql(Sql):
    dialect: ClassVar[Dialect] = Dialect.POSTGRES
    told_apart_by = "database"
    quotes = r"""'[^']*'|"[^"]*\""""
    nearness = staticmethod(_near)

    def hashed(self, *parts: exp.Expr) -> exp.Expr:
        record = exp.Anonymous(this="row", expressions=[part.copy() for part in parts])
        return exp.Anonymous(this="hashtextextended", expressions=[cast(record, "varchar"), number(0)])

    def weighted(self, each_hash: exp.Expr, copies: exp.Expr) -> exp.Expr:
        return _numeric(each_hash) * copies  # a product of two bigints may overflow

    def no_hash(self) -> exp.Expr:
        return cast(exp.Null(), "bigint")  # in a subquery a bare NULL is text

    def any_of_group(self, value: exp.Expr) -> exp.Expr:
        """`any_value` exists only from PostgreSQL 16 on, and `max` only for few types."""
        return exp.Bracket(this=exp.paren(exp.ArrayAgg(this=value)), expressions=[number(0)])

    def in_order(self, value: exp.Expr) -> exp.Expr:
        return value  # a number, and `double precision` cannot hold every one

    def text_bound(self, bound: str) -> exp.Expr:
        return _by_bytes(text(bound))

    def incomparable(self, kind: ColumnType) -> str:
        for _, part in kind.parts:
            if why := self.incomparable(part):
                return why
        if kind.family is not Family.OTHER or kind.name.lower() in _CANONICAL:
            return ""
        return f"the text of a {kind.name} is not known to be the same exactly for equal values"

    def number(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        if own.family is Family.BINARY and other.family is Family.BINARY:
            value = value if own.name == other.name else cast(value, "double")
            return when(
                exp.EQ(this=value.copy(), expression=number(0)), number(0), value
            )  # -0 has a different text
        if own.family is Family.BINARY:
            return func("trim_scale", _shortest_decimal(value))
        if {own.name, other.name} <= _INTEGERS:
            return value if own.name == other.name else cast(value, "bigint")
        return func("trim_scale", _numeric(value))

    def long_number(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        return self.number(value, own, other)

    def double_as_decimal(self, value: exp.Expr, exact: str) -> exp.Expr:
        del exact
        return _shortest_decimal(value)

    def unsigned(self, value: exp.Expr) -> exp.Expr:
        return cast(value, "varchar")  # `number` has already removed the sign of a zero

    def instant(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        if own.name == other.name:
            return value
        utc: exp.Expr = exp.AtTimeZone(this=value, zone=text("UTC")) if own.zoned else value
        return cast(utc, "timestamp")

    def text(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        """The blanks that pad a `char(n)` are not part of the value, as everywhere in PostgreSQL."""
        del kind
        return _by_bytes(cast(value, "varchar"))

    def interval(self, value: exp.Expr) -> exp.Expr:
        return cast(value, "varchar")  # as months, days and time

    def opaque(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        del kind
        return cast(value, "varchar")

    def nested(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        if own.family is Family.JSON:
            return _document(value, own)
        [(_, element)], [(_, other_element)] = own.parts, other.parts
        shared = self.value(column("item", "items"), element, other_element)
        quoted_text = cast(func("to_json", cast(shared, "varchar")), "varchar")
        listed = _in_order(
            func("coalesce", quoted_text, text("null")),
            exp.Anonymous(this="unnest", expressions=[value]),
            ", ",
        )
        dimensions = func("coalesce", exp.Anonymous(this="array_dims", expressions=[value.copy()]), text(""))
        written = joined(dimensions, text(" "), func("coalesce", listed, text("")))
        return when(is_null(value.copy()).not_(), written)

    def time_bucket(self, time: exp.Expr, kind: ColumnType, seconds: int) -> exp.Expr:
        del kind
        assert DAY_SECONDS % seconds == 0  # noqa: S101 - hours or days
        bucket = cast(exp.Floor(this=exp.Div(this=_epoch(time), expression=number(seconds))), "bigint")
        present = func("isfinite", time.copy())
        return when(present, bucket).when(is_null(time.copy()).not_(), number(ENDLESS))

    def microseconds(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        del own, other
        return when(func("isfinite", value.copy()), cast(_epoch(value) * number(_MICROSECONDS), "bigint"))


def _epoch(time: exp.Expr) -> exp.Expr:
    return exp.Extract(this=exp.Var(this="epoch"), expression=time.copy())


def _numeric(value: exp.Expr) -> exp.Expr:
    """With any number of digits."""
    return exp.Cast(this=value, to=exp.DataType(this=exp.DataType.Type.DECIMAL))


def _shortest_decimal(value: exp.Expr) -> exp.Expr:
    """A double as its shortest round-trip decimal; a float4 is widened as it is."""
    return _numeric(cast(cast(value, "double"), "varchar"))


def _by_bytes(value: exp.Expr) -> exp.Expr:
    return exp.Collate(this=value, expression=quoted("C"))


def _document(value: exp.Expr, kind: ColumnType) -> exp.Expr:
    """A document as `jsonb` writes it, whatever its spacing and the order of its names, with uniform numbers.

    The meaning of a repeated name is undefined: a `json` document with one is also compared literally.
    """
    binary = cast(exp.Cast(this=value, to=exp.DataType(this=exp.DataType.Type.JSONB)), "varchar")
    item = column("item", "items")
    string, digits, rest = (exp.Bracket(this=item.copy(), expressions=[number(index)]) for index in range(3))
    written = cast(func("trim_scale", _numeric(digits.copy())), "varchar")
    token = when(is_null(digits).not_(), written, func("coalesce", string, rest))
    document = _in_order(token, _matches(binary, _JSON_TOKENS), "")
    if kind.name == "JSONB":
        return document
    repeats = other(_names(cast(value.copy(), "varchar")), _names(binary.copy()))
    literally = when(repeats, joined(text(" in "), cast(value.copy(), "varchar")), text(""))
    return joined(document, literally)


def _names(written: exp.Expr) -> exp.Expr:
    first = exp.Bracket(this=column("item", "items"), expressions=[number(0)])
    count = select(exp.Count(this=first)).from_(_items(_matches(written, _JSON_NAMES)), copy=False)
    return count.subquery(copy=False)


def _matches(written: exp.Expr, pattern: str) -> exp.Expr:
    return exp.Anonymous(this="regexp_matches", expressions=[written, text(pattern), text("g")])


def _in_order(item: exp.Expr, source: exp.Expr, separator: str) -> exp.Expr:
    """The texts of the items in a function's result, concatenated; NULL if there are none."""
    order = exp.Order(this=text(separator), expressions=[exp.Ordered(this=column("place", "items"))])
    texts = exp.Anonymous(this="string_agg", expressions=[item, order])
    return select(texts).from_(_items(source), copy=False).subquery(copy=False)


def _items(source: exp.Expr) -> exp.Table:
    names = exp.TableAlias(this=quoted("items"), columns=[quoted("item"), quoted("place")])
    return exp.Table(this=source, alias=names, ordinality=True)
