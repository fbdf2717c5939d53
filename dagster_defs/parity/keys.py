"""How many keys a side has: if there are fewer keys than rows, the difference is the number of violations.

A bitmap of a single integer key costs a tenth of grouping by it, and is just as exact.
"""

from __future__ import annotations

from sqlglot import exp

from dagster_defs.parity.fragments import as_, column, func, is_null, number, quoted, select
from dagster_defs.parity.integers import Span, bare, in_window, is_integer
from dagster_defs.parity.plan import Plan, render, side_rows
from dagster_defs.parity.records import Side

_MOST_BITS = 2**28
_MOST_BITS_A_ROW = 64


def can_be_a_bitmap(plan: Plan) -> bool:
    return plan.sql.counts_keys_in_a_bitmap and len(plan.key) == 1 and is_integer(plan, plan.key[0])


def count(plan: Plan, side: Side, span: Span | None, rows: int, only: exp.Expr | None = None) -> str:
    """One row: `keys`, the number of different keys without a NULL (itself NULL if there are none).

    `only` is a condition on the stored table's rows.
    """
    most_bits = min(_MOST_BITS, _MOST_BITS_A_ROW * rows)
    if span is not None and can_be_a_bitmap(plan) and span.last - span.first < most_bits:
        key = bare(plan, side, plan.key[0])
        bits = func("bitstring_agg", key, number(span.first), number(span.last))
        query = in_window(select(as_(func("bit_count", bits), "keys")), plan, side)
        return render(query if only is None else query.where(only, copy=False), plan)
    return render(_grouped(plan, side, only), plan)


def _grouped(plan: Plan, side: Side, only: exp.Expr | None) -> exp.Select:
    key = [column(plan.names[index]) for index in plan.key]
    stored_rows = side_rows(plan, side)
    rows = (stored_rows if only is None else stored_rows.where(only, copy=False)).subquery(
        quoted("side_rows"), copy=False
    )
    complete = [is_null(part.copy()).not_() for part in key]
    keys = (
        select(*key)
        .from_(rows, copy=False)
        .where(*complete, copy=False)
        .group_by(*[part.copy() for part in key], copy=False)
    )
    return select(as_(exp.Count(this=exp.Star()), "keys")).from_(
        keys.subquery(quoted("keys"), copy=False), copy=False
    )
