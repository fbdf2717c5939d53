"""Nested values as JSON text in one spelling, so that text is equal iff the values are. DuckDB only.

Structs are objects with folded, sorted names; lists are arrays in order; a map is an array of its sorted
entries. The parts arrive as JSON text already (`quoted_text`, `bare_text`, `double_text`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from sqlglot import exp

from dagster_defs.parity.fragments import (
    cast,
    column,
    decimal_digits,
    func,
    is_null,
    joined,
    quoted,
    select,
    text,
    try_cast,
    when,
)

_NULL = "null"


def quoted_text(value: exp.Expr) -> exp.Expr:
    return _or_null(cast(func("to_json", cast(value, "varchar")), "varchar"))


def bare_text(value: exp.Expr) -> exp.Expr:
    """Of numbers, booleans, and what is JSON text already."""
    return _or_null(cast(value, "varchar"))


def double_text(value: exp.Expr) -> exp.Expr:
    return _or_null(unsigned(value))


def unsigned(value: exp.Expr) -> exp.Expr:
    """A double, or the text that stands for one, as text in which a zero and a NaN have no sign."""
    written = cast(value, "varchar")
    plain = exp.case(written.copy())
    for signed in ("0.0", "0", "nan"):
        plain = plain.when(text(f"-{signed}"), text(signed), copy=False)
    return plain.else_(written, copy=False)


def struct_text(value: exp.Expr, fields: Mapping[str, exp.Expr]) -> exp.Expr:
    """`fields`: the text of each field, by the name that both sides share, in an order that they share."""
    parts: list[exp.Expr] = []
    for name, part in fields.items():
        label = json.dumps(name, ensure_ascii=False)
        parts += [text(f"{', ' if parts else '{'}{label}: "), part]
    return _unless_null(value, joined(*parts, text("}")))


def list_text(value: exp.Expr, element: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    return _array(value, _each(value, element))


def map_text(
    value: exp.Expr, key: Callable[[exp.Expr], exp.Expr], entry: Callable[[exp.Expr], exp.Expr]
) -> exp.Expr:
    def pair(item: exp.Expr) -> exp.Expr:
        parts = (func("struct_extract", item.copy(), text(name)) for name in ("key", "value"))
        return joined(text("["), key(next(parts)), text(", "), entry(next(parts)), text("]"))

    return _array(value, func("list_sort", _each(func("map_entries", value.copy()), pair)))


def json_text(value: exp.Expr) -> exp.Expr:
    """A document as one object of its paths in order, whatever its spacing and the order of its names.

    Numbers of up to 28 digits before and 10 behind the point are written in one way, others as DuckDB
    writes them. What a repeated name means is nobody's to say: such a document also counts as it stands.
    """
    tree = exp.Anonymous(this="json_tree", expressions=[cast(value, "json")])
    path, atom = column("fullkey", "tree"), cast(column("atom", "tree"), "varchar")
    scalar = exp.case(column("type", "tree"))
    for kind, written in (("OBJECT", text("{}")), ("ARRAY", text("[]")), ("NULL", text(_NULL))):
        scalar = scalar.when(text(kind), written, copy=False)
    for kind in ("VARCHAR", "BOOLEAN"):
        scalar = scalar.when(text(kind), atom.copy(), copy=False)
    line = joined(
        cast(func("to_json", path), "varchar"),
        text(": "),
        scalar.else_(_json_number(atom.copy()), copy=False),
    )
    order = [exp.Ordered(this=part) for part in (path.copy(), column("id", "tree"))]
    lines = exp.Anonymous(
        this="string_agg", expressions=[line, exp.Order(this=text(", "), expressions=order)]
    )
    repeated = exp.GT(
        this=exp.Count(this=exp.Star()),
        expression=exp.Count(this=exp.Distinct(expressions=[path.copy()])),
    )
    # Not `value`: here a column of that name could be the tree's own.
    root = exp.EQ(this=column("id", "tree"), expression=exp.Literal.number(0))
    whole = exp.Max(this=when(root, cast(column("value", "tree"), "varchar")))
    literally = when(repeated, joined(text(" in "), whole), text(""))
    source = exp.Table(this=tree, alias=exp.TableAlias(this=quoted("tree")))
    return (
        select(joined(text("{"), lines, text("}"), literally)).from_(source, copy=False).subquery(copy=False)
    )


def _json_number(atom: exp.Expr) -> exp.Expr:
    exact = try_cast(atom, "decimal(38, 10)")
    reads_back = exp.EQ(
        this=cast(cast(exact.copy(), "varchar"), "double"), expression=try_cast(atom.copy(), "double")
    )
    return when(reads_back, decimal_digits(exact), atom.copy())


def _each(values: exp.Expr, text_of: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    # The name is local to the list, so that an inner list's hides an outer one's.
    name = "element"
    return exp.Array(
        expressions=[
            exp.Comprehension(this=text_of(column(name)), expression=column(name), iterator=values.copy())
        ]
    )


def _array(value: exp.Expr, parts: exp.Expr) -> exp.Expr:
    return _unless_null(value, joined(text("["), func("array_to_string", parts, text(", ")), text("]")))


def _or_null(written: exp.Expr) -> exp.Expr:
    return func("coalesce", written, text(_NULL))


def _unless_null(value: exp.Expr, written: exp.Expr) -> exp.Expr:
    return when(is_null(value.copy()).not_(), written)
