"""A load replaces a file as a whole: never doubled, never half, always the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from include import ingest, landing, settings
from include.errors import BadMonth, LandingFileBroken, LandingFileMissing, LandingSchemaWrong

MONTH = "2024-03"


def _files(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, hidden and temporary ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def delivery(landing_dir: Path) -> Path:
    """The landing file of March 2024."""
    name: str = landing.trips_file(MONTH)
    return landing_dir / name


def test_a_second_load_gives_the_same_bytes(landing_dir: Path, data_dir: Path) -> None:
    """Loading a month and the zones again changes nothing, and no row is doubled."""
    first = ingest.load_trips(MONTH), ingest.load_zones()
    before = _files(data_dir / "legacy")

    second = ingest.load_trips(MONTH), ingest.load_zones()

    assert second == first
    assert _files(data_dir / "legacy") == before
    assert set(before) == {f"raw/trips/trips_{MONTH}.parquet", "raw/zones/zones.parquet"}
    assert (
        pq.read_metadata(data_dir / "legacy/raw/trips" / f"trips_{MONTH}.parquet").num_rows
        == first[0]["rows"]
    )


def test_the_order_of_a_delivery_does_not_matter(delivery: Path, data_dir: Path) -> None:
    """The same rows in another order give the same bytes."""
    ingest.load_trips(MONTH)
    before = _files(data_dir / "legacy")

    table = pq.read_table(delivery)
    pq.write_table(table.take(pa.array(range(table.num_rows - 1, -1, -1))), delivery)
    ingest.load_trips(MONTH)

    assert _files(data_dir / "legacy") == before


def test_both_sides_load_the_same_bytes(landing_dir: Path, data_dir: Path) -> None:
    """What Dagster loads into candidate equals what Airflow loads into legacy, file by file."""
    for side in ("legacy", "candidate"):
        ingest.load_trips(MONTH, side)
        ingest.load_zones(side)

    assert _files(data_dir / "legacy") == _files(data_dir / "candidate")


def test_no_row_is_lost(delivery: Path, data_dir: Path) -> None:
    """Raw has exactly the rows that were delivered, duplicates and dirt included."""
    loaded = str(ingest.load_trips(MONTH)["path"])

    for each, other in ((str(delivery), loaded), (loaded, str(delivery))):
        missing = duckdb.execute(
            "select count(*) from (from read_parquet($one) except all from read_parquet($other))",
            {"one": each, "other": other},
        ).fetchone()
        assert missing == (0,)


def test_older_publications_load_too(delivery: Path) -> None:
    """Counts as doubles, another spelling of Airport_fee and further columns are what TLC has published."""
    table = pq.read_table(delivery)
    older = table.set_column(3, "passenger_count", table["passenger_count"].cast(pa.float64()))
    older = older.rename_columns(
        [name if name != "Airport_fee" else "airport_fee" for name in older.column_names]
    )
    older = older.append_column("cbd_congestion_fee", pa.nulls(table.num_rows, pa.float64()))
    expected = ingest.load_trips(MONTH)
    bytes_before = Path(str(expected["path"])).read_bytes()

    pq.write_table(older, delivery)

    assert ingest.load_trips(MONTH) == expected
    assert Path(str(expected["path"])).read_bytes() == bytes_before


def _without_total(table: Any) -> Any:
    return table.drop_columns(["total_amount"])


def _text_total(table: Any) -> Any:
    index = table.column_names.index("total_amount")
    return table.set_column(index, "total_amount", table["total_amount"].cast(pa.string()))


def _zoned_pickup(table: Any) -> Any:
    zoned = table["tpep_pickup_datetime"].cast(pa.timestamp("us", tz="UTC"))
    return table.set_column(1, "tpep_pickup_datetime", zoned)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_without_total, "column total_amount is missing"),
        (_text_total, "column total_amount is string, not double"),
        (_zoned_pickup, "column tpep_pickup_datetime is timestamp"),
    ],
)
def test_a_wrong_schema_is_refused_whole(delivery: Path, data_dir: Path, spoil: Any, fault: str) -> None:
    """The error names file and column, and what was loaded before is untouched."""
    ingest.load_trips(MONTH)
    before = _files(data_dir / "legacy")
    pq.write_table(spoil(pq.read_table(delivery)), delivery)

    with pytest.raises(LandingSchemaWrong, match=fault) as caught:
        ingest.load_trips(MONTH)

    assert caught.value.path == delivery
    assert delivery.name in str(caught.value)
    assert _files(data_dir / "legacy") == before


def test_a_missing_file_is_named(landing_dir: Path, data_dir: Path) -> None:
    """A month that was not delivered says which file is missing where, and makes none."""
    with pytest.raises(
        LandingFileMissing, match=r"yellow_tripdata_2024-04\.parquet is missing.*TAXI_LANDING_DIR"
    ):
        ingest.load_trips("2024-04")

    assert not (data_dir / "legacy").exists()


@pytest.mark.parametrize("keep", [0, 1000, -100])
def test_a_broken_file_is_refused_whole(delivery: Path, data_dir: Path, keep: int) -> None:
    """A delivery that was cut off, anywhere, is an error that names it and leaves nothing behind."""
    delivery.write_bytes(delivery.read_bytes()[:keep])

    with pytest.raises(LandingFileBroken, match=delivery.name):
        ingest.load_trips(MONTH)

    assert not (data_dir / "legacy").exists()


def test_broken_pages_are_refused_whole(delivery: Path, data_dir: Path) -> None:
    """A file whose footer is sound and whose pages are not leaves what was loaded before untouched."""
    ingest.load_trips(MONTH)
    before = _files(data_dir / "legacy")
    content = bytearray(delivery.read_bytes())
    content[200:20_000] = bytes(19_800)
    delivery.write_bytes(bytes(content))

    with pytest.raises(LandingFileBroken, match=delivery.name):
        ingest.load_trips(MONTH)

    assert _files(data_dir / "legacy") == before


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", LandingFileBroken),
        ("LocationID,Borough,Zone\n1,EWR,Newark Airport\n", LandingSchemaWrong),
        ('"LocationID","Borough","Zone","service_zone"\n"one","EWR","Newark","EWR"\n', LandingSchemaWrong),
        ('"LocationID","Borough","Zone","service_zone"\n1,"EWR"\n', LandingFileBroken),
    ],
)
def test_a_bad_zone_table_is_refused_whole(
    landing_dir: Path, data_dir: Path, content: str, error: type[Exception]
) -> None:
    """An empty, short, mistyped or ragged zone table is an error that names it and leaves nothing behind."""
    (landing_dir / landing.ZONES_FILE).write_text(content, encoding="utf-8")

    with pytest.raises(error, match=r"taxi_zone_lookup\.csv"):
        ingest.load_zones()

    assert not (data_dir / "legacy").exists()


@pytest.mark.usefixtures("landing_dir")
def test_a_bad_month_is_refused() -> None:
    """Nothing is downloaded for a text that is not a month."""
    with pytest.raises(BadMonth):
        ingest.load_trips("2024-03-10")


def test_real_files_are_used_as_they_are(
    landing_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TAXI_LANDING_DIR the files come from there, nothing is written there, and set-up is told so."""
    assert settings.landing_is_generated()
    brought = tmp_path / "brought"
    landing_dir.rename(brought)
    before = _files(brought)
    monkeypatch.setenv("TAXI_LANDING_DIR", str(brought))

    assert ingest.load_trips(MONTH)["source"] == str(brought / landing.trips_file(MONTH))
    assert _files(brought) == before
    assert not settings.landing_is_generated()


def test_a_writer_that_dies_leaves_the_earlier_file(landing_dir: Path, data_dir: Path, mocker: Any) -> None:
    """When writing fails half-way, raw is what it was and no temporary file stays."""
    ingest.load_trips(MONTH)
    before = _files(data_dir / "legacy")

    def fill_the_disk(_table: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    mocker.patch("include.files.pq.write_table", side_effect=fill_the_disk)

    with pytest.raises(OSError, match="no space left"):
        ingest.load_trips(MONTH)

    assert _files(data_dir / "legacy") == before
