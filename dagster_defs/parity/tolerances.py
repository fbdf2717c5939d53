"""Which tolerances apply, what is wrong with one, and which differences it excuses, as SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from dagster_defs.errors import (
    BadTolerance,
    ToleranceOnKey,
    ToleranceOnType,
    ToleranceWithoutKey,
    UnknownColumn,
)
from dagster_defs.parity.dialects import sql_of
from dagster_defs.parity.families import NUMBERS, ColumnType, Family, fold, parse_type
from dagster_defs.parity.fragments import all_of, cast, func, number, other
from dagster_defs.parity.nearness import amount
from dagster_defs.parity.records import (
    PRECISIONS,
    Column,
    ComparisonSpec,
    Dialect,
    Tolerance,
    ToleranceKind,
)
from dagster_defs.parity.schema import ColumnPair, find_column

NUMERIC = frozenset({ToleranceKind.ABSOLUTE, ToleranceKind.RELATIVE})
_MICROSECONDS = 1_000_000


def split_expired(
    tolerances: Iterable[Tolerance], today: date | None
) -> tuple[tuple[Tolerance, ...], tuple[Tolerance, ...]]:
    """The tolerances that apply on that day, and those that have expired.

    Raises ValueError if `today` is None although a tolerance expires: the caller has a clock.
    """
    active: list[Tolerance] = []
    expired: list[Tolerance] = []
    for tolerance in tolerances:
        if tolerance.expires is not None and today is None:
            raise ValueError("a comparison with a tolerance that expires needs today's date")
        past = tolerance.expires is not None and today is not None and tolerance.expires < today
        (expired if past else active).append(tolerance)
    return tuple(active), tuple(expired)


def refuse_wrong(spec: ComparisonSpec) -> None:
    """Refuses what can be refused without examining the tables. Expired tolerances must be valid too."""
    seen: set[str] = set()
    for tolerance in spec.tolerances:
        if fold(tolerance.column) in {fold(name) for name in spec.key}:
            raise ToleranceOnKey(spec.name, tolerance.column, tolerance.kind.value)
        if tolerance.kind in NUMERIC and not spec.key:
            raise ToleranceWithoutKey(spec.name, tolerance.column, tolerance.kind.value)
        if fold(tolerance.column) in seen:
            raise BadTolerance(
                spec.name, tolerance.column, tolerance.kind.value, "is its second one: keep only one of them"
            )
        seen.add(fold(tolerance.column))
        _refuse_value(spec, tolerance)


def refuse_wrong_columns(spec: ComparisonSpec, tables: Sequence[Sequence[Column]]) -> None:
    """`tables`: the columns of both sides, or of the one that exists."""
    for tolerance in spec.tolerances:
        matching = [
            match for columns in tables if (match := find_column(tolerance.column, columns)) is not None
        ]
        if not matching and len(tables) == 2:
            known = dict.fromkeys(each.name for columns in tables for each in columns)
            relations = f"each of {spec.legacy} and {spec.candidate}"
            raise UnknownColumn(spec.name, tolerance.column, relations, list(known))
        for each in matching:
            _refuse_type(spec, tolerance, each)


def cut(value: exp.Expr, tolerance: Tolerance, pair: ColumnPair, dialect: Dialect) -> exp.Expr:
    """A shared value of two instants, truncated to the precision, as text."""
    width = number(int(_seconds(tolerance) * _MICROSECONDS))
    micros = sql_of(dialect).microseconds(value, *_types(pair))
    # The remainder has the sign of the dividend; times before 1970 are truncated downwards too.
    remainder = exp.Mod(
        this=exp.paren(exp.Mod(this=micros, expression=width) + width.copy()), expression=width.copy()
    )
    # An infinite time has no microseconds.
    return func("coalesce", cast(micros.copy() - remainder, "varchar"), cast(value.copy(), "varchar"))


def exceeds(
    legacy: exp.Expr, candidate: exp.Expr, tolerance: Tolerance | None, pair: ColumnPair, dialect: Dialect
) -> exp.Expr:
    """Whether two shared values of a pair of columns differ by more than is tolerated."""
    if tolerance is None:
        return other(legacy, candidate)
    if tolerance.kind is ToleranceKind.IGNORED:
        return exp.false()
    if tolerance.kind is ToleranceKind.TIMESTAMP_PRECISION:
        return other(*(cut(value, tolerance, pair, dialect) for value in (legacy, candidate)))
    near = sql_of(dialect).nearness(legacy, candidate, tolerance, _types(pair))
    return all_of(other(legacy, candidate), exp.paren(near).not_())


def _types(pair: ColumnPair) -> tuple[ColumnType, ColumnType]:
    return parse_type(pair.legacy.type), parse_type(pair.candidate.type)


def _seconds(tolerance: Tolerance) -> Decimal:
    """Raises InvalidOperation if the value is neither a word nor a number."""
    word = str(tolerance.value).strip().lower().removesuffix("s")
    return PRECISIONS[word] if word in PRECISIONS else Decimal(str(tolerance.value))


def _refuse_value(spec: ComparisonSpec, tolerance: Tolerance) -> None:
    def refuse(why: str) -> BadTolerance:
        return BadTolerance(spec.name, tolerance.column, tolerance.kind.value, why)

    if tolerance.kind is ToleranceKind.IGNORED:
        if tolerance.value is not None:
            raise refuse(f"takes no value, but has {tolerance.value}")
        return
    precision = tolerance.kind is ToleranceKind.TIMESTAMP_PRECISION
    wanted = f"a number of seconds or one of {', '.join(PRECISIONS)}" if precision else "a number, 0 or more"
    try:
        value = _seconds(tolerance) if precision else amount(tolerance)
        broken = precision and value.is_finite() and (not value or value * _MICROSECONDS % 1 != 0)
    except InvalidOperation:
        raise refuse(f"has the value {tolerance.value!r}: give {wanted}") from None
    if isinstance(tolerance.value, bool) or not value.is_finite() or value < 0:
        raise refuse(f"has the value {tolerance.value!r}: give {wanted}")
    if broken:
        raise refuse(f"has the value {tolerance.value!r}: give whole microseconds, or {wanted}")


def _refuse_type(spec: ComparisonSpec, tolerance: Tolerance, column: Column) -> None:
    family = parse_type(column.type).family
    if tolerance.kind in NUMERIC and family not in NUMBERS:
        needs = "numbers"
    elif tolerance.kind is ToleranceKind.TIMESTAMP_PRECISION and family is not Family.INSTANT:
        needs = "dates or timestamps"
    else:
        return
    raise ToleranceOnType(spec.name, tolerance.column, tolerance.kind.value, column.type, needs)
