"""A comparison with all names resolved, from which the statements are built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from dagster_defs.parity.bounds import window_filter
from dagster_defs.parity.dialects import Sql, sql_of
from dagster_defs.parity.families import Family, fold, parse_type
from dagster_defs.parity.fragments import (
    as_,
    column,
    number,
    select,
    stored,
)
from dagster_defs.parity.records import Column, ComparisonSpec, Dialect, Side, Tolerance, ToleranceKind
from dagster_defs.parity.schema import ColumnPair
from dagster_defs.parity.values import paired_values


@dataclass(frozen=True, slots=True)
class Plan:
    """`key` and the keys of `tolerances` (those that apply) are positions in `pairs`; `time` has both sides."""

    spec: ComparisonSpec
    pairs: tuple[ColumnPair, ...]
    key: tuple[int, ...]
    time: Mapping[Side, Column]
    dialect: Dialect
    tolerances: Mapping[int, Tolerance]

    @property
    def sql(self) -> Sql:
        return sql_of(self.dialect)

    @property
    def others(self) -> tuple[int, ...]:
        return tuple(index for index in range(len(self.pairs)) if index not in self.key)

    @property
    def compared(self) -> tuple[int, ...]:
        """Positions whose differences count."""
        return tuple(index for index in range(len(self.pairs)) if not self.ignores(index))

    def ignores(self, index: int) -> bool:
        tolerance = self.tolerances.get(index)
        return tolerance is not None and tolerance.kind is ToleranceKind.IGNORED

    def masks(self, index: int) -> bool:
        pair = self.pairs[index]
        masked = {fold(name) for name in self.spec.masked}
        return not masked.isdisjoint({fold(pair.legacy.name), fold(pair.candidate.name)})

    def shows_utc(self, index: int) -> bool:
        """Whether the pair's values are compared as UTC wall-clock times, because one side is an instant."""
        own, other = (self.pairs[index].on(side)[1] for side in Side)
        both = {own.family, other.family} == {Family.INSTANT}
        return both and own.name != other.name and (own.zoned or other.zoned)

    @property
    def names(self) -> list[str]:
        """`v0, v1, …`; tables without a common column still have row counts to compare, so there is one."""
        return [value_name(index) for index in range(len(self.pairs))] or [value_name(0)]


def value_name(index: int) -> str:
    return f"v{index}"


def values(plan: Plan, side: Side) -> list[exp.Expr]:
    """One expression for each of `plan.names`, of the same type on both sides."""
    own = 0 if side is Side.LEGACY else 1
    return [
        paired_values(pair.on(Side.LEGACY), pair.on(Side.CANDIDATE), plan.dialect)[own] for pair in plan.pairs
    ] or [number(1)]


def hashable_value(plan: Plan, index: int, value: exp.Expr) -> exp.Expr:
    """The value of `plan.names[index]`, or what it is compared by, in the form that `hash` needs."""
    if index >= len(plan.pairs):  # the single value of tables without a common column
        return value
    legacy, candidate = (plan.pairs[index].on(side)[1] for side in Side)
    return plan.sql.hashable(value, legacy, candidate)


def hash_of(plan: Plan, positions: Iterable[int], table: str | None = None) -> exp.Expr:
    """One hash of the values at these positions of `plan.names`."""
    return plan.sql.hashed(
        *(hashable_value(plan, index, column(plan.names[index], table)) for index in positions)
    )


def side_rows(plan: Plan, side: Side) -> exp.Select:
    """The rows of the window, as `v0, v1, …`."""
    shared = (as_(value, name) for value, name in zip(values(plan, side), plan.names, strict=True))
    query = select(*shared).from_(stored(plan.spec.relation(side)), copy=False)
    window = window_of(plan, side)
    return query if window is None else query.where(window, copy=False)


def window_of(plan: Plan, side: Side) -> exp.Expr | None:
    if not plan.spec.windowed:
        return None
    time = plan.time[side]
    return window_filter(plan.spec, time, parse_type(time.type), plan.dialect)


def time_value(plan: Plan, side: Side) -> exp.Column:
    return column(plan.time[side].name)


def render(query: exp.Query, plan: Plan) -> str:
    return query.sql(dialect=plan.dialect.value, identify=True)
