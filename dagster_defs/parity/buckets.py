"""Partitions of the rows that are the same on both sides: equal rows are always in the same bucket.

Hours or days of the time column and ranges of an integer are ordered: rows of some buckets are found by ranges of the
bare column, so that a warehouse can skip the rest. Otherwise the hash of the key, or of the row, decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlglot import exp

from dagster_defs.parity.bounds import instant_filter, window_length
from dagster_defs.parity.dialects.sql import DAY_SECONDS
from dagster_defs.parity.families import Family, parse_type
from dagster_defs.parity.fragments import all_of, any_of, column, is_null, number, when
from dagster_defs.parity.integers import Span
from dagster_defs.parity.plan import Plan, time_value, values
from dagster_defs.parity.records import Side

HASH_BUCKETS = 1_024
# Hours cost the pass no more than days; beyond this limit, too many lines would come back.
_HOURS_UP_TO = timedelta(days=62)
_HOUR, _DAY = 3_600, DAY_SECONDS
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive means UTC here
_MANY_SPANS = 16
# A flag or a year would hardly spread the rows.
_FEW_INTEGERS = 100

Bucket = int | None


class Buckets(Protocol):
    """The bucket is NULL exactly if its input is; in a window that is a missing time."""

    def of(self, plan: Plan, side: Side) -> exp.Expr: ...

    def holding(self, plan: Plan, side: Side, chosen: Sequence[int]) -> exp.Expr | None:
        """True for the rows of `chosen` (ascending), and possibly for others, the same on both sides. None: for all."""
        ...

    def missing(self, plan: Plan, side: Side) -> exp.Expr:
        """True if the bucket is NULL."""
        ...

    def keep_keys_together(self, plan: Plan) -> bool:
        """Whether rows with the same key are certainly in the same bucket."""
        ...


@dataclass(frozen=True, slots=True)
class HashBuckets:
    def of(self, plan: Plan, side: Side) -> exp.Expr:
        shared = values(plan, side)
        bucket = exp.Mod(
            this=plan.sql.hashed(*([shared[index] for index in plan.key] or shared)),
            expression=number(HASH_BUCKETS),
        )
        return when(self.missing(plan, side).not_(), bucket) if plan.spec.windowed else bucket

    def holding(self, plan: Plan, side: Side, chosen: Sequence[int]) -> exp.Expr | None:
        return _listed(self, plan, side, chosen)

    def missing(self, plan: Plan, side: Side) -> exp.Expr:
        return is_null(time_value(plan, side)) if plan.spec.windowed else exp.false()

    def keep_keys_together(self, plan: Plan) -> bool:
        return bool(plan.key)


@dataclass(frozen=True, slots=True)
class TimeBuckets:
    seconds: int

    def of(self, plan: Plan, side: Side) -> exp.Expr:
        kind = parse_type(plan.time[side].type)
        return plan.sql.time_bucket(time_value(plan, side), kind, self.seconds)

    def holding(self, plan: Plan, side: Side, chosen: Sequence[int]) -> exp.Expr | None:
        time = plan.time[side]
        try:
            spans = [
                (_EPOCH + timedelta(seconds=start), _EPOCH + timedelta(seconds=end))
                for start, end in _spans(chosen, self.seconds)
            ]
        except OverflowError:  # Python's calendar ends before a warehouse's
            return None
        kind = parse_type(time.type)
        if len(spans) <= _MANY_SPANS:
            return instant_filter(spans, time, kind, plan.dialect)
        hull = instant_filter([(spans[0][0], spans[-1][1])], time, kind, plan.dialect)
        return all_of(hull, _listed(self, plan, side, chosen))

    def missing(self, plan: Plan, side: Side) -> exp.Expr:
        return is_null(time_value(plan, side))

    def keep_keys_together(self, plan: Plan) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class IntegerBuckets:
    """Each `width` wide, for the pair of columns at `index`."""

    index: int
    width: int

    def of(self, plan: Plan, side: Side) -> exp.Expr:
        return exp.IntDiv(this=self._integer(plan, side), expression=number(self.width))

    def holding(self, plan: Plan, side: Side, chosen: Sequence[int]) -> exp.Expr | None:
        spans = _spans(chosen, self.width)
        if len(spans) > _MANY_SPANS:
            return _listed(self, plan, side, chosen)
        return any_of(
            *(
                all_of(
                    exp.GTE(this=self._integer(plan, side), expression=number(start)),
                    exp.LT(this=self._integer(plan, side), expression=number(end)),
                )
                for start, end in spans
            )
        )

    def missing(self, plan: Plan, side: Side) -> exp.Expr:
        return is_null(self._integer(plan, side))

    def keep_keys_together(self, plan: Plan) -> bool:
        return self.index in plan.key

    def _integer(self, plan: Plan, side: Side) -> exp.Column:
        name, _ = plan.pairs[self.index].on(side)
        return column(name)


def buckets_of(plan: Plan, integer: int | None, spans: Iterable[Span]) -> Buckets:
    """`spans`: the range of each side in the pair at `index`, integers on both sides."""
    instants = bool(plan.time) and all(
        parse_type(time.type).family is Family.INSTANT for time in plan.time.values()
    )
    if instants and plan.spec.windowed:
        length = window_length(plan.spec.lower, plan.spec.upper)
        return TimeBuckets(_HOUR if length is not None and length <= _HOURS_UP_TO else _DAY)
    ends = [end for span in spans for end in (span.first, span.last)]
    if integer is not None and ends and not plan.spec.windowed and max(ends) - min(ends) >= _FEW_INTEGERS:
        return IntegerBuckets(integer, (max(ends) - min(ends)) // HASH_BUCKETS + 1)
    return TimeBuckets(_DAY) if instants else HashBuckets()


def within(buckets: Buckets, plan: Plan, side: Side, chosen: frozenset[Bucket]) -> exp.Expr | None:
    """True for all rows of the chosen buckets; None is true for every row."""
    numbers = sorted(bucket for bucket in chosen if bucket is not None)
    holding = buckets.holding(plan, side, numbers) if numbers else exp.false()
    if holding is None or None not in chosen:
        return holding
    return any_of(holding, buckets.missing(plan, side))


def exactly(buckets: Buckets, plan: Plan, side: Side, chosen: frozenset[Bucket]) -> exp.Expr:
    """True for the rows of the chosen buckets and for no others."""
    listed = _listed(buckets, plan, side, sorted(bucket for bucket in chosen if bucket is not None))
    terms: list[exp.Expr] = [listed] if listed.expressions else []
    if None in chosen:
        terms.append(buckets.missing(plan, side))
    near = within(buckets, plan, side, chosen)
    return all_of(*([] if near is None else [near]), any_of(*terms))


def _listed(buckets: Buckets, plan: Plan, side: Side, chosen: Iterable[int]) -> exp.In:
    return exp.In(this=buckets.of(plan, side), expressions=[number(each) for each in chosen])


def _spans(buckets: Iterable[int], width: int) -> list[tuple[int, int]]:
    """Half-open, with adjacent buckets merged. Division truncates towards zero: below it, a bucket reaches further
    down."""
    spans: list[tuple[int, int]] = []
    for bucket in buckets:
        start, end = (bucket - (bucket <= 0)) * width, (bucket + 1) * width
        if spans and start <= spans[-1][1]:
            start, _ = spans.pop()
        spans.append((start, end))
    return spans
