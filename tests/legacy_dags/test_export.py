"""One CSV for each day: half-open, complete, and the same bytes each time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from include import export, settings
from include.errors import BadSetting, ExportNotHere, WarehouseBusy, WarehouseMissing

from dagster_defs.adapters.processes.guardian import GUARDIAN

HEADER = ",".join(export.COLUMNS)


@pytest.fixture
def database(data_dir: Path) -> Path:
    """A legacy database with metrics of three days, stored in no particular order."""
    path: Path = settings.side("legacy").database
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            create table daily_metrics as
            select
                day::date as trip_date,
                borough as pickup_borough,
                2::bigint as trips,
                1::bigint as rejected_trips,
                3::bigint as passengers,
                4.5::decimal(18, 2) as distance_miles,
                20::decimal(18, 2) as fare_amount,
                1.1::decimal(18, 2) as tip_amount,
                30.25::decimal(18, 2) as total_amount
            from (values ('2024-03-11'), ('2024-03-09'), ('2024-03-10')) as days (day)
            cross join (values ('Queens'), ('Bronx')) as boroughs (borough)
            """
        )
    return path


@pytest.fixture
def locked_database(database: Path) -> Iterator[Path]:
    """The database while another process writes to it."""
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with GUARDIAN.start(
        [sys.executable, "-c", hold, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "held"
        yield database
        process.communicate()


@pytest.mark.usefixtures("database")
def test_a_day_is_half_open_and_in_order(data_dir: Path) -> None:
    """The export has the rows of its day and of no other, in order, amounts with their cents."""
    report = export.export_daily("2024-03-10", "2024-03-11")

    path = data_dir / "legacy" / "export" / "daily_metrics_2024-03-10.csv"
    assert path.read_text(encoding="utf-8").splitlines() == [
        HEADER,
        "2024-03-10,Bronx,2,1,3,4.50,20.00,1.10,30.25",
        "2024-03-10,Queens,2,1,3,4.50,20.00,1.10,30.25",
    ]
    assert report == {
        "rows": 2,
        "bytes": path.stat().st_size,
        "window": "[2024-03-10, 2024-03-11)",
        "path": str(path),
    }


@pytest.mark.usefixtures("database")
def test_a_second_export_gives_the_same_bytes(data_dir: Path) -> None:
    """Exporting a day again leaves one file with the same content."""
    folder = data_dir / "legacy" / "export"
    export.export_daily("2024-03-10", "2024-03-11")
    before = [(path.name, path.read_bytes()) for path in folder.iterdir()]

    export.export_daily("2024-03-10", "2024-03-11")

    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == before


@pytest.mark.usefixtures("database")
def test_a_day_without_rows_has_a_header() -> None:
    """A reader can tell a day on which nothing happened from one that was not exported."""
    report = export.export_daily("2024-01-01", "2024-01-02")

    assert Path(str(report["path"])).read_text(encoding="utf-8") == f"{HEADER}\n"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(("day", "next_day"), [("2024-03-10", "2024-03-10"), ("10 March", "2024-03-11")])
def test_a_window_that_cannot_be_is_refused(data_dir: Path, day: str, next_day: str) -> None:
    """An empty or unreadable window writes no file."""
    with pytest.raises(BadSetting):
        export.export_daily(day, next_day)

    assert not (data_dir / "legacy" / "export").exists()


def test_a_missing_database_is_named(data_dir: Path) -> None:
    """Without a database the error says which one and what to run, and makes none."""
    with pytest.raises(WarehouseMissing, match=r"legacy\.duckdb: the file does not exist.*dbt build"):
        export.export_daily("2024-03-10", "2024-03-11")

    assert not data_dir.exists()


def test_a_missing_table_is_named(database: Path, data_dir: Path) -> None:
    """A database that was never built says so, and no file is written."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("drop table daily_metrics")

    with pytest.raises(WarehouseMissing, match="no table daily_metrics"):
        export.export_daily("2024-03-10", "2024-03-11")

    assert not (data_dir / "legacy" / "export").exists()


@pytest.mark.usefixtures("locked_database")
def test_a_lock_is_waited_for_within_bounds() -> None:
    """A database that stays locked is an error after the patience that was given, not a hang."""
    with pytest.raises(WarehouseBusy, match="stayed locked"):
        export.export_daily("2024-03-10", "2024-03-11", lock_patience=0.5)


@pytest.mark.usefixtures("data_dir")
def test_another_warehouse_exports_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Snowflake the error carries the statement that writes the file."""
    monkeypatch.setenv("TAXI_DBT_TARGET", "snowflake")

    with pytest.raises(ExportNotHere, match=r"copy into @exports/daily_metrics_2024-03-10\.csv"):
        export.export_daily("2024-03-10", "2024-03-11")
