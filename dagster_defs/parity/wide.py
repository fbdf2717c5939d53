"""The drill-down into tables with many columns: its statements do not grow with the number of columns.

Carried through joins and groups, hundreds of columns would take more memory than a comparison may use. So rows are
first counted and paired by their key, the columns with a tolerance, and a hash of everything else. Digests then show
which columns differ, and joins of a few columns at a time show how often. Values are read only for the samples. A hash
stands for its values as in `scan.py`: two different rows with the same hash are a chance of one in 2 ** 64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp

from dagster_defs.parity import drill
from dagster_defs.parity.fragments import (
    all_of,
    as_,
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
from dagster_defs.parity.leftovers import ONLY, compared_value, leftovers
from dagster_defs.parity.plan import Plan, hash_of, hashable_value, render, value_name
from dagster_defs.parity.records import Column, Side, Tolerance, ToleranceKind
from dagster_defs.parity.schema import ColumnPair

WIDE = 24
"""Tables with more common columns than this are handled here, others by the single statement of `drill.py`."""
_AT_ONCE = 32  # columns that a join carries
_VALUES_AT_ONCE = 128  # columns whose values are read at once for the samples
_CELLS = 16_000_000  # values that one pairing of rows carries

Ask = Callable[[str], list[dict[str, Any]]]
Row = dict[str, Any]


def is_wide(plan: Plan) -> bool:
    return len(plan.pairs) > WIDE


def answer(
    plan: Plan, part: drill.Part | None, sample_limit: int, rows: int, ask: Ask, *, unique_keys: bool
) -> list[Row]:
    """The answer that `drill.statement` would get. `rows`: those of both sides that are examined."""
    thin = Thin.of(plan, part, unique_keys=unique_keys)
    counts: Row = {}
    samples: list[Row] = []
    batches = thin.batches(rows)
    for batch in batches:
        answers = ask(thin.statement(batch, sample_limit))
        for name, count in answers[0].items():
            if name in thin.counted:
                counts[name] = counts.get(name, 0) + int(count or 0)
        samples += [row for row in answers if row.get("kind") is not None]
    counts = thin.in_full(counts)
    if plan.key and counts.pop("changed_firm"):
        for name, count in _changes(thin, counts, batches, ask):
            counts[name] = counts.get(name, 0) + count
    elif not plan.key and counts["only_in_legacy"] == counts["only_in_candidate"] != 0:
        digests = [ask(_digests(plan, side, part, plan.compared, keyed=False))[0] for side in Side]
        for index in plan.compared:
            legacy, candidate = (int(answers[f"digest_{index}"]) for answers in digests)
            counts[f"digest_{index}"] = legacy - candidate
    shown = _shown(thin, _first(samples, sample_limit), ask)
    return [counts | sample for sample in shown] or [counts]


@dataclass(frozen=True, slots=True)
class Thin:
    """Rows as their key, the columns with a tolerance, and hashes.

    `plan` is the plan of the thin rows: `carried` are the positions in `full` of its first pairs. `firm` is the
    position of the hash of the other columns (None if there is none), `row` that of the hash of all.
    """

    full: Plan
    part: drill.Part | None
    plan: Plan
    carried: tuple[int, ...]
    firm: int | None
    row: int
    unique_keys: bool

    @classmethod
    def of(cls, full: Plan, part: drill.Part | None, *, unique_keys: bool) -> Thin:
        carried = (*full.key, *full.tolerances)
        tolerances = {carried.index(index): tolerance for index, tolerance in full.tolerances.items()}
        pairs = [full.pairs[index] for index in carried]
        firm: int | None = len(pairs)
        if tolerances:
            if len(carried) < len(full.pairs):
                pairs.append(_hash_pair("firm"))
            else:
                firm = None
            tolerances[len(pairs)] = Tolerance("row", ToleranceKind.IGNORED)
        row = len(pairs)
        pairs.append(_hash_pair("row"))
        plan = replace(full, pairs=tuple(pairs), key=tuple(range(len(full.key))), tolerances=tolerances)
        return cls(full, part, plan, carried, firm, row, unique_keys)

    @property
    def counted(self) -> frozenset[str]:
        """Counts in the answer to `statement`."""
        of_columns = (f"{what}_{index}" for what in ("changed", "tolerated") for index in self.plan.others)
        return frozenset({"only_in_legacy", "only_in_candidate", "modified", *of_columns})

    @property
    def rest(self) -> list[int]:
        """Positions in `full` of the columns that are represented only by a hash."""
        return [index for index in range(len(self.full.pairs)) if index not in self.carried]

    def in_full(self, counts: Mapping[str, int]) -> Row:
        """By the positions in `full`; `changed_firm`: rows that differ in columns represented only by a hash."""
        full: Row = {name: counts[name] for name in ("only_in_legacy", "only_in_candidate", "modified")}
        full["changed_firm"] = 0 if self.firm is None else counts.get(f"changed_{self.firm}", 0)
        for thin_index, index in enumerate(self.carried):
            for what in ("changed", "tolerated"):
                if count := counts.get(f"{what}_{thin_index}"):
                    full[f"{what}_{index}"] = count
        return full

    def batches(self, rows: int) -> list[exp.Expr | None]:
        """Conditions that divide the rows into batches, keeping each group together; a condition of None is always
        true."""
        group = [value_name(index) for index in self.plan.key]
        if not group and self.firm is not None:
            group = [value_name(self.firm)]
        count = -(-rows * len(self.plan.pairs) // _CELLS)
        if count <= 1 or not group:
            return [None]
        share = func("abs", exp.Mod(this=self.plan.sql.hashed(*map(column, group)), expression=number(count)))
        return [exp.EQ(this=share.copy(), expression=number(batch)) for batch in range(count)]

    def rows(self, side: Side, batch: exp.Expr | None) -> exp.Select:
        values: list[exp.Expr] = [
            as_(column(value_name(index)), value_name(position))
            for position, index in enumerate(self.carried)
        ]
        if self.firm not in (None, self.row):
            values.append(as_(hash_of(self.full, self.rest), value_name(self.row - 1)))
        values.append(as_(hash_of(self.full, range(len(self.full.pairs))), value_name(self.row)))
        query = select(*values).from_(_subquery(drill.chosen_rows(self.full, side, self.part)), copy=False)
        if batch is None:
            return query
        return select("*").from_(_subquery(query, "thin_rows"), copy=False).where(batch.copy(), copy=False)

    def tables(self, batch: exp.Expr | None) -> list[tuple[str, exp.Query]]:
        return [
            *((f"{side}_rows", self.rows(side, batch)) for side in Side),
            *leftovers(self.plan, unique_keys=self.unique_keys),
        ]

    def statement(self, batch: exp.Expr | None, sample_limit: int) -> str:
        """Like that of `drill.py`; a sample is `kind`, `copies`, and `legacy_row` and `candidate_row`, its hashes."""
        tables = [*self.tables(batch), ("counts", drill.counts(self.plan, value_digests=False))]
        query = select(exp.Column(this=exp.Star(), table=quoted("counts"))).from_(named("counts"), copy=False)
        if sample_limit:
            tables.append(("samples", self._samples(sample_limit)))
            query = query.select(exp.Column(this=exp.Star(), table=quoted("samples")), copy=False).join(
                named("samples"), on=exp.true(), join_type="left", copy=False
            )
        return render(_with(tables, query), self.plan)

    def _samples(self, limit: int) -> exp.Query:
        """`beyond_<position in the full table>`: whether a column with a tolerance differs by more than is
        tolerated."""
        judged = (
            [(self.carried.index(index), index) for index in self.full.tolerances] if self.plan.key else []
        )
        kinds: list[exp.Select] = []
        if self.plan.key:
            beyond = (
                as_(when(drill.changed(thin_index), number(1), number(0)), f"beyond_{index}")
                for thin_index, index in judged
            )
            hashes = [as_(column(f"{side}_{self.row}", "paired"), f"{side}_row") for side in Side]
            order = [column(f"legacy_{index}", "paired") for index in self.plan.key]
            order += [column(f"{side}_{self.row}", "paired") for side in Side]
            kinds.append(
                select(as_(text("modified"), "kind"), column("copies"), *hashes, *beyond)
                .from_(named("paired"), copy=False)
                .where(drill.modified(self.plan), copy=False)
                .order_by(*order, copy=False)
                .limit(limit, copy=False)
            )
        for side in Side:
            row = column(value_name(self.row))
            hashes = [as_(row if each is side else self.plan.sql.no_hash(), f"{each}_row") for each in Side]
            order = [column(value_name(index)) for index in (*self.plan.key, self.row)]
            kinds.append(
                select(as_(text(f"only_in_{side}"), "kind"), column("copies"), *hashes)
                .select(*(as_(number(0), f"beyond_{index}") for _, index in judged), copy=False)
                .from_(named(ONLY[side]), copy=False)
                .order_by(*order, copy=False)
                .limit(limit, copy=False)
            )
        return drill.one_after_another(kinds)


def _changes(
    thin: Thin, counts: Mapping[str, int], batches: Sequence[exp.Expr | None], ask: Ask
) -> Iterator[tuple[str, int]]:
    """How many modified rows differ in each of the columns that are represented only by a hash."""
    if thin.unique_keys:
        alone = bool(counts["only_in_legacy"] or counts["only_in_candidate"])
        digests = [
            ask(_digests(thin.full, side, thin.part, thin.rest, keyed=True, with_partner=alone))[0]
            for side in Side
        ]
        differing = [
            index
            for index in thin.rest
            if len({int(digest_row[f"digest_{index}"]) for digest_row in digests}) > 1
        ]
        statements = [_changes_by_key(thin, some) for some in _shares(differing, _AT_ONCE)]
    else:
        statements = [
            _changes_by_pair(thin, some, batch) for batch in batches for some in _shares(thin.rest, _AT_ONCE)
        ]
    for statement in statements:
        yield from ((name, int(count or 0)) for name, count in ask(statement)[0].items())


def _digests(
    plan: Plan,
    side: Side,
    part: drill.Part | None,
    positions: Sequence[int],
    *,
    keyed: bool,
    with_partner: bool = False,
) -> str:
    """One row: `digest_<position>`, the sum of the column's hashes over rows whose key has a partner, or over all rows.

    With a key, equal digests mean that every key has the same value on both sides, provided that no key is repeated.
    """
    key = [hashable_value(plan, index, column(value_name(index), "own")) for index in plan.key if keyed]
    values = {index: hashable_value(plan, index, compared_value(plan, index, "own")) for index in positions}
    sums = [as_(total(plan.sql.hashed(*key, value)), f"digest_{index}") for index, value in values.items()]
    own = _subquery(drill.chosen_rows(plan, side, part), "own")
    query = select(*sums).from_(own, copy=False)
    if with_partner:
        other_side = Side.CANDIDATE if side is Side.LEGACY else Side.LEGACY
        query = query.join(
            _subquery(drill.chosen_rows(plan, other_side, part), "partner"),
            on=_same_key(plan, "own", "partner"),
            copy=False,
        )
    return render(query, plan)


def _changes_by_key(thin: Thin, positions: Sequence[int]) -> str:
    """One row: `changed_<position>`, for keys that neither side repeats."""
    query = select(
        *(
            as_(
                total(when(other(*(column(value_name(index), f"{side}_rows") for side in Side)), number(1))),
                f"changed_{index}",
            )
            for index in positions
        )
    )
    legacy, candidate = (
        _subquery(drill.chosen_rows(thin.full, side, thin.part), f"{side}_rows") for side in Side
    )
    on = _same_key(thin.full, "legacy_rows", "candidate_rows")
    return render(query.from_(legacy, copy=False).join(candidate, on=on, copy=False), thin.plan)


def _changes_by_pair(thin: Thin, positions: Sequence[int], batch: exp.Expr | None) -> str:
    """One row: `changed_<position>`, for rows that were paired; their hashes identify them."""
    firm = thin.row if thin.firm is None else thin.firm
    pairs = (
        select(
            *(as_(column(f"{side}_{thin.row}"), f"{side}_row") for side in Side),
            as_(exp.Sum(this=column("copies")), "copies"),
        )
        .from_(named("paired"), copy=False)
        .where(column(f"changed_{firm}"), copy=False)
        .group_by(*(column(f"{side}_{thin.row}") for side in Side), copy=False)
    )
    tables = [*thin.tables(batch), ("changed_pairs", pairs)]
    query = select(
        *(
            as_(
                total(
                    when(
                        other(*(column(value_name(index), f"{side}_values") for side in Side)),
                        column("copies", "changed_pairs"),
                    )
                ),
                f"changed_{index}",
            )
            for index in positions
        )
    ).from_(named("changed_pairs"), copy=False)
    for side in Side:
        hashes = select(column(f"{side}_row")).from_(named("changed_pairs"), copy=False)
        query = query.join(
            _subquery(
                _by_row(thin, side, positions, exp.In(this=column("row"), query=hashes.subquery(copy=False))),
                f"{side}_values",
            ),
            on=exp.EQ(
                this=column("row", f"{side}_values"), expression=column(f"{side}_row", "changed_pairs")
            ),
            copy=False,
        )
    return render(_with(tables, query), thin.plan)


def _by_row(thin: Thin, side: Side, positions: Sequence[int], only: exp.Expr) -> exp.Select:
    """One line for each distinct row, found by its hash: `row`, and the values at these positions."""
    rows = select(
        *(column(value_name(index)) for index in positions),
        as_(hash_of(thin.full, range(len(thin.full.pairs))), "row"),
    ).from_(_subquery(drill.chosen_rows(thin.full, side, thin.part)), copy=False)
    values = (
        as_(thin.full.sql.any_of_group(column(value_name(index))), value_name(index)) for index in positions
    )
    return (
        select(column("row"), *values)
        .from_(_subquery(rows, "hashed_rows"), copy=False)
        .where(only, copy=False)
        .group_by(column("row"), copy=False)
    )


def _first(samples: Sequence[Row], limit: int) -> list[Row]:
    """At most `limit` of each kind, whatever the batch."""
    kinds = ["modified", *(f"only_in_{side}" for side in Side)]
    return [row for kind in kinds for row in [each for each in samples if each["kind"] == kind][:limit]]


def _shown(thin: Thin, samples: Sequence[Row], ask: Ask) -> Iterator[Row]:
    """The samples with their values, in the format of `drill.statement`."""
    positions = range(len(thin.full.pairs))
    cells = {
        side: _values(
            thin,
            side,
            sorted({int(row[f"{side}_row"]) for row in samples if row[f"{side}_row"] is not None}),
            ask,
        )
        for side in Side
    }
    for sample in samples:
        own = {
            side: {} if sample[f"{side}_row"] is None else cells[side][int(sample[f"{side}_row"])]
            for side in Side
        }
        shown: Row = {"kind": sample["kind"], "copies": sample["copies"]}
        for index in positions:
            shown |= {f"{side}_{index}": own[side].get(f"text_{index}") for side in Side}
            legacy, candidate = (own[side].get(f"hash_{index}") for side in Side)
            shown[f"differs_{index}"] = sample.get(f"beyond_{index}", int(legacy != candidate))
        yield shown


def _values(thin: Thin, side: Side, hashes: Sequence[int], ask: Ask) -> dict[int, Row]:
    """By the row's hash: `text_<position>`, truncated and masked, and `hash_<position>`."""
    rows_of: dict[int, Row] = {each: {} for each in hashes}
    if not hashes:
        return rows_of
    only = exp.In(this=column("row"), expressions=[number(each) for each in hashes])
    for positions in _shares(range(len(thin.full.pairs)), _VALUES_AT_ONCE):
        values = (
            part
            for index in positions
            for part in (
                as_(drill.shown_text(thin.full, index, column(value_name(index))), f"text_{index}"),
                as_(hash_of(thin.full, [index]), f"hash_{index}"),
            )
        )
        rows = _subquery(_by_row(thin, side, positions, only.copy()), "sampled")
        for line in ask(render(select(column("row"), *values).from_(rows, copy=False), thin.plan)):
            rows_of[int(line["row"])] |= line
    return rows_of


def _hash_pair(name: str) -> ColumnPair:
    return ColumnPair(Column(name, "UBIGINT"), Column(name, "UBIGINT"))


def _same_key(plan: Plan, left: str, right: str) -> exp.Expr:
    names = [value_name(index) for index in plan.key]
    return all_of(*(exp.EQ(this=column(name, left), expression=column(name, right)) for name in names))


def _shares(positions: Sequence[int], size: int) -> list[Sequence[int]]:
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def _subquery(query: exp.Query, name: str = "side_rows") -> exp.Subquery:
    return query.subquery(quoted(name), copy=False)


def _with(tables: Sequence[tuple[str, exp.Query]], query: exp.Select) -> exp.Select:
    for name, body in tables:
        query = query.with_(quoted(name), as_=body, copy=False)
    return query
