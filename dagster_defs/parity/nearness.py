"""Whether two numbers are close to each other, as SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Protocol

from sqlglot import exp

from dagster_defs.parity.families import ColumnType, Family
from dagster_defs.parity.fragments import all_of, cast, func, number, try_cast
from dagster_defs.parity.records import Tolerance, ToleranceKind

_DIGITS = 38


class Nearness(Protocol):
    def __call__(
        self,
        legacy: exp.Expr,
        candidate: exp.Expr,
        tolerance: Tolerance,
        types: tuple[ColumnType, ColumnType],
    ) -> exp.Expr:
        """Whether two shared numeric values of these types are within the tolerance. Never NULL: NULL is close to
        nothing."""
        ...


@dataclass(frozen=True, slots=True)
class DecimalsOf38Digits:
    """Numbers are compared as exact decimals, with a double standing for its shortest round-trip decimal.

    If 38 digits cannot hold the numbers (2 ** 200, 1e-30), the difference is computed in doubles. `binary_scales`: for
    a double, the numbers of decimal places that are tried. `attempt`: NULL for a product that does not fit.
    """

    binary_scales: tuple[int, ...]
    attempt: Callable[[exp.Expr], exp.Expr]

    def __call__(
        self,
        legacy: exp.Expr,
        candidate: exp.Expr,
        tolerance: Tolerance,
        types: tuple[ColumnType, ColumnType],
    ) -> exp.Expr:
        binary = Family.BINARY in {kind.family for kind in types}
        own = max(kind.scale for kind in types)
        scales = dict.fromkeys(max(scale, own) for scale in self.binary_scales) if binary else [own]
        only_binary = {kind.family for kind in types} == {Family.BINARY}
        exactly = []
        for scale in scales:
            left, right = (_exact(value, scale, binary, only_binary) for value in (legacy, candidate))
            exactly.append(self._near_exactly(left, right, tolerance, scale))
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

    def _near_exactly(
        self, legacy: exp.Expr, candidate: exp.Expr, tolerance: Tolerance, scale: int
    ) -> exp.Expr:
        """NULL if 38 digits are not enough."""
        allowed = amount(tolerance)
        if max(allowed.as_integer_ratio()) >= 10**_DIGITS:
            return exp.Null()
        if tolerance.kind is ToleranceKind.ABSOLUTE:
            # A difference of that scale is within the bound iff it is within the bound truncated to that scale.
            difference = exp.Abs(this=exp.paren(legacy - candidate))
            bound = exp.Literal.number(f"{_floor(allowed, scale):f}")
            return self.attempt(exp.LTE(this=difference, expression=bound))
        return self.attempt(within_share(legacy, candidate, allowed))


def within_share(legacy: exp.Expr, candidate: exp.Expr, share: Decimal) -> exp.Expr:
    """As |l - c| * 200 <= 3 * |l| for 0.015: no product gets more decimal places than its factor."""
    numerator, denominator = share.as_integer_ratio()
    difference = exp.Abs(this=exp.paren(legacy - candidate))
    allowance = exp.Abs(this=legacy.copy()) * number(numerator)
    return exp.LTE(this=difference * number(denominator), expression=allowance)


def amount(tolerance: Tolerance) -> Decimal:
    """The bound of a numeric tolerance; InvalidOperation if there is none."""
    return Decimal(str(tolerance.value))


def _exact(value: exp.Expr, scale: int, binary: bool, only_binary: bool) -> exp.Expr:
    """NULL if a decimal of that scale cannot hold the exact number."""
    # A float32 is widened as it is.
    written = cast(cast(value.copy(), "double") if only_binary else value.copy(), "varchar")
    decimal = try_cast(written, f"decimal({_DIGITS}, {scale})")
    if not binary:
        return decimal
    reads_back = exp.EQ(
        this=cast(cast(decimal.copy(), "varchar"), "double"), expression=cast(written.copy(), "double")
    )
    return exp.case().when(reads_back, decimal)


def _near(legacy: exp.Expr, candidate: exp.Expr, tolerance: Tolerance) -> exp.Expr:
    """Computed in doubles."""
    allowed: exp.Expr = exp.Literal.number(f"{amount(tolerance):e}")
    if tolerance.kind is ToleranceKind.RELATIVE:
        allowed = exp.Abs(this=legacy.copy()) * allowed
    return exp.LTE(this=exp.Abs(this=exp.paren(legacy - candidate)), expression=allowed)


def _floor(value: Decimal, scale: int) -> Decimal:
    with localcontext() as context:
        context.prec = 2 * _DIGITS
        return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_FLOOR)
