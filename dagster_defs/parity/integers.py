"""Columns of integers on both sides: finding their least and greatest value is known to cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from dagster_defs.parity.fragments import (
    as_,
    column,
    select,
    stored,
)
from dagster_defs.parity.plan import Plan, render, window_of
from dagster_defs.parity.records import Side

# DuckDB's types. Snowflake's are all NUMBER(38, 0), and bucketing those would not let it skip anything by key.
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}


@dataclass(frozen=True, slots=True)
class Span:
    """The smallest and the greatest value of one side."""

    first: int
    last: int


def is_integer(plan: Plan, index: int) -> bool:
    return all(plan.pairs[index].on(side)[1].name in _INTEGERS for side in Side)


def leading_integer(plan: Plan) -> int | None:
    """Position of the key's first column if it is an integer; without a key, of the first integer column."""
    positions = plan.key[:1] or range(len(plan.pairs))
    return next((index for index in positions if is_integer(plan, index)), None)


def span(plan: Plan, side: Side, index: int) -> str:
    """One row: `first`, `last`, NULL if there are no values. Without a window it is answered from statistics."""
    value = bare(plan, side, index)
    query = select(as_(exp.Min(this=value), "first"), as_(exp.Max(this=value.copy()), "last"))
    return render(in_window(query, plan, side), plan)


def bare(plan: Plan, side: Side, index: int) -> exp.Column:
    name, _ = plan.pairs[index].on(side)
    return column(name)


def in_window(query: exp.Select, plan: Plan, side: Side) -> exp.Select:
    query = query.from_(stored(plan.spec.relation(side)), copy=False)
    window = window_of(plan, side)
    return query if window is None else query.where(window, copy=False)
