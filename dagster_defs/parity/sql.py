"""The statements of one comparison, built as expressions and rendered in the warehouse's dialect.

Every side is first reduced to its rows in the window with columns `v0, v1, …`, one for each pair of columns,
of the same type on both sides (`values.py`). What is left when equal rows have cancelled each other out,
copy by copy, is `lost` (legacy) and `gained` (candidate). With a key, lost and gained rows of one key are
put against each other in order: those pairs are the modified rows, the surplus is only on one side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from dagster_defs.parity.bounds import window_filter
from dagster_defs.parity.families import parse_type
from dagster_defs.parity.records import Column, ComparisonSpec, Dialect, Relation, Side
from dagster_defs.parity.schema import ColumnPair
from dagster_defs.parity.values import cast, column, paired_values, quoted

_SAMPLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """A comparison with all names resolved: `key` are positions in `pairs`, `time` a column of each side."""

    spec: ComparisonSpec
    pairs: tuple[ColumnPair, ...]
    key: tuple[int, ...]
    time: dict[Side, Column]
    dialect: Dialect

    @property
    def others(self) -> tuple[int, ...]:
        return tuple(index for index in range(len(self.pairs)) if index not in self.key)

    @property
    def names(self) -> list[str]:
        # Two tables without a common column still have numbers of rows to compare.
        return [_value(index) for index in range(len(self.pairs))] or [_value(0)]


def row_counts(plan: Plan, side: Side) -> str:
    """One row: `in_window`, `null_time`."""
    window = _window(plan, side)
    if window is None:
        query = exp.select(_as(exp.Count(this=exp.Star()), "in_window"), _as(_number(0), "null_time"))
        return _render(query.from_(_table(plan.spec.relation(side))), plan)
    no_time = exp.Is(this=column(plan.time[side].name), expression=exp.Null())
    query = (
        exp.select(_as(_count_where(window), "in_window"), _as(_count_where(no_time), "null_time"))
        .from_(_table(plan.spec.relation(side)))
        .where(exp.or_(window.copy(), no_time.copy()))
    )
    return _render(query, plan)


def distinct_keys(plan: Plan, side: Side) -> str:
    """One row: `distinct_keys`, of the rows in the window whose key has no NULL."""
    key = [column(_value(index)) for index in plan.key]
    complete = [exp.Is(this=part.copy(), expression=exp.Null()).not_() for part in key]
    keys = exp.select(*key).distinct().from_(_name("side_rows")).where(*complete)
    query = exp.select(_as(exp.Count(this=exp.Star()), "distinct_keys")).from_(keys.subquery(quoted("keys")))
    return _render(_with(query, [("side_rows", _side_rows(plan, side))]), plan)


def difference_counts(plan: Plan) -> str:
    """One row: `lost`, `gained`, `modified`, and for each column outside the key `changed_<position>`."""
    lost, gained = (
        exp.select(_sum(column("copies"))).from_(_name(name)).subquery() for name in ("lost", "gained")
    )
    if not plan.key:
        query = exp.select(_as(lost, "lost"), _as(gained, "gained"), _as(_number(0), "modified"))
        return _render(_with(query, _leftovers(plan)), plan)
    changed = [
        _as(_sum(_when(_differs(index), column("copies"))), f"changed_{index}") for index in plan.others
    ]
    query = exp.select(
        _as(lost, "lost"), _as(gained, "gained"), _as(_sum(column("copies")), "modified"), *changed
    ).from_(_name("modified"))
    return _render(_with(query, [*_leftovers(plan), ("modified", _modified(plan))]), plan)


def modified_sample(plan: Plan, limit: int) -> str:
    """Up to `limit` rows: `copies`, `legacy_<position>` and `candidate_<position>` as text.

    For each column outside the key also `differs_<position>`: text is cut, so it does not tell.
    """
    values = [
        _as(_text(column(f"{side}_{index}", "modified")), f"{side}_{index}")
        for index in range(len(plan.pairs))
        for side in Side
    ]
    values += [_as(_when(_differs(index), _number(1)), f"differs_{index}") for index in plan.others]
    order = [column(f"{side}_{index}", "modified") for index in plan.key + plan.others for side in Side]
    query = exp.select(column("copies"), *values).from_(_name("modified")).order_by(*order).limit(limit)
    return _render(_with(query, [*_leftovers(plan), ("modified", _modified(plan))]), plan)


def one_sided_sample(plan: Plan, side: Side, limit: int) -> str:
    """Up to `limit` rows that only `side` has: `copies`, and `value_<position>` as text."""
    own, other = ("lost", "gained") if side is Side.LEGACY else ("gained", "lost")
    ctes = _leftovers(plan)
    copies: exp.Expr = column("copies", "own")
    query = exp.select().from_(exp.alias_(_name(own), quoted("own")))
    if plan.key:
        key = [column(_value(index)) for index in plan.key]
        taken = exp.select(*key, _as(exp.Sum(this=column("copies")), "taken")).from_(_name(other))
        ctes.append(("taken", taken.group_by(*[part.copy() for part in key])))
        # Copies are numbered within their key; those up to `taken` stand against a row of the other side.
        first = column("upto", "own") - column("copies", "own")
        taken_copies = exp.func("coalesce", column("taken", "taken"), _number(0))
        copies = column("upto", "own") - _larger(first, taken_copies)
        query = query.join(_name("taken"), on=_same_key(plan, "own", "taken"), join_type="left").where(
            exp.GT(this=exp.paren(copies.copy()), expression=_number(0))
        )
    values = [_as(_text(column(_value(index), "own")), f"value_{index}") for index in range(len(plan.pairs))]
    order = [column(name, "own") for name in plan.names]
    query = query.select(_as(copies, "copies"), *values).order_by(*order).limit(limit)
    return _render(_with(query, ctes), plan)


def _leftovers(plan: Plan) -> list[tuple[str, exp.Query]]:
    """The common table expressions up to `lost` and `gained`: values, `copies`, and with a key `upto`."""
    names = plan.names
    tagged = [
        exp.select(
            *map(column, names),
            _as(_number(int(side is Side.LEGACY)), "in_legacy"),
            _as(_number(int(side is Side.CANDIDATE)), "in_candidate"),
        ).from_(_name(f"{side}_rows"))
        for side in Side
    ]
    total = {side: exp.Sum(this=column(f"in_{side}")) for side in Side}
    counted = (
        exp.select(*map(column, names), *[_as(total[side], f"in_{side}") for side in Side])
        .from_(exp.union(*tagged, distinct=False).subquery(quoted("both_sides")))
        .group_by(*map(column, names))
        .having(exp.NEQ(this=total[Side.LEGACY].copy(), expression=total[Side.CANDIDATE].copy()))
    )
    return [
        *((f"{side}_rows", _side_rows(plan, side)) for side in Side),
        ("counted", counted),
        ("lost", _surplus(plan, "in_legacy", "in_candidate")),
        ("gained", _surplus(plan, "in_candidate", "in_legacy")),
    ]


def _side_rows(plan: Plan, side: Side) -> exp.Select:
    values = []
    for index, pair in enumerate(plan.pairs):
        own, other = paired_values(pair.on(Side.LEGACY), pair.on(Side.CANDIDATE), plan.dialect)
        values.append(_as(own if side is Side.LEGACY else other, _value(index)))
    query = exp.select(*(values or [_as(_number(1), _value(0))])).from_(_table(plan.spec.relation(side)))
    window = _window(plan, side)
    return query if window is None else query.where(window)


def _surplus(plan: Plan, more: str, less: str) -> exp.Select:
    copies = column(more) - column(less)
    query = exp.select(*map(column, plan.names), _as(copies, "copies"))
    if plan.key:
        upto = exp.Window(
            this=exp.Sum(this=copies.copy()),
            partition_by=[column(_value(index)) for index in plan.key],
            order=exp.Order(expressions=[exp.Ordered(this=column(name)) for name in plan.names]),
            spec=exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW"),
        )
        query = query.select(_as(upto, "upto"))
    return query.from_(_name("counted")).where(exp.GT(this=column(more), expression=column(less)))


def _modified(plan: Plan) -> exp.Select:
    """Lost and gained copies of one key with the same number: `legacy_<i>`, `candidate_<i>`, `copies`."""
    upto = {name: column("upto", name) for name in ("lost", "gained")}
    first = {name: column("upto", name) - column("copies", name) for name in ("lost", "gained")}
    overlap = exp.paren(_smaller(upto["lost"], upto["gained"])) - exp.paren(
        _larger(first["lost"], first["gained"])
    )
    values = [
        _as(column(_value(index), name), f"{side}_{index}")
        for index in range(len(plan.pairs))
        for side, name in ((Side.LEGACY, "lost"), (Side.CANDIDATE, "gained"))
    ]
    meet = exp.and_(
        _same_key(plan, "lost", "gained"),
        exp.LT(this=first["lost"].copy(), expression=upto["gained"].copy()),
        exp.LT(this=first["gained"].copy(), expression=upto["lost"].copy()),
    )
    return exp.select(*values, _as(overlap, "copies")).from_(_name("lost")).join(_name("gained"), on=meet)


def _window(plan: Plan, side: Side) -> exp.Expr | None:
    if not plan.spec.windowed:
        return None
    time = plan.time[side]
    return window_filter(plan.spec, time, parse_type(time.type), plan.dialect)


def _same_key(plan: Plan, left: str, right: str) -> exp.Expr:
    return exp.and_(
        *(
            exp.NullSafeEQ(this=column(_value(index), left), expression=column(_value(index), right))
            for index in plan.key
        )
    )


def _differs(index: int) -> exp.Expr:
    legacy, candidate = (column(f"{side}_{index}") for side in Side)
    return exp.NullSafeNEQ(this=legacy, expression=candidate)


def _value(index: int) -> str:
    return f"v{index}"


def _name(name: str) -> exp.Table:
    return exp.Table(this=quoted(name))


def _table(relation: Relation) -> exp.Table:
    return exp.Table(
        this=quoted(relation.table), db=quoted(relation.schema), catalog=quoted(relation.catalog)
    )


def _as(expression: exp.Expr, name: str) -> exp.Alias:
    return exp.Alias(this=expression, alias=quoted(name))


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)


def _text(expression: exp.Expr) -> exp.Expr:
    return exp.func("substring", cast(expression, "varchar"), _number(1), _number(_SAMPLE_CHARACTERS))


def _sum(expression: exp.Expr) -> exp.Expr:
    return exp.func("coalesce", exp.Sum(this=expression), _number(0))


def _when(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    return exp.case().when(condition, value).else_(_number(0))


def _count_where(condition: exp.Expr) -> exp.Expr:
    return exp.Count(this=exp.case().when(condition.copy(), _number(1)))


def _smaller(left: exp.Expr, right: exp.Expr) -> exp.Case:
    return exp.case().when(exp.LT(this=left.copy(), expression=right.copy()), left.copy()).else_(right.copy())


def _larger(left: exp.Expr, right: exp.Expr) -> exp.Case:
    return exp.case().when(exp.GT(this=left.copy(), expression=right.copy()), left.copy()).else_(right.copy())


def _with(query: exp.Select, ctes: Iterable[tuple[str, exp.Query]]) -> exp.Select:
    for name, body in ctes:
        query = query.with_(quoted(name), as_=body, copy=False)
    return query


def _render(query: exp.Query, plan: Plan) -> str:
    return query.sql(dialect=plan.dialect.value, identify=True)
