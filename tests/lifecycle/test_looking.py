"""The SQL with which a person looks at a difference, run by DuckDB on files."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dagster_defs.lifecycle.looking import difference_sql
from dagster_defs.lifecycle.mirrors import FileOutput

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
    moved = ROWS.replace("*", "amount, id, name")

    assert found(tmp_path, ROWS, moved, suffix) == []
    changed = found(tmp_path, ROWS, moved.replace(", name from", ", upper(name) as name from"), suffix)
    assert [(side, id_, name) for side, id_, name, _ in changed] == [
        ("candidate", 1, "X"), ("legacy", 1, "x"), ("candidate", 2, "Y"), ("legacy", 2, "y"),
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
