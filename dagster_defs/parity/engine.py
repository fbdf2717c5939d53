"""One comparison from request to verdict. The reader does the reading; nothing here connects to anything.

Equal tables cost one pass (`scan.py`) and a count of their keys (`keys.py`). Only if buckets differ are rows examined,
and only in those buckets (`drill.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

from sqlglot import exp

from dagster_defs.errors import (
    ReversedWindow,
    UnknownColumn,
    WarehouseError,
    WindowWithoutTime,
)
from dagster_defs.parity import drill, keys, renames, scan, wide
from dagster_defs.parity.bounds import refuse_uneven_bounds, reversed_bounds, window_filter
from dagster_defs.parity.buckets import buckets_of, exactly
from dagster_defs.parity.dialects import sql_of
from dagster_defs.parity.families import parse_type
from dagster_defs.parity.integers import Span, leading_integer, span
from dagster_defs.parity.plan import Plan
from dagster_defs.parity.records import (
    Check,
    Column,
    ComparisonSpec,
    Dialect,
    Relation,
    Sample,
    SchemaChange,
    Side,
    SideCounts,
    Tolerance,
    ToleranceKind,
    Verdict,
)
from dagster_defs.parity.schema import Pairing, find_column, pair_columns
from dagster_defs.parity.tolerances import refuse_wrong, refuse_wrong_columns, split_expired
from dagster_defs.parity.verdict import judge

SAMPLE_LIMIT = 5


class Reader(Protocol):
    """A warehouse from which both sides can be read. Its session's time zone does not matter."""

    @property
    def dialect(self) -> Dialect: ...

    def columns(self, relation: Relation) -> list[Column] | None:
        """In the table's order; None if there is no such relation.

        Raises WarehouseError if it exists but cannot be read, or if the reader knows why it does not exist.
        """
        ...

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Raises WarehouseError if the warehouse rejects the statement or the connection is lost."""
        ...


def compare(
    spec: ComparisonSpec, reader: Reader, *, today: date | None = None, sample_limit: int = SAMPLE_LIMIT
) -> Check:
    """Compares the rows of the window on both sides, by value.

    Raises a UsageError if the request itself is wrong, whatever the tables hold. If the warehouse cannot answer, the
    check is inconclusive. `today` decides which tolerances have expired; it is required if any can expire (ValueError).
    `sample_limit` limits the samples of each kind; 0 takes none.
    """
    if spec.windowed and spec.time_column is None:
        raise WindowWithoutTime(spec.name)
    if reversed_bounds(spec.lower, spec.upper):
        raise ReversedWindow(spec.name, str(spec.lower), str(spec.upper))
    refuse_wrong(spec)
    active, expired = split_expired(spec.tolerances, today)

    check = Check(spec.name, Verdict.INCONCLUSIVE, "not compared", expired_tolerances=expired)
    discreet = bool(spec.masked) or not sample_limit
    shown = _Shown(sql_of(reader.dialect).quotes if discreet else "")
    columns, absent = _columns(spec, reader, shown)
    refuse_wrong_columns(spec, list(columns.values()))
    _refuse_unknown_masks(spec, list(columns.values()))
    if absent:
        return replace(check, reason="; ".join(absent))

    if spec.windowed and spec.time_column is not None:
        times = {side: find_column(spec.time_column, side_columns) for side, side_columns in columns.items()}
        refuse_uneven_bounds(spec, {side: time for side, time in times.items() if time is not None})
    pairing = pair_columns(columns[Side.LEGACY], columns[Side.CANDIDATE])
    plan = _plan(spec, columns, pairing, reader.dialect, active)
    check = replace(check, schema_differences=pairing.differences)
    if refused := list(_incomparable(plan)):
        return replace(check, reason="; ".join(refused))
    try:
        check = _with_counts(check, plan, reader, sample_limit)
        check = _with_ignored_columns(check, active)
        check = _with_renames(check, plan, reader)
    except WarehouseError as error:
        return replace(check, reason=shown.text(error))
    return judge(check, _left_out(check, plan, active))


def _left_out(check: Check, plan: Plan, tolerances: Iterable[Tolerance]) -> tuple[str, ...]:
    """The ignored columns, if nothing but a key is left to compare. A table that *is* its key was compared."""
    if set(plan.compared) - set(plan.key):
        return ()
    ignored = [pair.name for index, pair in enumerate(plan.pairs) if plan.ignores(index)]
    return (*ignored, *_ignored_alone(check, tolerances))


@dataclass(frozen=True, slots=True)
class _Shown:
    """Filters warehouse messages, which may quote values, if values must not be shown. `quoted` is empty if they
    may."""

    quoted: str

    def text(self, error: WarehouseError) -> str:
        return re.sub(self.quoted, "'***'", str(error)) if self.quoted else str(error)


def _incomparable(plan: Plan) -> Iterator[str]:
    for index in plan.compared:
        for side in Side:
            _, kind = plan.pairs[index].on(side)
            if why := plan.sql.incomparable(kind):
                name = plan.pairs[index].name
                yield f"column {name} was not compared: {why}. Ignore it by a tolerance, or compare views that cast it"
                break


def _columns(
    spec: ComparisonSpec, reader: Reader, shown: _Shown
) -> tuple[dict[Side, list[Column]], list[str]]:
    """The columns of the sides that exist, and why the others are missing."""
    columns: dict[Side, list[Column]] = {}
    absent: list[str] = []
    for side in Side:
        relation = spec.relation(side)
        try:
            existing = reader.columns(relation)
        except WarehouseError as error:
            absent.append(f"{side}: {shown.text(error)}")
            continue
        if existing is None:
            absent.append(f"{side} relation {relation} does not exist")
        else:
            _refuse_unusable(spec, side, existing, reader.dialect)
            columns[side] = existing
    return columns, absent


def _refuse_unusable(spec: ComparisonSpec, side: Side, columns: Sequence[Column], dialect: Dialect) -> None:
    for name in (*spec.key, *([spec.time_column] if spec.time_column is not None else [])):
        if find_column(name, columns) is None:
            raise UnknownColumn(
                spec.name, name, str(spec.relation(side)), [column.name for column in columns]
            )
    if spec.windowed and spec.time_column is not None:
        time = find_column(spec.time_column, columns)
        if time is not None:
            window_filter(spec, time, parse_type(time.type), dialect)


def _refuse_unknown_masks(spec: ComparisonSpec, tables: Sequence[Sequence[Column]]) -> None:
    """A mask with a typo in its name would show what it is meant to hide."""
    for name in spec.masked:
        if len(tables) == len(Side) and not any(find_column(name, columns) for columns in tables):
            known = dict.fromkeys(each.name for columns in tables for each in columns)
            raise UnknownColumn(spec.name, name, f"each of {spec.legacy} and {spec.candidate}", list(known))


def _plan(
    spec: ComparisonSpec,
    columns: Mapping[Side, Sequence[Column]],
    pairing: Pairing,
    dialect: Dialect,
    tolerances: Iterable[Tolerance],
) -> Plan:
    key = tuple(dict.fromkeys(pairing.index(name) for name in spec.key))
    time: dict[Side, Column] = {}
    if spec.time_column is not None:
        pair = pairing.pairs[pairing.index(spec.time_column)]
        time = {Side.LEGACY: pair.legacy, Side.CANDIDATE: pair.candidate}
    applied = {
        pairing.index(tolerance.column): tolerance
        for tolerance in tolerances
        if find_column(tolerance.column, [pair.legacy for pair in pairing.pairs]) is not None
    }
    return Plan(spec, pairing.pairs, key, time, dialect, applied)


def _with_counts(check: Check, plan: Plan, reader: Reader, sample_limit: int) -> Check:
    integer = leading_integer(plan)
    spans = {} if integer is None else _spans(plan, integer, reader)
    buckets = buckets_of(plan, integer, spans.values())
    scanned = scan.read(plan, buckets, reader.rows(scan.statement(plan, buckets)))
    check = replace(check, rows=scanned.rows, null_time_rows=scanned.null_time)
    part = drill.Part(buckets, scanned.differing) if scanned.worth_narrowing else None
    if plan.key:
        violations = _key_violations(plan, scanned, part, spans, reader)
        check = replace(check, key_violations=violations)
    if not scanned.differing:
        return check
    unique_keys = bool(plan.key) and not check.key_violations.total
    if wide.is_wide(plan):
        looked_at = scanned.rows if part is None else scanned.differing_rows
        rows = wide.answer(plan, part, sample_limit, looked_at.total, reader.rows, unique_keys=unique_keys)
    else:
        rows = reader.rows(drill.statement(plan, part, sample_limit, unique_keys=unique_keys))
    return _with_differences(check, plan, rows)


def _spans(plan: Plan, integer: int, reader: Reader) -> dict[Side, Span]:
    """For the sides that have one: an empty side does not."""
    if plan.spec.windowed and not keys.can_be_a_bitmap(plan):
        return {}  # nothing would use them
    spans = {side: reader.rows(span(plan, side, integer))[0] for side in Side}
    return {
        side: Span(int(row["first"]), int(row["last"]))
        for side, row in spans.items()
        if row["first"] is not None
    }


def _key_violations(
    plan: Plan, scanned: scan.Scan, part: drill.Part | None, spans: Mapping[Side, Span], reader: Reader
) -> SideCounts:
    """The candidate is counted only if its keys may differ."""

    def violations(side: Side, rows: SideCounts, only: exp.Expr | None = None) -> int:
        own = rows.of(side)
        if not own:
            return 0
        query = keys.count(plan, side, spans.get(side), scanned.rows.of(side), only)
        return own - int(reader.rows(query)[0]["keys"] or 0)

    legacy = violations(Side.LEGACY, scanned.rows)
    if scanned.same_keys:
        return SideCounts(legacy, legacy)
    if part is None or not part.buckets.keep_keys_together(plan):
        return SideCounts(legacy, violations(Side.CANDIDATE, scanned.rows))
    # Equal buckets have equally many.
    there = [
        violations(side, scanned.differing_rows, exactly(part.buckets, plan, side, part.chosen))
        for side in Side
    ]
    return SideCounts(legacy, legacy - there[0] + there[1])


def _with_differences(check: Check, plan: Plan, rows: Sequence[Mapping[str, Any]]) -> Check:
    """`rows`: the answer to `drill.statement`."""
    counts = rows[0]
    only = SideCounts(int(counts["only_in_legacy"]), int(counts["only_in_candidate"]))
    changed = _by_column(plan, "changed", counts)
    differing = tuple(changed)
    if not plan.key and only.legacy == only.candidate:
        differing = tuple(_by_column(plan, "digest", counts))
    return replace(
        check,
        only_in_legacy=only.legacy,
        only_in_candidate=only.candidate,
        modified=int(counts["modified"]),
        changed_values=changed,
        differing_columns=differing,
        tolerated=_by_column(plan, "tolerated", counts),
        samples=tuple(_samples(plan, (row for row in rows if row.get("kind") is not None))),
    )


def _by_column(plan: Plan, what: str, counts: Mapping[str, Any]) -> dict[str, int]:
    return {
        pair.name: count
        for index, pair in enumerate(plan.pairs)
        if (count := int(counts.get(f"{what}_{index}") or 0))
    }


def _samples(plan: Plan, rows: Iterable[Mapping[str, Any]]) -> Iterator[Sample]:
    names = [pair.name for pair in plan.pairs]
    for row in rows:
        kind, copies = row["kind"], int(row["copies"])
        if kind == "modified":
            values = [{side.value: row[f"{side}_{index}"] for side in Side} for index in range(len(names))]
            yield {
                "kind": kind,
                "copies": copies,
                "key": {names[index]: values[index][Side.LEGACY] for index in plan.key},
                "columns": {names[index]: values[index] for index in plan.others if row[f"differs_{index}"]},
            }
        else:
            side = kind.removeprefix("only_in_")
            shown = {name: row[f"{side}_{index}"] for index, name in enumerate(names)}
            yield {"kind": kind, "copies": copies, "row": shown}


def _with_renames(check: Check, plan: Plan, reader: Reader) -> Check:
    alone = renames.candidates(
        difference for difference in check.schema_differences if difference.column not in check.tolerated
    )
    if not alone or not check.rows.legacy or check.rows.legacy != check.rows.candidate:
        return check
    answers = {side: reader.rows(renames.statement(plan, side, alone[side]))[0] for side in Side}
    renamed = renames.renamed(check.schema_differences, alone, answers)
    return replace(check, schema_differences=tuple(renamed))


def _with_ignored_columns(check: Check, tolerances: Iterable[Tolerance]) -> Check:
    """A column of one side whose absence is tolerated counts as one tolerated difference."""
    return replace(
        check, tolerated={**check.tolerated, **dict.fromkeys(_ignored_alone(check, tolerances), 1)}
    )


def _ignored_alone(check: Check, tolerances: Iterable[Tolerance]) -> list[str]:
    """Ignored columns that only one side has."""
    return [
        difference.column
        for difference in check.schema_differences
        if difference.kind in (SchemaChange.MISSING, SchemaChange.EXTRA)
        and any(
            tolerance.kind is ToleranceKind.IGNORED
            and find_column(tolerance.column, [Column(difference.column, "")]) is not None
            for tolerance in tolerances
        )
    ]
