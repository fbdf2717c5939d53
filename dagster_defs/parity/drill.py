"""The exact statement over the differing buckets: how many rows differ, in which columns, and some of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from dagster_defs.parity.buckets import Bucket, Buckets, within
from dagster_defs.parity.fragments import (
    all_of,
    any_of,
    as_,
    cast,
    column,
    func,
    named,
    number,
    other,
    quoted,
    select,
    text,
    total,
    when,
)
from dagster_defs.parity.leftovers import ONLY, compared_value, leftovers, pairs_rows
from dagster_defs.parity.plan import Plan, hashable_value, render, side_rows, value_name
from dagster_defs.parity.records import Side

_SAMPLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of some buckets."""

    buckets: Buckets
    chosen: frozenset[Bucket]


def statement(plan: Plan, part: Part | None, sample_limit: int, *, unique_keys: bool) -> str:
    """Counts and samples: one row per sample, or a single row without one, with the counts in every row.

    Counts: `only_in_legacy`, `only_in_candidate`, `modified`. With a key or a tolerance also, for each column
    outside the key, `changed_<position>` and, if it has a tolerance, `tolerated_<position>`; without a key
    `digest_<position>`, 0 if both sides' rows hold the same values.

    Samples, up to the limit for each `kind`: `copies`, `legacy_<position>` and `candidate_<position>` as text,
    and outside the key `differs_<position>`, because the text is truncated and masked and so cannot show it.
    """
    tables = [
        *((f"{side}_rows", chosen_rows(plan, side, part)) for side in Side),
        *leftovers(plan, unique_keys=unique_keys),
        ("counts", counts(plan, value_digests=True)),
    ]
    query = select(exp.Column(this=exp.Star(), table=quoted("counts"))).from_(named("counts"), copy=False)
    if sample_limit:
        tables.append(("samples", _samples(plan, sample_limit)))
        query = query.select(exp.Column(this=exp.Star(), table=quoted("samples")), copy=False).join(
            named("samples"), on=exp.true(), join_type="left", copy=False
        )
    for name, body in tables:
        query = query.with_(quoted(name), as_=body, copy=False)
    return render(query, plan)


def counts(plan: Plan, *, value_digests: bool) -> exp.Select:
    query = select(*(as_(_copies_of(ONLY[side]), f"only_in_{side}") for side in Side))
    if value_digests and not plan.key:
        query = query.select(*_value_digests(plan), copy=False)
    if not pairs_rows(plan):
        return query.select(as_(number(0), "modified"), copy=False)
    changed_rows = as_(total(when(modified(plan), column("copies"))), "modified")
    return query.select(changed_rows, *_changes(plan), copy=False).from_(named("paired"), copy=False)


def _samples(plan: Plan, limit: int) -> exp.Query:
    kinds = [_one_sided_sample(plan, side, limit) for side in Side]
    if plan.key:
        kinds.insert(0, _modified_sample(plan, limit))
    return one_after_another(kinds)


def one_after_another(kinds: Iterable[exp.Select]) -> exp.Query:
    """Each with its own order and limit."""
    parts = [
        select("*").from_(kind.subquery(quoted(f"kind_{index}"), copy=False), copy=False)
        for index, kind in enumerate(kinds)
    ]
    return exp.union(*parts, distinct=False, copy=False)


def chosen_rows(plan: Plan, side: Side, part: Part | None) -> exp.Select:
    """The rows of the window, as `v0, v1, …`, that lie in those buckets."""
    rows = side_rows(plan, side)
    chosen = None if part is None else within(part.buckets, plan, side, part.chosen)
    return rows if chosen is None else rows.where(chosen, copy=False)


def _changes(plan: Plan) -> Iterator[exp.Expr]:
    for index in plan.others:
        yield as_(total(when(changed(index), column("copies"))), f"changed_{index}")
        if index in plan.tolerances:
            excused = all_of(
                changed(index).not_(), other(column(f"legacy_{index}"), column(f"candidate_{index}"))
            )
            yield as_(total(when(excused, column("copies"))), f"tolerated_{index}")


def modified(plan: Plan) -> exp.Expr:
    return any_of(exp.false(), *(changed(index) for index in plan.others))


def changed(index: int) -> exp.Expr:
    return column(f"changed_{index}", "paired")


def _copies_of(name: str) -> exp.Expr:
    return select(total(column("copies"))).from_(named(name), copy=False).subquery(copy=False)


def _value_digests(plan: Plan) -> Iterator[exp.Expr]:
    for index in plan.compared:
        each_hash = plan.sql.hashed(hashable_value(plan, index, compared_value(plan, index)))
        digest = total(plan.sql.weighted(each_hash, column("copies")))
        legacy, candidate = (
            select(digest.copy()).from_(named(name), copy=False).subquery(copy=False)
            for name in ONLY.values()
        )
        yield as_(exp.Sub(this=legacy, expression=candidate), f"digest_{index}")


def _modified_sample(plan: Plan, limit: int) -> exp.Select:
    shown = [
        as_(shown_text(plan, index, column(f"{side}_{index}", "paired")), f"{side}_{index}")
        for index in range(len(plan.pairs))
        for side in Side
    ]
    order = [column(f"{side}_{index}", "paired") for index in plan.key + plan.others for side in Side]
    return (
        select(as_(text("modified"), "kind"), column("copies"), *shown)
        .select(
            *(as_(when(changed(index), number(1), number(0)), f"differs_{index}") for index in plan.others),
            copy=False,
        )
        .from_(named("paired"), copy=False)
        .where(modified(plan), copy=False)
        .order_by(*order, copy=False)
        .limit(limit, copy=False)
    )


def _one_sided_sample(plan: Plan, side: Side, limit: int) -> exp.Select:
    shown = [
        as_(
            shown_text(plan, index, column(value_name(index))) if each is side else exp.Null(),
            f"{each}_{index}",
        )
        for index in range(len(plan.pairs))
        for each in Side
    ]
    return (
        select(as_(text(f"only_in_{side}"), "kind"), column("copies"), *shown)
        .select(*(as_(number(0), f"differs_{index}") for index in plan.others if plan.key), copy=False)
        .from_(named(ONLY[side]), copy=False)
        .order_by(*(column(name) for name in plan.names), copy=False)
        .limit(limit, copy=False)
    )


def shown_text(plan: Plan, index: int, value: exp.Expr) -> exp.Expr:
    if plan.masks(index):
        return text("***")
    beginning: exp.Expr = func("substring", cast(value, "varchar"), number(1), number(_SAMPLE_CHARACTERS))
    if plan.shows_utc(index):
        beginning = exp.DPipe(this=beginning, expression=text(" UTC"))
    return beginning
