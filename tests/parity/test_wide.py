# ruff: noqa: S608 - every query is written here
"""Tables of many columns (04-wide-table): the same answers, within the memory that a comparison may have."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from dagster_defs.adapters.warehouse.duckdb.reader import DuckDBPair
from dagster_defs.parity import (
    Check,
    ComparisonSpec,
    Side,
    SideCounts,
    Tolerance,
    ToleranceKind,
    Verdict,
    compare,
)

ODD = ["select", "group", 'a"b', "tête", "x.y", "Mixed Case", "v0", "row", "copies", "x'; drop table t; --"]


def two_files(folder: Path, legacy: str, candidate: str) -> tuple[Path, Path]:
    files = folder / "legacy.duckdb", folder / "candidate.duckdb"
    for file, query in zip(files, (legacy, candidate), strict=True):
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"create table t as {query}")
    return files


def compared(files: tuple[Path, Path], *key: str, tolerances: tuple[Tolerance, ...] = ()) -> Check:
    with DuckDBPair(*files) as pair:
        legacy, candidate = (pair.relation(side, "main", "t") for side in Side)
        return compare(ComparisonSpec("wide", legacy, candidate, key, tolerances=tolerances), pair)


def wide(columns: int, flag: str, rows: int = 10) -> str:
    """`id`, so many columns of numbers, and a flag that may differ."""
    listed = ", ".join(f"i + {each} as m_{each}" for each in range(columns))
    return f"select i as id, {listed}, {flag} as flag from range({rows}) as numbers(i)"


@pytest.mark.parametrize("columns", [100, 300, 1_000])
def test_04_wide_table(tmp_path: Path, columns: int) -> None:
    """One value of hundreds of columns that differs is found and shown, with and without a key."""
    files = two_files(tmp_path, wide(columns, "0"), wide(columns, "if(i = 3, 1, 0)"))

    keyed = compared(files, "id")
    assert (keyed.verdict, keyed.reason) == (Verdict.MISMATCH, "1 row modified in flag")
    assert keyed.samples == (
        {"kind": "modified", "copies": 1, "key": {"id": "3"}, "columns": {"flag": {"legacy": "0", "candidate": "1"}}},
    )  # fmt: skip
    counted = compared(files)
    assert counted.reason == ("1 row only in legacy; 1 row only in candidate; their values differ in flag")
    assert [sample["row"]["flag"] for sample in counted.samples] == ["0", "1"]
    assert [len(sample["row"]) for sample in counted.samples] == [columns + 2] * 2


@pytest.mark.parametrize("key", [("id",), ()], ids=["key", "no-key"])
def test_equal_wide_tables_match(tmp_path: Path, key: tuple[str, ...]) -> None:
    """Equal tables of hundreds of columns match."""
    check = compared(two_files(tmp_path, wide(300, "0"), wide(300, "0")), *key)
    assert (check.verdict, check.reason) == (Verdict.MATCH, "10 rows equal")


def test_many_rows_and_columns(tmp_path: Path) -> None:
    """With rows on one side, changed ones and swapped values in many of 100,000 rows, every column is counted."""
    legacy = wide(200, "0", 100_000)
    candidate = (
        "select * replace (if(id % 2 = 0, m_7 + 1, m_7) as m_7, if(id in (4, 6), 10 - id + 199, m_199) as m_199,"
        f" if(id = 8, 1, flag) as flag) from ({legacy}) where id != 10"
        f" union all select * replace (-1 as id) from ({legacy}) where id = 12"
    )
    check = compared(two_files(tmp_path, legacy, candidate), "id")

    assert check.rows == SideCounts(100_000, 100_000)
    assert (check.only_in_legacy, check.only_in_candidate, check.modified) == (1, 1, 49_999)
    assert check.changed_values == {"m_7": 49_999, "m_199": 2, "flag": 1}
    assert len(check.samples) == 7


def test_a_repeated_key_in_a_wide_table(tmp_path: Path) -> None:
    """Values that were swapped between two rows of one key are found, although each column holds what it held."""
    rows = "select 1 as id, {} union all select 1 as id, {}"
    more = ", ".join(f"0 as z_{each}" for each in range(60))
    legacy = rows.format(f"'a' as v, 'x' as w, {more}", f"'b' as v, 'y' as w, {more}")
    candidate = rows.format(f"'a' as v, 'y' as w, {more}", f"'b' as v, 'x' as w, {more}")
    check = compared(two_files(tmp_path, legacy, candidate), "id")

    assert (check.verdict, check.modified, check.key_violations) == (Verdict.MISMATCH, 2, SideCounts(1, 1))
    assert set(check.differing_columns) <= {"v", "w"}
    assert check.differing_columns


def test_tolerances_in_a_wide_table(tmp_path: Path) -> None:
    """Tolerances on half of the columns excuse what they excuse, and the sample shows only what is beyond."""
    columns = range(120)
    legacy = "select i as id, " + ", ".join(f"(i + {each})::double as m_{each}" for each in columns)
    legacy += " from range(50) as numbers(i)"
    changed = "m_1 + 0.001 as m_1, if(id = 7, m_2 + 5, m_2) as m_2, m_3 + 1 as m_3"
    candidate = f"select * replace ({changed}) from ({legacy})"
    near = [each for each in range(60) if each != 3]
    tolerances = (
        *(Tolerance(f"m_{each}", ToleranceKind.ABSOLUTE, Decimal("0.01"), "rounded") for each in near),
        Tolerance("m_3", ToleranceKind.IGNORED, reason="of the load"),
    )
    check = compared(two_files(tmp_path, legacy, candidate), "id", tolerances=tolerances)

    assert check.changed_values == {"m_2": 1}
    assert check.tolerated == {"m_1": 50, "m_3": 50}
    [sample] = check.samples
    assert sample["columns"] == {"m_2": {"legacy": "9.0", "candidate": "14.0"}}


@pytest.mark.parametrize("key", [("id",), ()], ids=["key", "no-key"])
def test_names_of_any_kind_in_a_wide_table(tmp_path: Path, key: tuple[str, ...]) -> None:
    """Reserved words, quotes, dots, capitals and our own names are column names like any others."""
    names = [f"Column {each}" for each in range(60)] + ODD
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    queries = [
        "select 1 as id, " + ", ".join(f"{value if name == ODD[-1] else 0} as {shown}"
                                       for name, shown in zip(names, quoted, strict=True))
        for value in (0, 1)
    ]  # fmt: skip
    check = compared(two_files(tmp_path, *queries), *key)
    assert (check.verdict, check.differing_columns) == (Verdict.MISMATCH, (ODD[-1],))


def test_masked_values_of_a_wide_table(tmp_path: Path) -> None:
    """A masked column that differs is named, and its values are not."""
    files = two_files(tmp_path, wide(60, "'secret'"), wide(60, "'hidden'"))
    with DuckDBPair(*files) as pair:
        legacy, candidate = (pair.relation(side, "main", "t") for side in Side)
        check = compare(ComparisonSpec("wide", legacy, candidate, ("id",), masked=("flag",)), pair)
    assert check.changed_values == {"flag": 10}
    assert {str(sample["columns"]) for sample in check.samples} == {
        "{'flag': {'legacy': '***', 'candidate': '***'}}"
    }
