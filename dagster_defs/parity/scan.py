"""The one pass over both sides: count, sum and xor of row hashes for each bucket, and which buckets differ.

Equal rows have equal shared values (`values.py`) and so equal hashes. Every hash is hashed once more before it is
summed: DuckDB combines a row's columns with a final xor, so without the second hash, values of the last column that
are swapped between two rows would cancel out in the xor and almost cancel out in the sum. The sum distinguishes two
copies from none, which an xor cannot; it is exact, because a sum of 64-bit hashes is 128 bits wide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, reduce
from operator import xor
from typing import Any

from sqlglot import exp

from dagster_defs.parity import keys
from dagster_defs.parity.buckets import Bucket, Buckets
from dagster_defs.parity.fragments import any_of, as_, column, is_null, number, quoted, select, stored
from dagster_defs.parity.plan import Plan, hash_of, render, time_value, values, window_of
from dagster_defs.parity.records import Side, SideCounts


@dataclass(frozen=True, slots=True)
class Digest:
    """For one side's rows in one bucket; equal digests mean equal rows and equal keys."""

    rows: int = 0
    row_sum: int = 0
    row_xor: int = 0
    key_sum: int = 0
    key_xor: int = 0


@dataclass(frozen=True)
class Scan:
    """What the pass found in the window, and the rows that belong to no window."""

    digests: Mapping[Side, Mapping[Bucket, Digest]]
    null_time: SideCounts
    with_keys: bool

    @property
    def rows(self) -> SideCounts:
        return SideCounts(*(sum(digest.rows for digest in self.digests[side].values()) for side in Side))

    @cached_property
    def differing(self) -> frozenset[Bucket]:
        return frozenset(
            bucket
            for bucket in self._buckets
            if self.digests[Side.LEGACY].get(bucket) != self.digests[Side.CANDIDATE].get(bucket)
        )

    @property
    def differing_rows(self) -> SideCounts:
        """Rows in the buckets that differ."""
        counts = (
            sum(digest.rows for bucket, digest in self.digests[side].items() if bucket in self.differing)
            for side in Side
        )
        return SideCounts(*counts)

    @property
    def worth_narrowing(self) -> bool:
        return 2 * len(self.differing) <= len(self._buckets)

    @property
    def same_keys(self) -> bool:
        """Whether both sides certainly hold the same keys equally often."""
        if not self.differing:
            return True
        legacy, candidate = (self._keys(side) for side in Side)
        return self.with_keys and legacy == candidate

    @property
    def _buckets(self) -> set[Bucket]:
        return {bucket for side in Side for bucket in self.digests[side]}

    def _keys(self, side: Side) -> tuple[int, int, int]:
        digests = self.digests[side].values()
        return (
            sum(digest.rows for digest in digests),
            sum(digest.key_sum for digest in digests),
            reduce(xor, (digest.key_xor for digest in digests), 0),
        )


def statement(plan: Plan, buckets: Buckets) -> str:
    """One row for each side and bucket: `side` (0 or 1), `bucket`, and the fields of a `Digest`."""
    # Each side separately: if they were grouped together, both would carry their side through the whole pass.
    both = exp.union(*(_digests(plan, side, buckets) for side in Side), distinct=False, copy=False)
    return render(both, plan)


def read(plan: Plan, buckets: Buckets, rows: Iterable[Mapping[str, Any]]) -> Scan:
    """The answer to `statement`."""
    digests: dict[Side, dict[Bucket, Digest]] = {side: {} for side in Side}
    null_time = dict.fromkeys(Side, 0)
    for row in rows:
        side = list(Side)[int(row["side"])]
        digest = Digest(**{each.name: int(row.get(each.name) or 0) for each in fields(Digest)})
        if row["bucket"] is None and plan.spec.windowed:
            null_time[side] = digest.rows
        else:
            digests[side][None if row["bucket"] is None else int(row["bucket"])] = digest
    return Scan(digests, SideCounts(*null_time.values()), _with_keys(plan, buckets))


def _with_keys(plan: Plan, buckets: Buckets) -> bool:
    """If counting keys costs next to nothing, it is not worth knowing that both sides have the same ones."""
    return bool(plan.key) and not (keys.can_be_a_bitmap(plan) or buckets.keep_keys_together(plan))


def _digests(plan: Plan, side: Side, buckets: Buckets) -> exp.Select:
    with_keys = _with_keys(plan, buckets)
    return (
        select(
            as_(number(list(Side).index(side)), "side"),
            column("bucket"),
            as_(exp.Count(this=exp.Star()), "rows"),
        )
        .select(*_sum_and_xor("row"), *(_sum_and_xor("key") if with_keys else ()), copy=False)
        .from_(_hashed_rows(plan, side, buckets).subquery(quoted("hashed_rows"), copy=False), copy=False)
        .group_by(column("bucket"), copy=False)
    )


def _hashed_rows(plan: Plan, side: Side, buckets: Buckets) -> exp.Select:
    shared = (as_(value, name) for value, name in zip(values(plan, side), plan.names, strict=True))
    rows = select(*shared, as_(buckets.of(plan, side), "bucket")).from_(
        stored(plan.spec.relation(side)), copy=False
    )
    window = window_of(plan, side)
    if window is not None:
        rows = rows.where(any_of(window, is_null(time_value(plan, side))), copy=False)
    query = select(column("bucket"), as_(hash_of(plan, range(len(plan.names))), "row_hash"))
    if _with_keys(plan, buckets):
        query = query.select(as_(hash_of(plan, plan.key), "key_hash"), copy=False)
    return query.from_(rows.subquery(quoted("side_rows"), copy=False), copy=False)


def _sum_and_xor(what: str) -> Iterator[exp.Expr]:
    each = column(f"{what}_hash")
    yield as_(exp.Sum(this=each), f"{what}_sum")
    yield as_(exp.BitwiseXorAgg(this=each.copy()), f"{what}_xor")
