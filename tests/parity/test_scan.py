# ruff: noqa: S608 - every query is written here
"""The one pass: what it sees, and how little is looked at beyond it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import duckdb
import pytest

from dagster_defs.parity import ComparisonSpec, Relation, Side, SideCounts, Verdict, compare
from tests.parity.conftest import MemoryReader

Put = Callable[[Side, Mapping[str, str], Iterable[tuple[Any, ...]]], Relation]
Fill = Callable[[Side, str], Relation]

MILLION = (
    "select range as id, timestamp '2024-03-10' + to_seconds(range // 12) as at, range % 1000 as fare,"
    " 'driver ' || range % 977 as driver from range(1000000)"
)
DAY: dict[str, Any] = {"time_column": "at", "lower": "2024-03-10", "upper": "2024-03-11"}


@pytest.fixture
def fill(connection: duckdb.DuckDBPyConnection) -> Fill:
    """Replaces the one table of a side by a query's rows."""

    def fill(side: Side, query: str) -> Relation:
        connection.execute(f"create or replace table {side}.main.t as {query}")
        return Relation(side.value, "main", "t")

    return fill


PLANTED = {
    "one value": ("if(id = 765432, fare + 1, fare) as fare", {"fare": 1}),
    "two that cancel in a sum": ("fare + if(id = 5, 1, if(id = 999000, -1, 0)) as fare", {"fare": 2}),
    "swapped between two rows": ("case id when 7 then 8 when 8 then 7 else fare end as fare", {"fare": 2}),
    "swapped in the last column": (
        "if(id in (7, 8), 'driver ' || (15 - id) % 977, driver) as driver",
        {"driver": 2},
    ),
    "swapped between two columns": (
        "if(id = 500500, id, fare) as fare, if(id = 500500, 'driver 500', driver) as driver",
        {"fare": 1, "driver": 1},
    ),
}


@pytest.mark.parametrize("bounds", [{}, DAY], ids=["whole", "window"])
@pytest.mark.parametrize("planted", PLANTED)
def test_a_difference_in_a_million_rows_is_found(
    fill: Fill, reader: MemoryReader, planted: str, bounds: dict[str, Any]
) -> None:
    """Among a million rows each changed value is found and counted, and few rows are looked at for it."""
    change, changed = PLANTED[planted]
    legacy = fill(Side.LEGACY, MILLION)
    candidate = fill(Side.CANDIDATE, f"select * replace ({change}) from ({MILLION})")
    reader.statements.clear()
    check = compare(ComparisonSpec("m", legacy, candidate, ("id",), **bounds), reader)
    assert check.changed_values == changed
    assert check.rows == SideCounts(1_000_000, 1_000_000)
    assert rows_looked_at(reader) < 200_000


def rows_looked_at(reader: MemoryReader) -> int:
    """How many rows of both sides pass the filters of the last statement."""
    from sqlglot import exp, parse_one

    drill = parse_one(reader.statements[-1], dialect="duckdb")
    tables = [cte.this for cte in drill.find_all(exp.CTE) if cte.alias.endswith("_rows")]
    assert len(tables) == 2
    counts = (
        reader.connection.execute(f"select count(*) from ({table.sql('duckdb')})").fetchone()
        for table in tables
    )
    return sum(count[0] for count in counts if count)


@pytest.mark.parametrize("key", [("id",), ()])
def test_copies_and_cancelling_pairs(fill: Fill, reader: MemoryReader, key: tuple[str, ...]) -> None:
    """A row that came twice more cancels out in an xor, but not in the count, nor with another that came less."""
    rows = "select 1 as id, 'a' as v union all select 2, 'b' union all select 2, 'b' union all select 2, 'b'"
    legacy = fill(Side.LEGACY, rows)
    candidate = fill(Side.CANDIDATE, f"{rows} union all select 1, 'a' union all select 1, 'a'")
    check = compare(ComparisonSpec("c", legacy, candidate, key), reader)
    assert (check.only_in_legacy, check.only_in_candidate) == (0, 2)
    candidate = fill(
        Side.CANDIDATE, "select 1 as id, 'a' as v from range(3) union all select 2, 'b' from range(1)"
    )
    check = compare(ComparisonSpec("c", legacy, candidate, key), reader)
    assert (check.only_in_legacy, check.only_in_candidate) == (2, 2)


@pytest.mark.parametrize(
    ("key", "bounds", "statements"),
    [((), {}, 3), ((), DAY, 1), (("id",), {}, 4), (("id",), DAY, 4), (("driver", "id"), DAY, 2)],
)
def test_equal_tables_cost_one_pass(
    fill: Fill, reader: MemoryReader, key: tuple[str, ...], bounds: dict[str, Any], statements: int
) -> None:
    """Of equal tables one statement reads the rows; the others ask for the ends and the number of the keys."""
    legacy, candidate = (fill(side, MILLION) for side in Side)
    reader.statements.clear()
    check = compare(ComparisonSpec("e", legacy, candidate, key, **bounds), reader)
    assert check.verdict is Verdict.MATCH
    assert len(reader.statements) == statements
    assert sum('"fare"' in statement for statement in reader.statements) == 1 + (len(key) > 1)


def test_many_differing_buckets_are_looked_at_without_a_filter(fill: Fill, reader: MemoryReader) -> None:
    """Where most buckets differ, everything is read once more and counted all the same."""
    legacy = fill(Side.LEGACY, MILLION)
    candidate = fill(Side.CANDIDATE, f"select * replace (fare + id % 2 as fare) from ({MILLION})")
    reader.statements.clear()
    check = compare(ComparisonSpec("m", legacy, candidate, ("id",)), reader, sample_limit=1)
    assert check.modified == 500_000
    assert rows_looked_at(reader) == 2_000_000


def test_scattered_buckets_are_filtered_one_by_one(fill: Fill, reader: MemoryReader) -> None:
    """Differences in many places that lie apart are found in their buckets alone."""
    legacy = fill(Side.LEGACY, MILLION)
    candidate = fill(
        Side.CANDIDATE, f"select * replace (fare + (id % 20000 = 0)::int as fare) from ({MILLION})"
    )
    for bounds in (dict[str, Any](), {**DAY, "upper": "2024-04-10"}):
        reader.statements.clear()
        check = compare(ComparisonSpec("m", legacy, candidate, ("id",), **bounds), reader)
        assert check.modified == 50


def test_times_beyond_the_calendar(put: Put, reader: MemoryReader) -> None:
    """Infinite times, and those before 1970 and after the year 9999, are in buckets too."""
    columns = {"id": "INTEGER", "at": "TIMESTAMP"}
    rows = [(1, "infinity"), (2, "-infinity"), (3, None), (4, datetime(1969, 12, 31, 23, 30))]  # noqa: DTZ001
    rows += [(5, "1500-01-01"), (6, "20000-01-01"), (7, "1970-01-01"), (8, "2024-03-10")]
    for changed in range(len(rows)):
        legacy = put(Side.LEGACY, columns, rows)
        other = [(index + 100 * (number == changed), at) for number, (index, at) in enumerate(rows)]
        candidate = put(Side.CANDIDATE, columns, other)
        spec = ComparisonSpec("t", legacy, candidate, time_column="at")
        check = compare(spec, reader)
        assert (check.only_in_legacy, check.only_in_candidate) == (1, 1)
        windowed = ComparisonSpec("t", legacy, candidate, time_column="at", lower="1400-01-01")
        check = compare(windowed, reader)
        outside = rows[changed][1] in (None, "-infinity")
        assert check.only_in_legacy == (not outside)
        assert check.null_time_rows == SideCounts(1, 1)


@pytest.mark.parametrize(
    ("ids", "violations"),
    [
        ([1, 2, 3], 0),
        ([1, 1, None, None, 5], 3),
        ([None], 1),
        ([0, 2**40], 0),
        ([-(2**63), 2**63 - 1, -(2**63)], 1),
    ],
)
def test_key_violations_are_exact(
    put: Put, reader: MemoryReader, ids: list[int | None], violations: int
) -> None:
    """Rows without a key and every further row of a key are counted, in a bitmap or not, on both sides."""
    legacy = put(Side.LEGACY, {"id": "BIGINT"}, [(each,) for each in ids])
    candidate = put(Side.CANDIDATE, {"id": "BIGINT"}, [(each,) for each in [*ids, *ids]])
    check = compare(ComparisonSpec("k", legacy, candidate, ("id",)), reader)
    assert check.key_violations == SideCounts(violations, violations + len(ids))


@pytest.mark.parametrize("kind", ["BIGINT", "VARCHAR"])
def test_violations_of_the_candidate_are_counted_where_it_differs(
    fill: Fill, reader: MemoryReader, kind: str
) -> None:
    """Violations that both sides share are counted once, those of the buckets that differ on each side."""
    rows = f"select (range - 600)::{kind} as id, range % 7 as v from range(5000)"
    shared = f"{rows} union all select null, 1 union all from ({rows} limit 10 offset 100)"
    legacy = fill(Side.LEGACY, f"{shared} union all from ({rows} limit 3 offset 3000)")
    candidate = fill(
        Side.CANDIDATE, f"{shared} union all from ({rows} limit 2 offset 4000) union all select null, 1"
    )
    check = compare(ComparisonSpec("k", legacy, candidate, ("id",)), reader)
    assert check.key_violations == SideCounts(14, 14)
    assert (check.only_in_legacy, check.only_in_candidate) == (3, 3)


def test_bounds_that_nanoseconds_do_not_reach(put: Put, reader: MemoryReader) -> None:
    """A window, or a differing bucket, before 1677 is no failing statement where one side has nanoseconds."""
    legacy = put(Side.LEGACY, {"at": "DATE"}, [("1500-01-01",), ("2024-03-10",)])
    candidate = put(Side.CANDIDATE, {"at": "TIMESTAMP_NS"}, [("2024-03-10",), ("2200-01-01",)])
    spec = ComparisonSpec("n", legacy, candidate, time_column="at", lower="1400-01-01", upper="2300-01-01")
    check = compare(spec, reader)
    assert (check.only_in_legacy, check.only_in_candidate) == (1, 1), check.reason
