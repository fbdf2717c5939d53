"""Which rows of a time column a window has: dates, naive times and instants, in the zones that are declared."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import pytest

from dagster_defs.errors import UnusableBound
from dagster_defs.parity import (
    Column,
    ComparisonSpec,
    Dialect,
    Reader,
    Relation,
    Side,
    SideCounts,
    Tolerance,
    ToleranceKind,
    Verdict,
    Zones,
    compare,
)
from dagster_defs.parity.bounds import window_filter
from dagster_defs.parity.families import parse_type
from tests.parity.conftest import Put

NEW_YORK = Zones("America/New_York")
IN_NEW_YORK = Zones("America/New_York", naive="America/New_York")
MARCH_10 = ("2024-03-10T05:00:00+00:00", "2024-03-11T04:00:00+00:00")  # New York's day, as instants
DUCKDB = {"DATE": "DATE", "NAIVE": "TIMESTAMP", "ZONED": "TIMESTAMP WITH TIME ZONE"}
SNOWFLAKE = {"DATE": "DATE", "NAIVE": "TIMESTAMP_NTZ(9)", "ZONED": "TIMESTAMP_LTZ(9)"}


def condition(kind: str, bounds: tuple[Any, Any], zones: Zones, dialect: Dialect = Dialect.DUCKDB) -> str:
    nowhere, (lower, upper) = Relation("", "", ""), bounds
    spec = ComparisonSpec("w", nowhere, nowhere, (), "at", lower, upper, zones=zones)
    written = (DUCKDB if dialect is Dialect.DUCKDB else SNOWFLAKE)[kind]
    return window_filter(spec, Column("at", written), parse_type(written), dialect).sql(dialect.value)


def between(lower: str, upper: str, kind: str) -> str:
    return f"\"at\" >= CAST('{lower}' AS {kind}) AND \"at\" < CAST('{upper}' AS {kind})"


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    ("kind", "bounds", "zones", "first", "end"),
    [
        # New York's day, however it is written: the DATE is that of the day.
        ("DATE", MARCH_10, NEW_YORK, "2024-03-10", "2024-03-11"),
        ("DATE", ("2024-03-10", "2024-03-11"), NEW_YORK, "2024-03-10", "2024-03-11"),
        ("DATE", (date(2024, 3, 10), date(2024, 3, 11)), Zones(), "2024-03-10", "2024-03-11"),
        ("DATE", ("2024-03-10T00:00:00-05:00", "2024-03-11T00:00-04:00"), Zones(), "2024-03-10", "2024-03-11"),
        ("DATE", ("2024-03-10 00:00:00", "2024-03-11"), NEW_YORK, "2024-03-10", "2024-03-11"),
        # East of Greenwich, and where midnight itself is left out or comes twice.
        ("DATE", ("2024-03-09T18:15:00Z", "2024-03-10T18:15:00Z"), Zones("Asia/Kathmandu"), "2024-03-10", "2024-03-11"),
        ("DATE", ("2018-11-04T03:00Z", "2018-11-05T02:00Z"), Zones("America/Sao_Paulo"), "2018-11-04", "2018-11-05"),
        ("DATE", ("2024-11-03T04:00Z", "2024-11-04T05:00Z"), Zones("America/Havana"), "2024-11-03", "2024-11-04"),
        # Whose days the dates are can be declared.
        ("DATE", ("2024-03-10T00:00Z", "2024-03-11T00:00Z"), Zones("America/New_York", naive="UTC"),
         "2024-03-10", "2024-03-11"),
        # A naive time counts as UTC, or in the declared zone.
        ("NAIVE", MARCH_10, NEW_YORK, "2024-03-10 05:00:00", "2024-03-11 04:00:00"),
        ("NAIVE", MARCH_10, IN_NEW_YORK, "2024-03-10 00:00:00", "2024-03-11 00:00:00"),
        ("NAIVE", ("2024-03-10", "2024-03-11"), IN_NEW_YORK, "2024-03-10 00:00:00", "2024-03-11 00:00:00"),
        ("NAIVE", ("2024-03-10 05:00", "2024-03-11 04:00"), Zones("America/New_York", "America/New_York", "UTC"),
         "2024-03-10 00:00:00", "2024-03-11 00:00:00"),
        # What has a zone is an instant, whatever is declared; a bound without an offset is read in the naive zone.
        ("ZONED", MARCH_10, IN_NEW_YORK, "2024-03-10 05:00:00+00:00", "2024-03-11 04:00:00+00:00"),
        ("ZONED", ("2024-03-10", "2024-03-11"), IN_NEW_YORK, "2024-03-10 05:00:00+00:00", "2024-03-11 04:00:00+00:00"),
        ("ZONED", ("2024-03-10", "2024-03-11"), NEW_YORK, "2024-03-10 00:00:00+00:00", "2024-03-11 00:00:00+00:00"),
        # Clocks that are put back: whole days and the first of the doubled hours' beginning are clear bounds.
        ("NAIVE", ("2024-11-03T04:00Z", "2024-11-03T05:00Z"), IN_NEW_YORK,
         "2024-11-03 00:00:00", "2024-11-03 01:00:00"),
        ("NAIVE", ("2024-11-03T05:00Z", "2024-11-03T07:00Z"), IN_NEW_YORK,
         "2024-11-03 01:00:00", "2024-11-03 02:00:00"),
        # Clocks that are put forward: 02:30, which they never show, lies before 03:00.
        ("NAIVE", ("2024-03-10T06:00Z", "2024-03-10T07:00Z"), IN_NEW_YORK,
         "2024-03-10 01:00:00", "2024-03-10 03:00:00"),
    ],
)  # fmt: skip
def test_bounds_as_the_column_counts(
    kind: str, bounds: tuple[Any, Any], zones: Zones, first: str, end: str, dialect: Dialect
) -> None:
    """The same rule in the SQL of both warehouses (18-window-on-dates)."""
    written = {"DATE": "DATE", "NAIVE": "TIMESTAMP", "ZONED": "TIMESTAMPTZ"}[kind]
    if dialect is Dialect.SNOWFLAKE and kind == "NAIVE":
        written = "TIMESTAMPNTZ"
    assert condition(kind, bounds, zones, dialect) == between(first, end, written)


@pytest.mark.parametrize(
    ("kind", "bound", "zones", "why"),
    [
        ("DATE", "2024-03-10T05:00:00+00:00", Zones(), "inside a day"),
        ("DATE", "2024-03-10T00:00:00+00:00", NEW_YORK, "inside a day of America/New_York"),
        ("DATE", "2024-03-10 12:00", NEW_YORK, "inside a day"),
        ("DATE", datetime(2024, 3, 10, 0, 0, 0, 1, tzinfo=timezone.utc), Zones(), "inside a day"),
        ("DATE", "2024-11-03T05:00Z", Zones("America/Havana"), "inside a day"),  # the second midnight
        ("NAIVE", "2024-11-03T05:30Z", IN_NEW_YORK, "show twice"),
        ("NAIVE", "2024-11-03T06:00Z", IN_NEW_YORK, "show twice"),
        ("NAIVE", "2024-11-03T06:59:59.999999Z", IN_NEW_YORK, "show twice"),
        ("ZONED", "2024-11-03 01:30", IN_NEW_YORK, "show 2024-11-03 01:30:00 twice"),
        ("ZONED", "2024-03-10 02:30", IN_NEW_YORK, "never show 2024-03-10 02:30:00"),
        ("NAIVE", "yesterday", NEW_YORK, "no type in common"),
    ],
)
def test_bounds_that_nobody_can_place(kind: str, bound: Any, zones: Zones, why: str) -> None:
    """A bound inside a value of the column is refused: on which side of it the value lies is not in the data."""
    with pytest.raises(UnusableBound, match=why):
        condition(kind, (bound, None), zones)


@pytest.mark.parametrize(
    ("legacy", "candidate", "zones", "rows"),
    [
        ("DATE", "TIMESTAMP", NEW_YORK, None),
        ("DATE", "TIMESTAMP", IN_NEW_YORK, 1),
        ("TIMESTAMP WITH TIME ZONE", "DATE", NEW_YORK, None),
        ("DATE", "TIMESTAMP", Zones("UTC"), None),
        ("DATE", "DATE", NEW_YORK, 1),
    ],
)
def test_a_date_beside_times(
    put: Put, reader: Reader, legacy: str, candidate: str, zones: Zones, rows: int | None
) -> None:
    """A DATE and a time that equals it have to be in one window, or else the comparison is refused."""
    days = [(datetime(2024, 3, day, tzinfo=timezone.utc if "ZONE" in kind else None),)
            for kind in (legacy,) for day in (9, 10, 11)]  # fmt: skip
    others = [
        (datetime(2024, 3, day, tzinfo=timezone.utc if "ZONE" in candidate else None),) for day in (9, 10, 11)
    ]
    spec = ComparisonSpec(
        "w",
        put(Side.LEGACY, {"at": legacy}, days),
        put(Side.CANDIDATE, {"at": candidate}, others),
        (),
        "at",
        *MARCH_10,
        tolerances=(Tolerance("at", ToleranceKind.IGNORED, reason="of the load"),),
        zones=zones,
    )
    if rows is None:
        with pytest.raises(UnusableBound):
            compare(spec, reader)
    else:
        assert compare(spec, reader).rows == SideCounts(rows, rows)


@pytest.mark.parametrize(
    ("hours", "rows"),
    [
        (("2024-11-03T04:00Z", "2024-11-04T05:00Z"), 5),  # the whole day of 25 hours
        (("2024-11-03T05:00Z", "2024-11-03T07:00Z"), 3),  # both of its doubled hours
        (("2024-11-03T07:00Z", "2024-11-04T05:00Z"), 1),
    ],
)
def test_rows_of_a_doubled_hour(put: Put, reader: Reader, hours: tuple[str, str], rows: int) -> None:
    """Times that a naive column may mean twice belong to every window that has both of them."""
    times = [(datetime(2024, 11, 3, *at),) for at in ((0, 59), (1, 0), (1, 30), (1, 30), (2, 0))]  # noqa: DTZ001
    legacy, candidate = (put(side, {"at": "TIMESTAMP"}, times) for side in Side)
    check = compare(ComparisonSpec("w", legacy, candidate, (), "at", *hours, zones=IN_NEW_YORK), reader)
    assert (check.rows, check.verdict) == (SideCounts(rows, rows), Verdict.MATCH)
