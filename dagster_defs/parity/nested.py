"""Nested values as JSON text in a canonical form, so that text is equal iff the values are. DuckDB only.

Structs are objects with folded, sorted names; lists are arrays in order; a map is an array of its sorted
entries. The parts are JSON text already (`quoted_text`, `bare_text`, `double_text`).
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
    number,
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
    """For numbers, booleans, and JSON text."""
    return _or_null(cast(value, "varchar"))


def double_text(value: exp.Expr) -> exp.Expr:
    return _or_null(unsigned(value))


def unsigned(value: exp.Expr) -> exp.Expr:
    """A double, or its text, as text in which a zero and a NaN have no sign."""
    written = cast(value, "varchar")
    plain = exp.case(written.copy())
    for signed in ("0.0", "0", "nan"):
        plain = plain.when(text(f"-{signed}"), text(signed), copy=False)
    return plain.else_(written, copy=False)


def struct_text(value: exp.Expr, fields: Mapping[str, exp.Expr]) -> exp.Expr:
    """`fields`: the text of each field, by shared name and in shared order."""
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
    """A document as one object of its sorted paths, whatever its spacing and the order of its names.

    Numbers are written uniformly, whatever their length. The meaning of a repeated name is undefined: a document with
    one is also compared literally.
    """
    tree = exp.Anonymous(this="json_tree", expressions=[cast(_with_long_numbers_as_text(value), "json")])
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
    # Not `value`: a column of that name here could be the tree's own.
    root = exp.EQ(this=column("id", "tree"), expression=exp.Literal.number(0))
    whole = exp.Max(this=when(root, cast(column("value", "tree"), "varchar")))
    literally = when(repeated, joined(text(" in "), whole), text(""))
    source = exp.Table(this=tree, alias=exp.TableAlias(this=quoted("tree")))
    return (
        select(joined(text("{"), lines, text("}"), literally)).from_(source, copy=False).subquery(copy=False)
    )


def literally_if_long(value: exp.Expr) -> exp.Expr:
    """The nested value itself if it contains numbers that lose digits when converted to JSON; else nothing."""
    written = cast(value, "varchar")
    return func("coalesce", when(_has_long_number(written), joined(text(" in "), written.copy())), text(""))


# DuckDB reads a number with a point or an exponent as a double, which distinguishes 15 digits but not every 16th.
_SURE_DIGITS = 15
_STRING = r'"(?:[^"\\]|\\.)*"'
_TOKENS = rf'{_STRING}|-?[0-9][0-9.eE+-]*|[^"0-9-]+|-'
_LONG = rf"[0-9][0-9.]{{{_SURE_DIGITS},}}"
_NUMBER = "\ue000"  # from the private-use area: no text begins with it


def _has_long_number(written: exp.Expr) -> exp.Expr:
    return func("regexp_matches", written.copy(), text(_LONG))


def _with_long_numbers_as_text(value: exp.Expr) -> exp.Expr:
    """The document with every number of more digits than a double distinguishes replaced by text."""
    written = cast(cast(value, "json"), "varchar")
    tokens = func("regexp_extract_all", written.copy(), text(_TOKENS))
    exact = exp.Anonymous(this="array_to_string", expressions=[_each(tokens, _exact_token), text("")])
    return when(_has_long_number(written), exact, written.copy())


def _exact_token(token: exp.Expr) -> exp.Expr:
    """A long number as text of its digits and its power of ten, anything else unchanged."""

    def part(pattern: str) -> exp.Expr:
        return exp.Anonymous(this="regexp_extract", expressions=[token.copy(), text(pattern), number(1)])

    def length(written: exp.Expr) -> exp.Expr:
        return exp.Anonymous(this="length", expressions=[written])

    fraction, exponent = part(r"^-?[0-9]+\.([0-9]+)"), part(r"[eE]([+-]?[0-9]+)$")
    digits = func("ltrim", joined(part("^-?([0-9]+)"), fraction), text("0"))
    short = func("rtrim", digits.copy(), text("0"))
    power = (
        func("coalesce", try_cast(func("nullif", exponent, text("")), "bigint"), number(0))
        - length(fraction.copy())
        + (length(digits.copy()) - length(short.copy()))
    )
    exact = joined(
        text(f'"{_NUMBER}'),
        part("^(-?)"),
        short.copy(),
        text("e"),
        cast(exp.paren(power), "varchar"),
        text('"'),
    )
    is_long = exp.and_(
        func("regexp_matches", token.copy(), text("^-?[0-9]")),
        exp.GT(this=length(short), expression=number(_SURE_DIGITS)),
        copy=False,
    )
    return when(is_long, exact, token.copy())


def _json_number(atom: exp.Expr) -> exp.Expr:
    exact = try_cast(atom, "decimal(38, 10)")
    reads_back = exp.EQ(
        this=cast(cast(exact.copy(), "varchar"), "double"), expression=try_cast(atom.copy(), "double")
    )
    return when(reads_back, decimal_digits(exact), atom.copy())


def _each(values: exp.Expr, text_of: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    # The name is local to the list, so that an inner list's name hides the outer one's.
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
