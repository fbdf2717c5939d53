"""Files that another DuckDB has written, or will read: that of Airflow's dbt, or of an executable's."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dagster_defs.adapters.warehouse.duckdb.new_file import make_for_all
from dagster_defs.adapters.warehouse.duckdb.views import definitions

FORMAT = slice(12, 13)  # of a file's first bytes: the number of its format
OF_ALL = b"@"  # 64: what DuckDB 1.0 writes, and every later one reads


@pytest.fixture
def others(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """`shop.duckdb`, attached under another name, with a view that names its file, as DuckDB wrote it before 2.0: now
    a view keeps a name that another file has while it is made."""
    (tmp_path / "night.csv").write_text("n\n1\n")
    connection = duckdb.connect()
    connection.execute(f"attach '{tmp_path}/stand_in.duckdb' as shop")
    connection.execute(f"attach '{tmp_path}/shop.duckdb' as seen")
    for catalog in ("shop", "seen"):
        connection.execute(f"create view {catalog}.main.nights as from '{tmp_path}/night.csv'")
    connection.execute("create view seen.main.later as select n from shop.main.nights where n > 0")
    connection.execute("detach shop")
    return connection


def test_views_that_name_their_own_file_are_copied(others: duckdb.DuckDBPyConnection) -> None:
    """They read nothing of another file, whatever name theirs has been attached under."""
    found = definitions(others.execute, "seen", ("main", "later"), lambda schema: f"copy_of_{schema}", "shop")

    assert found is not None
    assert [*found] == [("main", "nights"), ("main", "later")]
    others.execute("create schema copy_of_main")
    for (_, view), query in found.items():
        others.execute(f"create view copy_of_main.{view} as {query}")
    others.execute("detach seen")
    assert others.execute("from copy_of_main.later").fetchall() == [(1,)]


def test_views_of_another_file_are_not(others: duckdb.DuckDBPyConnection) -> None:
    """A name that is not the file's own is another file, which need not be there."""
    assert definitions(others.execute, "seen", ("main", "later"), str, "store") is None
    assert definitions(others.execute, "seen", ("main", "later"), str) is None


def test_a_new_file_can_be_read_by_older_ones(tmp_path: Path) -> None:
    """It is made in the oldest format, and stays in that whatever is written; what is there is left as it is."""
    file, there = tmp_path / "data" / "candidate.duckdb", tmp_path / "there.duckdb"
    duckdb.connect(str(there)).close()
    before = there.read_bytes()

    make_for_all(file)
    make_for_all(there)
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table rows as select 1 as n")

    assert file.read_bytes()[FORMAT] == OF_ALL
    assert there.read_bytes() == before
    assert before[FORMAT] != OF_ALL, "this DuckDB writes the oldest format anyway"


def test_what_is_no_file_is_not_made(tmp_path: Path) -> None:
    """A database in memory, or at a service."""
    for name in (":memory:", "md:shop"):
        make_for_all(tmp_path / name)

    assert not [*tmp_path.iterdir()]
