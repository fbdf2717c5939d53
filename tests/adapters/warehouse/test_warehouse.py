from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.adapters.warehouse.duckdb.reader import DuckDBPair
from dagster_defs.errors import (
    DatabaseLocked,
    DatabaseUnreadable,
    DriverMissing,
    RelationUnreadable,
    StatementFailed,
)
from dagster_defs.parity import Check, Column, ComparisonSpec, Side, SideCounts, Verdict, compare

TRIPS = (
    "create table trips as select range as id, timestamp '2024-03-10' + to_hours(range) as at from range(48)"
)
HOLD = """
import sys, duckdb
with duckdb.connect(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def legacy(tmp_path: Path) -> Path:
    return database(tmp_path / "legacy's.duckdb", TRIPS)


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    return database(tmp_path / "candidate.duckdb", TRIPS)


def database(file: Path, *statements: str) -> Path:
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)
    return file


@contextmanager
def held_by_another_process(file: Path) -> Iterator[subprocess.Popen[str]]:
    process = GUARDIAN.start(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def trips(pair: DuckDBPair) -> Check:
    legacy, candidate = (pair.relation(side, "main", "trips") for side in Side)
    spec = ComparisonSpec("trips", legacy, candidate, ("id",), "at", "2024-03-10", "2024-03-11")
    return compare(spec, pair)


def test_two_files_are_compared(legacy: Path, candidate: Path) -> None:
    """A window of a table in two database files is compared by one connection."""
    with DuckDBPair(legacy, candidate) as pair:
        check = trips(pair)
    assert (check.verdict, check.rows) == (Verdict.MATCH, SideCounts(24, 24))


def test_a_corrupted_row_is_found(legacy: Path, candidate: Path) -> None:
    """One changed value in the candidate's file is a mismatch that names the column."""
    database(candidate, "alter table trips add column fare int", "update trips set fare = 1")
    database(legacy, "alter table trips add column fare int", "update trips set fare = if(id = 3, 2, 1)")
    with DuckDBPair(legacy, candidate) as pair:
        check = trips(pair)
    assert (check.verdict, check.differing_columns) == (Verdict.MISMATCH, ("fare",))


def test_the_pair_cannot_write(legacy: Path, candidate: Path) -> None:
    """Both files are attached read-only."""
    with DuckDBPair(legacy, candidate) as pair, pytest.raises(StatementFailed, match="read-only"):
        pair.rows("delete from legacy.main.trips")


def test_files_are_free_again_after_closing(legacy: Path, candidate: Path) -> None:
    """Nothing holds the files once the pair is closed."""
    with DuckDBPair(legacy, candidate):
        pass
    for file in (legacy, candidate):
        database(file, "create table another (x int)")


def test_one_file_can_be_both_sides(legacy: Path) -> None:
    """Legacy can be compared with itself."""
    with DuckDBPair(legacy, legacy) as pair:
        assert trips(pair).verdict is Verdict.MATCH


@pytest.mark.parametrize("missing", list(Side))
def test_a_missing_file_is_inconclusive(legacy: Path, tmp_path: Path, missing: Side) -> None:
    """A database file that is not there is named by an inconclusive check, and is not created."""
    nowhere = tmp_path / "nowhere.duckdb"
    files = {Side.LEGACY: legacy, Side.CANDIDATE: legacy, missing: nowhere}
    with DuckDBPair(files[Side.LEGACY], files[Side.CANDIDATE]) as pair:
        check = trips(pair)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.reason == f"{missing}: cannot read {missing}.main.trips: the file {nowhere} does not exist"
    assert not nowhere.exists()


def test_a_missing_table_is_none(legacy: Path, candidate: Path) -> None:
    """A table that is not in its file has no columns, unlike one that is there."""
    with DuckDBPair(legacy, candidate) as pair:
        assert pair.columns(pair.relation(Side.LEGACY, "main", "nope")) is None
        assert pair.columns(pair.relation(Side.LEGACY, "main", "trips")) == [
            Column("id", "BIGINT"),
            Column("at", "TIMESTAMP"),
        ]


def test_a_side_without_a_database_says_so(legacy: Path) -> None:
    """Asking for a table of a side that was given no database says just that."""
    with (
        DuckDBPair(legacy, None) as pair,
        pytest.raises(RelationUnreadable, match="no candidate database was given"),
    ):
        pair.columns(pair.relation(Side.CANDIDATE, "main", "trips"))


def test_a_file_that_is_no_database(legacy: Path, tmp_path: Path) -> None:
    """A file that is no DuckDB database is refused by name, at once."""
    text = tmp_path / "text.duckdb"
    text.write_text("not a database " * 1000)
    with (
        pytest.raises(DatabaseUnreadable, match="not a valid DuckDB database") as caught,
        DuckDBPair(legacy, text),
    ):
        pass
    assert caught.value.file == text


def test_without_duckdb_its_extra_is_named(legacy: Path, candidate: Path, mocker: MockerFixture) -> None:
    """DuckDB comes with an extra: who compares files without it is told which."""
    mocker.patch.dict(sys.modules, {"duckdb": None})
    with pytest.raises(DriverMissing, match=r"airflow-parity\[duckdb\]"), DuckDBPair(legacy, candidate):
        pass


def test_a_locked_file_is_named_with_its_holder(legacy: Path, candidate: Path) -> None:
    """A file that another process keeps is reported after the bound, with the process that holds it."""
    with held_by_another_process(candidate) as holder:
        started = time.monotonic()
        with pytest.raises(DatabaseLocked) as caught, DuckDBPair(legacy, candidate, wait_s=0.3):
            pass
        waited = time.monotonic() - started
    assert (caught.value.file, caught.value.holder) == (candidate, holder.pid)
    assert 0.3 <= waited < 5
    # The legacy file, attached first, is free again.
    database(legacy, "create table another (x int)")


def test_a_lock_that_goes_away_is_waited_for(
    legacy: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is released while the pair waits is then read."""
    with held_by_another_process(candidate) as holder:
        attempts: list[float] = []

        def release(seconds: float) -> None:
            attempts.append(seconds)
            holder.kill()
            holder.wait()

        monkeypatch.setattr("tenacity.nap.time.sleep", release)
        with DuckDBPair(legacy, candidate, wait_s=30) as pair:
            assert trips(pair).verdict is Verdict.MATCH
    assert len(attempts) == 1


def test_a_file_that_this_process_writes_counts_as_locked(legacy: Path, candidate: Path) -> None:
    """A writing connection in the same process is waited for like one elsewhere."""
    with (
        duckdb.connect(str(candidate)),
        pytest.raises(DatabaseLocked) as caught,
        DuckDBPair(legacy, candidate, wait_s=0.1),
    ):
        pass
    assert caught.value.holder is None


def test_parquet_and_csv_files_are_relations(tmp_path: Path) -> None:
    """Several Parquet files of one side are compared with a CSV export of the other, by value."""
    with duckdb.connect() as connection:
        for name, rows in {
            "it's 1.parquet": "(1, '', 1.50)",
            "2.parquet": "(2, null, 0.1), (3, 'x', null)",
        }.items():
            path = str(tmp_path / name).replace("'", "''")
            connection.execute(f"copy (from (values {rows}) v(id, note, fare)) to '{path}'")
    (tmp_path / "export.csv").write_text('id,note,fare\n3,x,\n2,,0.1\n1,"",1.5\n')
    with DuckDBPair(None, None) as pair:
        legacy = pair.files(Side.LEGACY, "trips", [tmp_path / "it's 1.parquet", tmp_path / "2.parquet"])
        candidate = pair.files(Side.CANDIDATE, "trips", tmp_path / "export.csv")
        pair.read_texts(legacy, candidate, {})
        check = compare(ComparisonSpec("export", legacy, candidate, ("id",)), pair)
    assert (check.verdict, check.rows) == (Verdict.MATCH, SideCounts(3, 3)), check


def test_folders_do_not_become_columns(tmp_path: Path) -> None:
    """A file under `month=2024-03/` has the columns that are in it and no other."""
    folder = tmp_path / "month=2024-03"
    folder.mkdir()
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as id) to '{folder / 'trips.parquet'}'")
    with DuckDBPair(None, None) as pair:
        trips = pair.files(Side.LEGACY, "trips", tmp_path / "*" / "trips.parquet")
        assert pair.columns(trips) == [Column("id", "INTEGER")]


@pytest.mark.parametrize("content", [None, b"no parquet"])
def test_files_that_cannot_be_read_are_inconclusive(tmp_path: Path, content: bytes | None) -> None:
    """A missing or broken file makes the check inconclusive, names the file and crashes nothing."""
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as id) to '{good}'")
    if content is not None:
        bad.write_bytes(content)
    with DuckDBPair(None, None) as pair:
        spec = ComparisonSpec("f", pair.files(Side.LEGACY, "t", good), pair.files(Side.CANDIDATE, "t", bad))
        check = compare(spec, pair)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "bad.parquet" in check.reason


def test_what_fails_while_rows_are_fetched_is_inconclusive(
    legacy: Path, candidate: Path, mocker: MockerFixture
) -> None:
    """DuckDB answers lazily: a page that cannot be read fails as late as the rows are fetched."""
    with DuckDBPair(legacy, candidate) as pair:
        connection = mocker.patch.object(pair, "_connection")
        connection.execute.return_value.fetchall.side_effect = duckdb.IOException("a page is broken")
        with pytest.raises(StatementFailed, match="a page is broken"):
            pair.rows("select 1")


def test_a_closed_pair_refuses(legacy: Path, candidate: Path) -> None:
    """A pair that is not open fails with a clear error instead of DuckDB's."""
    pair = DuckDBPair(legacy, candidate)
    with pytest.raises(StatementFailed, match="not open"):
        pair.rows("select 1")


def test_what_does_not_fit_into_memory_is_gone_after_closing(tmp_path: Path) -> None:
    """A comparison of more than the memory limit spills to a folder of the pair, and leaves nothing there."""
    rows = "select range as id, md5(range::varchar) as text from range({start}, 400000)"
    files = [
        database(tmp_path / f"{start}.duckdb", f"create table t as {rows.format(start=start)}")
        for start in (0, 200_000)
    ]
    with DuckDBPair(*files, memory_limit="60MB") as pair:
        [setting] = pair.rows("select current_setting('temp_directory') as folder")
        legacy_rows, candidate_rows = (pair.relation(side, "main", "t") for side in Side)
        check = compare(ComparisonSpec("t", legacy_rows, candidate_rows), pair)
        folder = Path(setting["folder"])
        assert folder.is_dir()
    assert (check.verdict, check.only_in_legacy) == (Verdict.MISMATCH, 200_000), check.reason
    assert not folder.exists()


def test_the_keys_that_duckdb_enforces(tmp_path: Path) -> None:
    """The primary key comes first; a unique column that may be NULL is no key, and neither is anything of a view."""
    legacy = database(
        tmp_path / "legacy.duckdb",
        "create table keyed (a int, b int not null, c int, d int, unique (b), unique (c), primary key (d, a))",
        "create table plain (a int)",
        "create view seen as select * from keyed",
    )

    with DuckDBPair(legacy, None) as pair:
        found = {
            name: pair.unique_keys(pair.relation(Side.LEGACY, "main", name))
            for name in ("keyed", "plain", "seen", "nothing")
        }

    assert found == {"keyed": [("d", "a"), ("b",)], "plain": [], "seen": [], "nothing": []}
