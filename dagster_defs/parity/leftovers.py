"""What is left when equal rows have cancelled out: `paired` rows, and those on one side only.

There are two ways to the same three tables. In general, rows are counted: what is left of each, copy by copy, is
`lost` (legacy) and `gained` (candidate), and those in one group are paired in order. The group is the key; without a
key but with tolerances, it is whatever must be equal, so that every pair is tolerated. If no key is missing or
repeated, a join by the key gives the same result in a tenth of the time when every row differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from dagster_defs.parity.fragments import (
    all_of,
    any_of,
    as_,
    column,
    func,
    is_null,
    larger,
    named,
    number,
    other,
    quoted,
    same,
    select,
    smaller,
)
from dagster_defs.parity.plan import Plan, value_name
from dagster_defs.parity.records import Side, ToleranceKind
from dagster_defs.parity.tolerances import NUMERIC, cut, exceeds

Tables = list[tuple[str, exp.Query]]
"""Common table expressions in dependency order."""

ONLY = {side: f"only_{side}" for side in Side}
_LEFT = {Side.LEGACY: "lost", Side.CANDIDATE: "gained"}


def leftovers(plan: Plan, *, unique_keys: bool) -> Tables:
    """From `legacy_rows` and `candidate_rows` (`v0, v1, …`) to three tables, all with a number of `copies`.

    `paired`: `legacy_<i>`, `candidate_<i>`, and outside the key `changed_<i>`, whether they differ by more than is
    tolerated. `only_legacy` and `only_candidate`: `v0, v1, …`. If nothing can be paired, there is no `paired`.
    """
    return _by_key(plan) if plan.key and unique_keys else _by_copies(plan)


def pairs_rows(plan: Plan) -> bool:
    return bool(_group(plan))


def compared_value(plan: Plan, index: int, table: str | None = None) -> exp.Expr:
    """The part of a value that must be equal: a timestamp is truncated to its precision."""
    value = column(value_name(index), table)
    tolerance = plan.tolerances.get(index)
    if tolerance is None or tolerance.kind is not ToleranceKind.TIMESTAMP_PRECISION:
        return value
    return cut(value, tolerance, plan.pairs[index], plan.dialect)


def _by_key(plan: Plan) -> Tables:
    """`met`: unequal rows with the same key, and rows without a partner, whose key is then NULL."""
    legacy_key, candidate_key = (column(f"{side}_{plan.key[0]}") for side in Side)
    both = [column(f"{side}_{index}") for index in range(len(plan.pairs)) for side in Side]
    paired = (
        select(*both, *_changed(plan), as_(number(1), "copies"))
        .from_(named("met"), copy=False)
        .where(is_null(legacy_key).not_(), is_null(candidate_key).not_(), copy=False)
    )
    return [
        ("met", _met(plan)),
        ("paired", paired),
        (ONLY[Side.LEGACY], _met_alone(plan, Side.LEGACY, is_null(candidate_key.copy()))),
        (ONLY[Side.CANDIDATE], _met_alone(plan, Side.CANDIDATE, is_null(legacy_key.copy()))),
    ]


def _met(plan: Plan) -> exp.Select:
    legacy, candidate = (f"{side}_rows" for side in Side)
    values = [
        as_(column(name, f"{side}_rows"), f"{side}_{index}")
        for index, name in enumerate(plan.names)
        for side in Side
    ]
    names = [value_name(index) for index in plan.key]
    same_key = (exp.EQ(this=column(name, legacy), expression=column(name, candidate)) for name in names)
    differs = (other(column(name, legacy), column(name, candidate)) for name in plan.names)
    return (
        select(*values)
        .from_(named(legacy), copy=False)
        .join(named(candidate), on=all_of(*same_key), join_type="full", copy=False)
        .where(any_of(*differs), copy=False)
    )


def _met_alone(plan: Plan, side: Side, alone: exp.Expr) -> exp.Select:
    values = (as_(column(f"{side}_{index}"), name) for index, name in enumerate(plan.names))
    return select(*values, as_(number(1), "copies")).from_(named("met"), copy=False).where(alone, copy=False)


def _by_copies(plan: Plan) -> Tables:
    tables: Tables = [
        ("counted", _counted(plan)),
        ("lost", _surplus(plan, "in_legacy", "in_candidate")),
        ("gained", _surplus(plan, "in_candidate", "in_legacy")),
    ]
    if pairs_rows(plan):
        tables.append(("paired", _paired(plan)))
    return [*tables, *((ONLY[side], _unpaired(plan, side)) for side in Side)]


def _counted(plan: Plan) -> exp.Select:
    """Distinct rows with their numbers of copies, if these differ."""
    names = plan.names
    tagged = [
        select(
            *map(column, names),
            as_(number(int(side is Side.LEGACY)), "in_legacy"),
            as_(number(int(side is Side.CANDIDATE)), "in_candidate"),
        ).from_(named(f"{side}_rows"), copy=False)
        for side in Side
    ]
    copies = {side: exp.Sum(this=column(f"in_{side}")) for side in Side}
    return (
        select(*map(column, names), *[as_(copies[side], f"in_{side}") for side in Side])
        .from_(
            exp.union(*tagged, distinct=False, copy=False).subquery(quoted("both_sides"), copy=False),
            copy=False,
        )
        .group_by(*map(column, names), copy=False)
        .having(
            exp.NEQ(this=copies[Side.LEGACY].copy(), expression=copies[Side.CANDIDATE].copy()), copy=False
        )
    )


def _surplus(plan: Plan, more: str, less: str) -> exp.Select:
    """`copies`, and in groups `upto`: copies are numbered within the group, and `upto` is the row's last number."""
    copies = column(more) - column(less)
    query = select(*map(column, plan.names), as_(copies, "copies"))
    if group := _group(plan):
        upto = exp.Window(
            this=exp.Sum(this=copies.copy()),
            partition_by=[part.copy() for part in group],
            order=exp.Order(expressions=[exp.Ordered(this=each) for each in _order(plan)]),
            spec=exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW"),
        )
        query = query.select(
            as_(upto, "upto"),
            *(as_(part.copy(), f"group_{index}") for index, part in enumerate(group)),
            copy=False,
        )
    return query.from_(named("counted"), copy=False).where(
        exp.GT(this=column(more), expression=column(less)), copy=False
    )


def _unpaired(plan: Plan, side: Side) -> exp.Select:
    """The copies in a group beyond those that are paired with a row of the other side."""
    own, other_side = _LEFT[side], _LEFT[Side.CANDIDATE if side is Side.LEGACY else Side.LEGACY]
    values = [column(name, "own") for name in plan.names]
    query = select(*values).from_(exp.alias_(named(own), quoted("own")), copy=False)
    group = _group(plan)
    if not group:
        return query.select(column("copies", "own"), copy=False)
    parts = [column(f"group_{index}") for index in range(len(group))]
    taken = select(*parts, as_(exp.Sum(this=column("copies")), "taken")).from_(named(other_side), copy=False)
    taken = taken.group_by(*[part.copy() for part in parts], copy=False)
    first = column("upto", "own") - column("copies", "own")
    copies = column("upto", "own") - larger(first, func("coalesce", column("taken", "taken"), number(0)))
    return (
        query.select(as_(copies, "copies"), copy=False)
        .join(
            taken.subquery(quoted("taken"), copy=False),
            on=_same_group(plan, "own", "taken"),
            join_type="left",
            copy=False,
        )
        .where(exp.GT(this=exp.paren(copies.copy()), expression=number(0)), copy=False)
    )


def _group(plan: Plan) -> list[exp.Expr]:
    """What a lost and a gained row must share to be paired; empty if none are."""
    if plan.key:
        return [column(value_name(index)) for index in plan.key]
    if not plan.tolerances:
        return []
    return _firm(plan) or [number(1)]


def _firm(plan: Plan) -> list[exp.Expr]:
    """What must be equal in equal rows: everything except ignored and nearly equal values."""
    return [
        compared_value(plan, index)
        for index in plan.compared
        if index not in plan.tolerances or plan.tolerances[index].kind not in NUMERIC
    ]


def _order(plan: Plan) -> Iterator[exp.Expr]:
    """First what must be equal, then what must be close, so that similar rows are paired."""
    yield from _firm(plan)
    yield from (
        plan.sql.in_order(column(value_name(index)))
        for index, tolerance in plan.tolerances.items()
        if tolerance.kind in NUMERIC
    )
    yield from map(column, plan.names)


def _paired(plan: Plan) -> exp.Select:
    """`legacy_<i>`, `candidate_<i>`, `copies`, and outside the key `changed_<i>`: beyond what is tolerated."""
    upto = {name: column("upto", name) for name in _LEFT.values()}
    first = {name: column("upto", name) - column("copies", name) for name in _LEFT.values()}
    overlap = exp.paren(smaller(upto["lost"], upto["gained"])) - exp.paren(
        larger(first["lost"], first["gained"])
    )
    values = [
        as_(column(value_name(index), name), f"{side}_{index}")
        for index in range(len(plan.pairs))
        for side, name in _LEFT.items()
    ]
    changed = _changed(
        plan,
        legacy=lambda index: column(value_name(index), "lost"),
        candidate=lambda index: column(value_name(index), "gained"),
    )
    meet = all_of(
        _same_group(plan, "lost", "gained"),
        exp.LT(this=first["lost"].copy(), expression=upto["gained"].copy()),
        exp.LT(this=first["gained"].copy(), expression=upto["lost"].copy()),
    )
    return (
        select(*values, *changed, as_(overlap, "copies"))
        .from_(named("lost"), copy=False)
        .join(named("gained"), on=meet, copy=False)
    )


def _same_group(plan: Plan, left: str, right: str) -> exp.Expr:
    return all_of(
        *(
            same(column(f"group_{index}", left), column(f"group_{index}", right))
            for index in range(len(_group(plan)))
        )
    )


def _changed(
    plan: Plan,
    legacy: Callable[[int], exp.Expr] = lambda index: column(f"legacy_{index}"),
    candidate: Callable[[int], exp.Expr] = lambda index: column(f"candidate_{index}"),
) -> Iterator[exp.Expr]:
    for index in plan.others:
        tolerance = plan.tolerances.get(index)
        beyond = exceeds(legacy(index), candidate(index), tolerance, plan.pairs[index], plan.dialect)
        yield as_(beyond, f"changed_{index}")
