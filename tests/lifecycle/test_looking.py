"""The SQL with which a person looks at a difference, run by DuckDB on files."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dagster_defs.lifecycle.looking import difference_sql
from dagster_defs.lifecycle.mirrors import FileOutput, TableOutput
from dagster_defs.parity import Side, Zones

ROWS = "select * from (values (1, 'x', 1.5), (2, 'y', 2.5)) as rows(id, name, amount)"


def found(tmp_path: Path, legacy: str, candidate: str, suffix: str = "parquet") -> list[tuple[object, ...]]:
    files = [tmp_path / f"{side}.{suffix}" for side in ("legacy", "candidate")]
    with duckdb.connect() as connection:
        for file, query in zip(files, (legacy, candidate), strict=True):
            connection.execute(f"copy ({query}) to '{file}'")
        sql = difference_sql(FileOutput("rows", str(files[0]), str(files[1]), ("id",)), {})
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_columns_are_paired_by_name(tmp_path: Path, suffix: str) -> None:
    """A candidate with its columns in another order has no difference but those of the values, in legacy's order."""
    first, second = ("1", "2") if suffix == "csv" else (1, 2)  # a CSV file has text
    moved = ROWS.replace("*", "amount, id, name")

    assert found(tmp_path, ROWS, moved, suffix) == []
    changed = found(tmp_path, ROWS, moved.replace(", name from", ", upper(name) as name from"), suffix)
    assert [(side, id_, name) for side, id_, name, _ in changed] == [
        ("candidate", first, "X"), ("legacy", first, "x"), ("candidate", second, "Y"), ("legacy", second, "y"),
    ]  # fmt: skip


def test_a_column_of_one_side_is_shown(tmp_path: Path) -> None:
    """A column that only the candidate has stands behind legacy's, and is NULL there."""
    rows = found(tmp_path, ROWS, ROWS.replace("*", "7 as more, *") + " where id = 1")

    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("candidate", 1, 7),
        ("legacy", 1, None),
        ("legacy", 2, None),
    ]


def test_instants_are_shown_in_utc(tmp_path: Path) -> None:
    """Whoever runs the SQL, wherever: instants with a time zone read as UTC."""
    instant = "select 1 as id, timestamptz '2024-03-10 06:30:00-05:00' as at"

    [row] = found(tmp_path, instant, f"{instant} where false")

    assert str(row[2]).startswith("2024-03-10 11:30:00")


@pytest.mark.parametrize(
    ("lower", "upper", "zones", "found_ids"),
    [
        (
            "2024-03-10",
            "2024-03-11",
            Zones("America/New_York"),
            {"DATE": [2], "TIMESTAMP": [2], "TIMESTAMPTZ": [2]},
        ),
        (
            "2024-03-10T05:00:00+00:00",
            "2024-03-11T04:00:00+00:00",
            Zones("America/New_York"),
            {"DATE": [2], "TIMESTAMP": [3], "TIMESTAMPTZ": [3]},
        ),
        (
            "2024-03-10T05:00:00+00:00",
            "2024-03-11T04:00:00+00:00",
            Zones("America/New_York", naive="America/New_York"),
            {"DATE": [2], "TIMESTAMP": [2], "TIMESTAMPTZ": [3]},
        ),
    ],
)
def test_rows_of_the_window_are_those_that_were_compared(
    tmp_path: Path, lower: str, upper: str, zones: Zones, found_ids: dict[str, list[int]]
) -> None:
    """The SQL looks at the rows that the comparison has looked at, whatever the type of the time column."""
    days = "(values (1, '2024-03-09'), (2, '2024-03-10'), (3, '2024-03-11')) as days(id, day)"
    for kind, ids in found_ids.items():
        files = {side: str(tmp_path / f"{kind}-{side}.duckdb") for side in Side}
        for side, file in files.items():
            with duckdb.connect(file) as connection:
                connection.execute("set timezone = 'UTC'")
                connection.execute(
                    f"create table t as select id, day::{kind} as day, '{side}' as v from {days}"  # noqa: S608 - words of this test
                )
        output = TableOutput(
            "t", "", "", "", "legacy.main.t", "candidate.main.t", ("id",), "day", lower, upper, zones=zones
        )
        with duckdb.connect() as connection:
            rows = connection.execute(difference_sql(output, files)).fetchall()
        assert [row[1] for row in rows if row[0] == "legacy"] == ids, kind
