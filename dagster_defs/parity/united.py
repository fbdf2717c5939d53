"""A common type for a column that several files have, each with a type of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dagster_defs.parity.families import Family, parse_type, type_change
from dagster_defs.parity.records import SchemaChange

UNTYPED = '"NULL"'  # DuckDB's type for a Parquet column that contains only NULL
_MAX_PRECISION = 38


@dataclass(frozen=True, slots=True)
class United:
    """`proved`: the type holds every value of each file's type; otherwise the values must be checked."""

    type: str
    proved: bool = True


def united(types: Iterable[str]) -> United | None:
    """None if no type holds all values: text and numbers, or times with and without a zone."""
    union = United(UNTYPED)
    for own in dict.fromkeys(types):
        both = _of_two(union.type, own)
        if both is None:
            return None
        union = United(both.type, union.proved and both.proved)
    return union


def _of_two(first: str, other: str) -> United | None:
    if first == other or other == UNTYPED:
        return United(first)
    if first == UNTYPED:
        return United(other)
    left, right = parse_type(first), parse_type(other)
    for wide, narrow, name in ((left, right, first), (right, left, other)):
        if type_change(narrow, wide) is SchemaChange.WIDENED:
            return United(name)
    families = {left.family, right.family}
    if families == {Family.EXACT}:
        digits, scale = max(left.digits, right.digits), max(left.scale, right.scale)
        return United(f"DECIMAL({digits + scale},{scale})") if digits + scale <= _MAX_PRECISION else None
    if families == {Family.EXACT, Family.BINARY}:
        return United("DOUBLE", proved=False)
    if families == {Family.TEXT}:
        return United("VARCHAR")
    if families == {Family.INSTANT} and left.zoned == right.zoned:
        # A date is a midnight; the cast fails if it is out of the finer type's range.
        if left.is_date or right.is_date:
            return United(other if left.is_date else first)
        return United(first if left.fraction >= right.fraction else other)
    return None
