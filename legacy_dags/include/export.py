"""Exports the metrics of one day for readers of files: one CSV per day."""

from __future__ import annotations

import csv
import time
from datetime import date
from pathlib import Path

import duckdb

from include import settings
from include.errors import BadSetting, ExportNotHere, WarehouseBusy, WarehouseMissing
from include.files import replacing

LOCK_PATIENCE = 60.0
"""Seconds to wait for another process that has the database open."""

COLUMNS = (
    "trip_date",
    "pickup_borough",
    "trips",
    "rejected_trips",
    "passengers",
    "distance_miles",
    "fare_amount",
    "tip_amount",
    "total_amount",
)


def export_daily(
    day: str, next_day: str, side: str = "legacy", lock_patience: float = LOCK_PATIENCE
) -> dict[str, str | int]:
    """The `daily_metrics` of the window `[day, next_day)`, to `<side>/export/daily_metrics_<day>.csv`.

    Both are New York dates, YYYY-MM-DD. Returns rows, bytes, the window and the path. A day without rows
    gives a file with only the header: readers can tell "nothing happened" from "nothing was exported".

    Raises `ExportNotHere` on a warehouse that is no DuckDB file, `WarehouseMissing`, `WarehouseBusy` or
    `BadSetting`; an earlier export of that day is then as it was.
    """
    first, end = _day("day", day), _day("next_day", next_day)
    if end <= first:
        raise BadSetting("next_day", next_day, f"a day after {day}")
    if (target := settings.dbt_target()) not in settings.DUCKDB_TARGETS:
        raise ExportNotHere(target, _unload_statement(day, next_day))
    folders = settings.side(side)
    rows = _rows(folders.database, first, end, lock_patience)
    path = folders.export / f"daily_metrics_{day}.csv"
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return {
        "rows": len(rows),
        "bytes": path.stat().st_size,
        "window": f"[{day}, {next_day})",
        "path": str(path),
    }


def _rows(database: Path, first: date, end: date, patience: float) -> list[tuple[object, ...]]:
    if not database.is_file():
        raise WarehouseMissing(database, "the file does not exist")
    with _connect(database, patience) as connection:
        try:
            return connection.execute(
                f"""
                select {", ".join(COLUMNS)}
                from daily_metrics
                where trip_date >= $first and trip_date < $end
                order by trip_date, pickup_borough
                """,  # noqa: S608 -- the names are constants of this module
                {"first": first, "end": end},
            ).fetchall()
        except duckdb.CatalogException as error:
            raise WarehouseMissing(database, f"it has no table daily_metrics ({error})") from error


def _connect(database: Path, patience: float) -> duckdb.DuckDBPyConnection:
    """A read-only connection; waits, within bounds, because DuckDB lets nobody read while another writes."""
    deadline = time.monotonic() + patience
    pause = 0.1
    while True:
        try:
            return duckdb.connect(str(database), read_only=True)
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise WarehouseMissing(database, f"it cannot be opened ({error})") from error
            if time.monotonic() + pause > deadline:
                raise WarehouseBusy(database, patience) from error
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _unload_statement(day: str, next_day: str) -> str:
    """For a person to run; both days have been parsed before."""
    return f"""
copy into @exports/daily_metrics_{day}.csv from (
  select {", ".join(COLUMNS)} from daily_metrics
  where trip_date >= '{day}' and trip_date < '{next_day}' order by trip_date, pickup_borough
) file_format = (type = csv compression = none) header = true single = true overwrite = true;
""".strip()  # noqa: S608 -- never run here


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadSetting(name, text, "a day written YYYY-MM-DD") from None
