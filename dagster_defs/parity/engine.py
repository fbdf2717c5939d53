"""One comparison from request to verdict. The reader does the reading; nothing here connects to anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from dagster_defs.errors import (
    ReversedWindow,
    UnknownColumn,
    UsageError,
    WarehouseError,
    WindowWithoutTime,
)
from dagster_defs.parity import sql
from dagster_defs.parity.bounds import reversed_bounds, window_filter
from dagster_defs.parity.families import parse_type
from dagster_defs.parity.records import (
    Check,
    Column,
    ComparisonSpec,
    Dialect,
    Relation,
    Sample,
    Side,
    SideCounts,
    Verdict,
)
from dagster_defs.parity.schema import Pairing, find_column, pair_columns
from dagster_defs.parity.verdict import judge

SAMPLE_LIMIT = 5


class Reader(Protocol):
    """A warehouse that both sides can be read from. Its session's time zone does not matter."""

    @property
    def dialect(self) -> Dialect: ...

    def columns(self, relation: Relation) -> list[Column] | None:
        """In the table's order; None where there is no such relation.

        Raises WarehouseError where it is there and cannot be read, or where the reader knows why it is not.
        """
        ...

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Raises WarehouseError where the warehouse refuses or goes away."""
        ...


def compare(spec: ComparisonSpec, reader: Reader, *, sample_limit: int = SAMPLE_LIMIT) -> Check:
    """Compares the rows of the window on both sides, by value.

    Raises a UsageError where the request itself is wrong, whatever the tables hold. A warehouse that cannot
    answer makes the check inconclusive. `sample_limit` bounds the samples of each kind; 0 takes none.
    """
    if spec.windowed and spec.time_column is None:
        raise WindowWithoutTime(spec.name)
    if reversed_bounds(spec.lower, spec.upper):
        raise ReversedWindow(spec.name, str(spec.lower), str(spec.upper))

    columns: dict[Side, list[Column]] = {}
    absent: list[str] = []
    for side in Side:
        relation = spec.relation(side)
        try:
            found = reader.columns(relation)
        except WarehouseError as error:
            absent.append(f"{side}: {error}")
            continue
        if found is None:
            absent.append(f"{side} relation {relation} does not exist")
        else:
            _refuse_unusable(spec, side, found, reader.dialect)
            columns[side] = found
    if absent:
        return Check(spec.name, Verdict.INCONCLUSIVE, "; ".join(absent))

    pairing = pair_columns(columns[Side.LEGACY], columns[Side.CANDIDATE])
    plan = _plan(spec, columns, pairing, reader.dialect)
    counted = Check(
        spec.name,
        Verdict.INCONCLUSIVE,
        "not compared",
        schema_differences=pairing.differences,
    )
    try:
        counted = _count(counted, plan, reader)
        if counted.rows.total:
            counted = _differences(counted, plan, reader)
            counted = replace(counted, samples=tuple(_samples(counted, plan, reader, sample_limit)))
    except WarehouseError as error:
        return replace(counted, reason=str(error))
    return judge(counted, complete=pairing.complete)


def compare_each(
    specs: Iterable[ComparisonSpec], reader: Reader, *, sample_limit: int = SAMPLE_LIMIT
) -> Iterator[Check]:
    """One check for each request, in order; a wrong request becomes a check with `error` set."""
    for spec in specs:
        try:
            yield compare(spec, reader, sample_limit=sample_limit)
        except UsageError as error:
            yield Check(spec.name, Verdict.INCONCLUSIVE, str(error), error=True)


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


def _plan(
    spec: ComparisonSpec, columns: Mapping[Side, Sequence[Column]], pairing: Pairing, dialect: Dialect
) -> sql.Plan:
    key = tuple(dict.fromkeys(pairing.index(name) for name in spec.key))
    time: dict[Side, Column] = {}
    if spec.time_column is not None:
        pair = pairing.pairs[pairing.index(spec.time_column)]
        time = {Side.LEGACY: pair.legacy, Side.CANDIDATE: pair.candidate}
    return sql.Plan(spec, pairing.pairs, key, time, dialect)


def _count(check: Check, plan: sql.Plan, reader: Reader) -> Check:
    counts = {side: reader.rows(sql.row_counts(plan, side))[0] for side in Side}
    rows = SideCounts(*(int(counts[side]["in_window"]) for side in Side))
    null_time = SideCounts(*(int(counts[side]["null_time"]) for side in Side))
    violations = SideCounts()
    if plan.key:
        distinct = [int(reader.rows(sql.distinct_keys(plan, side))[0]["distinct_keys"]) for side in Side]
        violations = SideCounts(rows.legacy - distinct[0], rows.candidate - distinct[1])
    return replace(check, rows=rows, null_time_rows=null_time, key_violations=violations)


def _differences(check: Check, plan: sql.Plan, reader: Reader) -> Check:
    counts = reader.rows(sql.difference_counts(plan))[0]
    modified = int(counts["modified"])
    changed = {plan.pairs[index].name: int(counts.get(f"changed_{index}", 0)) for index in plan.others}
    return replace(
        check,
        only_in_legacy=int(counts["lost"]) - modified,
        only_in_candidate=int(counts["gained"]) - modified,
        modified=modified,
        changed_values={name: count for name, count in changed.items() if count},
    )


def _samples(check: Check, plan: sql.Plan, reader: Reader, limit: int) -> Iterator[Sample]:
    if not limit:
        return
    names = [pair.name for pair in plan.pairs]
    if check.modified:
        for row in reader.rows(sql.modified_sample(plan, limit)):
            values = {
                index: {side.value: row[f"{side}_{index}"] for side in Side} for index in range(len(names))
            }
            yield {
                "kind": "modified",
                "copies": int(row["copies"]),
                "key": {names[index]: values[index][Side.LEGACY] for index in plan.key},
                "columns": {names[index]: values[index] for index in plan.others if row[f"differs_{index}"]},
            }
    for side, count in ((Side.LEGACY, check.only_in_legacy), (Side.CANDIDATE, check.only_in_candidate)):
        if count:
            for row in reader.rows(sql.one_sided_sample(plan, side, limit)):
                yield {
                    "kind": f"only_in_{side}",
                    "copies": int(row["copies"]),
                    "row": {name: row[f"value_{index}"] for index, name in enumerate(names)},
                }
