"""Which tolerances apply, what is wrong with one, and what it excuses, as SQL.

Numbers are compared as exact decimals: of 38 digits, with a double standing for its shortest round-trip decimal.
Where these do not hold the numbers (2 ** 200, 1e-30) the difference is taken in doubles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import ROUND_FLOOR, Decimal, InvalidOperation, localcontext

from sqlglot import exp

from dagster_defs.errors import (
    BadTolerance,
    ToleranceOnKey,
    ToleranceOnType,
    ToleranceWithoutKey,
    UnknownColumn,
)
from dagster_defs.parity.families import NUMBERS, ColumnType, Family, fold, parse_type
from dagster_defs.parity.fragments import all_of, cast, func, number, other, try_cast
from dagster_defs.parity.records import (
    PRECISIONS,
    Column,
    ComparisonSpec,
    Dialect,
    Tolerance,
    ToleranceKind,
)
from dagster_defs.parity.schema import ColumnPair, find_column
from dagster_defs.parity.values import instants_as_text

NUMERIC = frozenset({ToleranceKind.ABSOLUTE, ToleranceKind.RELATIVE})
_MICROSECONDS = 1_000_000
_DIGITS = 38
# Of a double: the places behind the point of its decimal, for most numbers and for small ones.
# Snowflake has no `try` around a product that does not fit, and few products of the second kind do.
_BINARY_SCALES = {Dialect.DUCKDB: (18, 36), Dialect.SNOWFLAKE: (18,)}


def split_expired(
    tolerances: Iterable[Tolerance], today: date | None
) -> tuple[tuple[Tolerance, ...], tuple[Tolerance, ...]]:
    """Those that apply on that day, and those that no longer do.

    Raises ValueError for a `today` of None where a tolerance expires: whoever compares has a clock.
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
    """What can be said without a look at the tables. Expired tolerances have to be right too."""
    seen: set[str] = set()
    for tolerance in spec.tolerances:
        if fold(tolerance.column) in {fold(name) for name in spec.key}:
            raise ToleranceOnKey(spec.name, tolerance.column, tolerance.kind.value)
        if tolerance.kind in NUMERIC and not spec.key:
            raise ToleranceWithoutKey(spec.name, tolerance.column, tolerance.kind.value)
        if fold(tolerance.column) in seen:
            raise BadTolerance(
                spec.name, tolerance.column, tolerance.kind.value, "is its second one: keep one of them"
            )
        seen.add(fold(tolerance.column))
        _refuse_value(spec, tolerance)


def refuse_wrong_columns(spec: ComparisonSpec, tables: Sequence[Sequence[Column]]) -> None:
    """`tables`: the columns of both sides, or of the one that is there."""
    for tolerance in spec.tolerances:
        found = [match for columns in tables if (match := find_column(tolerance.column, columns)) is not None]
        if not found and len(tables) == 2:
            known = dict.fromkeys(each.name for columns in tables for each in columns)
            relations = f"each of {spec.legacy} and {spec.candidate}"
            raise UnknownColumn(spec.name, tolerance.column, relations, list(known))
        for each in found:
            _refuse_type(spec, tolerance, each)


def cut(value: exp.Expr, tolerance: Tolerance, pair: ColumnPair, dialect: Dialect) -> exp.Expr:
    """A shared value of instants, cut down to the precision, as text."""
    width = number(int(_seconds(tolerance) * _MICROSECONDS))
    if dialect is Dialect.SNOWFLAKE:
        micros: exp.Expr = exp.Extract(this=exp.Var(this="epoch_microsecond"), expression=value.copy())
    else:
        instant = cast(value.copy(), "timestamp") if instants_as_text(*_types(pair)) else value.copy()
        micros = func("epoch_us", instant)
    # The remainder has the sign of the dividend; times before 1970 are cut downwards too.
    remainder = exp.Mod(
        this=exp.paren(exp.Mod(this=micros, expression=width) + width.copy()), expression=width.copy()
    )
    # An infinite time has no microseconds.
    return func("coalesce", cast(micros.copy() - remainder, "varchar"), cast(value.copy(), "varchar"))


def exceeds(
    legacy: exp.Expr, candidate: exp.Expr, tolerance: Tolerance | None, pair: ColumnPair, dialect: Dialect
) -> exp.Expr:
    """Do two shared values of one pair of columns differ by more than is tolerated?"""
    if tolerance is None:
        return other(legacy, candidate)
    if tolerance.kind is ToleranceKind.IGNORED:
        return exp.false()
    if tolerance.kind is ToleranceKind.TIMESTAMP_PRECISION:
        return other(*(cut(value, tolerance, pair, dialect) for value in (legacy, candidate)))
    near = _within(legacy, candidate, tolerance, _types(pair), dialect)
    return all_of(other(legacy, candidate), exp.paren(near).not_())


def _types(pair: ColumnPair) -> tuple[ColumnType, ColumnType]:
    return parse_type(pair.legacy.type), parse_type(pair.candidate.type)


def _within(
    legacy: exp.Expr,
    candidate: exp.Expr,
    tolerance: Tolerance,
    types: tuple[ColumnType, ColumnType],
    dialect: Dialect,
) -> exp.Expr:
    """Never NULL: a NULL is near nothing."""
    binary = Family.BINARY in {kind.family for kind in types}
    own = max(kind.scale for kind in types)
    scales = dict.fromkeys(max(scale, own) for scale in _BINARY_SCALES[dialect]) if binary else [own]
    only_binary = {kind.family for kind in types} == {Family.BINARY}
    exactly = []
    for scale in scales:
        left, right = (_exact(value, scale, binary, only_binary) for value in (legacy, candidate))
        exactly.append(_near_exactly(left, right, tolerance, scale, dialect))
    floats = [cast(value.copy(), "double") for value in (legacy, candidate)]
    finite = [
        exp.LT(this=exp.Abs(this=each.copy()), expression=exp.Literal.number("1e308")) for each in floats
    ]
    return func(
        "coalesce",
        *exactly,
        all_of(*finite, _near(floats[0], floats[1], tolerance)),
        exp.false(),
    )


def _exact(value: exp.Expr, scale: int, binary: bool, only_binary: bool) -> exp.Expr:
    """NULL where a decimal of that scale does not hold the very number."""
    # A float32 is widened as it is.
    written = cast(cast(value.copy(), "double") if only_binary else value.copy(), "varchar")
    decimal = try_cast(written, f"decimal({_DIGITS}, {scale})")
    if not binary:
        return decimal
    reads_back = exp.EQ(
        this=cast(cast(decimal.copy(), "varchar"), "double"), expression=cast(written.copy(), "double")
    )
    return exp.case().when(reads_back, decimal)


def _near_exactly(
    legacy: exp.Expr, candidate: exp.Expr, tolerance: Tolerance, scale: int, dialect: Dialect
) -> exp.Expr:
    """NULL where 38 digits do not do."""
    allowed = amount(tolerance)
    numerator, denominator = allowed.as_integer_ratio()
    if max(numerator, denominator) >= 10**_DIGITS:
        return exp.Null()
    difference: exp.Expr = exp.Abs(this=exp.paren(legacy - candidate))
    if tolerance.kind is ToleranceKind.ABSOLUTE:
        # A difference of that scale is within the bound iff it is within the bound cut to it.
        near = exp.LTE(this=difference, expression=exp.Literal.number(f"{_floor(allowed, scale):f}"))
    else:
        # As |l - c| * 200 <= 3 * |l| for 0.015: no product gets more places than its factor.
        allowance = exp.Abs(this=legacy.copy()) * number(numerator)
        near = exp.LTE(this=difference * number(denominator), expression=allowance)
    return func("try", near) if dialect is Dialect.DUCKDB else near


def _near(legacy: exp.Expr, candidate: exp.Expr, tolerance: Tolerance) -> exp.Expr:
    """In doubles."""
    allowed: exp.Expr = exp.Literal.number(f"{amount(tolerance):e}")
    if tolerance.kind is ToleranceKind.RELATIVE:
        allowed = exp.Abs(this=legacy.copy()) * allowed
    return exp.LTE(this=exp.Abs(this=exp.paren(legacy - candidate)), expression=allowed)


def _floor(value: Decimal, scale: int) -> Decimal:
    with localcontext() as context:
        context.prec = 2 * _DIGITS
        return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_FLOOR)


def amount(tolerance: Tolerance) -> Decimal:
    """The bound of a numeric tolerance; InvalidOperation where there is none."""
    return Decimal(str(tolerance.value))


def _seconds(tolerance: Tolerance) -> Decimal:
    """InvalidOperation where the value is neither a word nor a number."""
    word = str(tolerance.value).strip().lower().removesuffix("s")
    return PRECISIONS[word] if word in PRECISIONS else Decimal(str(tolerance.value))


def _refuse_value(spec: ComparisonSpec, tolerance: Tolerance) -> None:
    def refuse(why: str) -> BadTolerance:
        return BadTolerance(spec.name, tolerance.column, tolerance.kind.value, why)

    if tolerance.kind is ToleranceKind.IGNORED:
        if tolerance.value is not None:
            raise refuse(f"takes no value, and has {tolerance.value}")
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


def _refuse_type(spec: ComparisonSpec, tolerance: Tolerance, found: Column) -> None:
    family = parse_type(found.type).family
    if tolerance.kind in NUMERIC and family not in NUMBERS:
        needs = "numbers"
    elif tolerance.kind is ToleranceKind.TIMESTAMP_PRECISION and family is not Family.INSTANT:
        needs = "dates or timestamps"
    else:
        return
    raise ToleranceOnType(spec.name, tolerance.column, tolerance.kind.value, found.type, needs)
