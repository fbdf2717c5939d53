"""Loads what was delivered: from the landing folder to raw Parquet, one file for each delivery.

A load replaces its file as a whole, so a re-run can neither double a row nor lose one, and the same delivery
gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from include import landing, settings
from include.errors import LandingFileBroken, LandingFileMissing, LandingSchemaWrong
from include.files import write_parquet
from include.schemas import TRIPS, ZONES, faults


def load_zones(side: str = "legacy") -> dict[str, str | int]:
    """The zone table, to `<side>/raw/zones/zones.parquet`. Returns rows, bytes and the two paths.

    Raises `LandingFileMissing`, `LandingFileBroken` or `LandingSchemaWrong`; raw is then as it was.
    """
    source = _landed(landing.ZONES_FILE)
    try:
        published = pa_csv.read_csv(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise LandingFileBroken(source, str(error)) from error
    _check(source, published.schema, ZONES)
    names = {name.lower(): name for name in published.column_names}
    table = pa.table([published[names[field.name.lower()]].cast(field.type) for field in ZONES], schema=ZONES)
    target = settings.side(side).raw / "zones" / "zones.parquet"
    write_parquet(table.sort_by("LocationID"), target)
    return _loaded(table.num_rows, source, target)


def load_trips(month: str, side: str = "legacy") -> dict[str, str | int]:
    """The trips of one file, to `<side>/raw/trips/trips_YYYY-MM.parquet`. Returns rows, bytes and the paths.

    `month` (YYYY-MM) is the file's month; the trips in it may lie outside. Duplicates stay: staging removes
    them. Raises `BadMonth`, `LandingFileMissing`, `LandingFileBroken` or `LandingSchemaWrong`; raw is then
    as it was.
    """
    settings.parse_month(month)
    source = _landed(landing.trips_file(month))
    try:
        published = pq.read_schema(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise LandingFileBroken(source, str(error)) from error
    _check(source, published, TRIPS)
    try:
        table = _sorted_trips(source)
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise LandingFileBroken(source, str(error)) from error
    target = settings.side(side).raw / "trips" / f"trips_{month}.parquet"
    write_parquet(table, target)
    return {"month": month, **_loaded(table.num_rows, source, target)}


def _sorted_trips(source: Path) -> pa.Table:
    """All rows in the agreed columns and types. The order is total, so equal deliveries give equal bytes."""
    columns = ", ".join(f'"{name}"' for name in TRIPS.names)
    # Names match whatever their case; the alias makes ours of theirs.
    renamed = ", ".join(f'"{name}" as "{name}"' for name in TRIPS.names)
    with duckdb.connect(":memory:") as connection:
        return (
            connection.sql(
                f"""
            select {renamed}
            from read_parquet($source, file_row_number = true)
            order by {columns}, file_row_number
            """,  # noqa: S608 -- the names are constants of this project
                params={"source": str(source)},
            )
            .to_arrow_table()
            .cast(TRIPS)
        )


def _landed(name: str) -> Path:
    path: Path = settings.landing_dir() / name
    if not path.is_file():
        raise LandingFileMissing(path)
    return path


def _check(path: Path, published: pa.Schema, agreed: pa.Schema) -> None:
    if lines := faults(published, agreed):
        raise LandingSchemaWrong(path, lines)


def _loaded(rows: int, source: Path, target: Path) -> dict[str, str | int]:
    return {"rows": rows, "bytes": target.stat().st_size, "source": str(source), "path": str(target)}
