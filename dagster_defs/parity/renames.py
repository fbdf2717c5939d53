"""Columns that were only renamed: of the same type, with the same values, and the only two that match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlglot import exp

from dagster_defs.parity.families import parse_type
from dagster_defs.parity.fragments import (
    as_,
    column,
    quoted,
    select,
    stored,
)
from dagster_defs.parity.plan import Plan, render, window_of
from dagster_defs.parity.records import SchemaChange, SchemaDifference, Side
from dagster_defs.parity.values import paired_values

_ONLY = {Side.LEGACY: SchemaChange.MISSING, Side.CANDIDATE: SchemaChange.EXTRA}


def candidates(differences: Iterable[SchemaDifference]) -> dict[Side, list[SchemaDifference]]:
    """Columns of one side that match one on the other side by type; empty if there are none."""
    differences = list(differences)
    alone = {
        side: [difference for difference in differences if difference.kind is kind]
        for side, kind in _ONLY.items()
    }
    shared = set.intersection(*({_type(each) for each in alone[side]} for side in Side))
    return {
        side: likely for side in Side if (likely := [each for each in alone[side] if _type(each) in shared])
    }


def statement(plan: Plan, side: Side, columns: Sequence[SchemaDifference]) -> str:
    """One row: `sum_<position>` and `xor_<position>` of the hashes of each column's values in the window."""
    digests: list[exp.Expr] = []
    shared: list[exp.Expr] = []
    for position, each in enumerate(columns):
        own = (each.column, parse_type(_type(each)))
        shared.append(as_(paired_values(own, own, plan.dialect)[0], f"c{position}"))
        each_hash = plan.sql.hashed(plan.sql.hashable(column(f"c{position}"), own[1], own[1]))
        digests.append(as_(exp.Sum(this=each_hash), f"sum_{position}"))
        digests.append(as_(exp.BitwiseXorAgg(this=each_hash.copy()), f"xor_{position}"))
    rows = select(*shared).from_(stored(plan.spec.relation(side)), copy=False)
    window = window_of(plan, side)
    rows = rows if window is None else rows.where(window, copy=False)
    return render(select(*digests).from_(rows.subquery(quoted("side_rows"), copy=False), copy=False), plan)


def renamed(
    differences: Sequence[SchemaDifference],
    alone: Mapping[Side, Sequence[SchemaDifference]],
    answers: Mapping[Side, Mapping[str, Any]],
) -> Iterator[SchemaDifference]:
    """The differences, with one in place of two for each column that was found under another name.

    `answers`: of `statement` for the columns in `alone`.
    """
    digests = {
        side: [
            (_type(each), answers[side][f"sum_{position}"], answers[side][f"xor_{position}"])
            for position, each in enumerate(alone[side])
        ]
        for side in Side
    }
    partner = {
        legacy: alone[Side.CANDIDATE][digests[Side.CANDIDATE].index(digest)]
        for legacy, digest in zip(alone[Side.LEGACY], digests[Side.LEGACY], strict=True)
        if all(digests[side].count(digest) == 1 for side in Side)
    }
    for difference in differences:
        if difference in partner:
            new = partner[difference]
            yield SchemaDifference(
                SchemaChange.RENAMED,
                difference.column,
                difference.legacy_type,
                new.candidate_type,
                candidate_column=new.column,
            )
        elif difference not in partner.values():
            yield difference


def _type(difference: SchemaDifference) -> str:
    return difference.legacy_type or difference.candidate_type or ""
