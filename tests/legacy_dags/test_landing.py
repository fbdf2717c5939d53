"""The generator makes files like the published ones, dirt included, and always the same."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from include import landing
from include.errors import BadMonth
from include.schemas import TRIPS
from include.zone_table import zones

COUNT = 20_000


@pytest.fixture(scope="module", params=["2023-11", "2024-03"])
def month(request: pytest.FixtureRequest) -> str:
    """The two months in which the clocks change."""
    return str(request.param)


@pytest.fixture(scope="module")
def trips(month: str) -> Any:
    return landing.trips(month, COUNT)


def _one(trips: Any, aggregate: str, where: str = "true") -> Any:
    query = f"select {aggregate} from trips where {where}"  # noqa: S608 -- written in this module
    with duckdb.connect(":memory:") as connection:
        connection.register("trips", trips)
        return connection.execute(query).fetchall()[0][0]


def test_a_month_is_always_the_same(month: str, trips: Any) -> None:
    """Two generations of a month are equal in every row and column, and another month is another."""
    assert landing.trips(month, COUNT).equals(trips)
    assert not landing.trips("2024-01", COUNT).equals(trips)


def test_the_schema_is_the_published_one(tmp_path: Path) -> None:
    """Names, order and types in the file are those that TLC publishes."""
    landing.generate(tmp_path, ["2024-02"])

    found = pq.read_schema(tmp_path / "yellow_tripdata_2024-02.parquet")

    assert found.names == TRIPS.names
    assert str(found.field("tpep_pickup_datetime").type) == "timestamp[us]"
    assert str(found.field("VendorID").type) == "int32"
    assert str(found.field("Airport_fee").type) == "double"


def test_the_dirt_of_real_files_is_there(month: str, trips: Any) -> None:
    """Gaps, refunds, voided trips, trips outside the month and duplicates all occur, and stay rare."""
    start = datetime.fromisoformat(f"{month}-01")
    outside = f"date_trunc('month', tpep_pickup_datetime) <> timestamp '{start}'"
    rows = trips.num_rows

    assert 0.05 < _one(trips, "count(*)", "passenger_count is null") / rows < 0.12
    assert 0 < _one(trips, "count(*)", "total_amount < 0") / rows < 0.02
    assert 0 < _one(trips, "count(*)", "total_amount = 0") / rows < 0.01
    assert 0 < _one(trips, "count(*)", outside) / rows < 0.01
    assert _one(trips, "count(*)", f"{outside} and tpep_pickup_datetime < timestamp '{start}'") > 0
    assert _one(trips, "count(*)", f"{outside} and tpep_pickup_datetime > timestamp '{start}'") > 0
    assert 0 < rows - _one(trips, "count(distinct trips)") < 0.01 * rows


def test_some_meters_believe_in_another_year() -> None:
    """A month of the usual size has trips of 2002 and of 2009."""
    trips = landing.trips("2024-03")

    years = _one(trips, "list(distinct year(tpep_pickup_datetime))")

    assert {2002, 2009, 2024} <= set(years)
    assert trips.num_rows > landing.TRIPS_PER_MONTH


def test_the_missing_hour_has_no_trips() -> None:
    """On the spring-forward day nobody is picked up or dropped off between two and three."""
    trips = landing.trips("2024-03")
    gap = "between timestamp '2024-03-10 02:00:00' and timestamp '2024-03-10 02:59:59'"

    assert _one(trips, "count(*)", f"tpep_pickup_datetime {gap} or tpep_dropoff_datetime {gap}") == 0
    assert _one(trips, "count(*)", "tpep_pickup_datetime::date = date '2024-03-10'") > 1_000


def test_the_repeated_hour_turns_trips_around() -> None:
    """On the fall-back day, and only there, a trip may end before it began, by less than an hour."""
    trips = landing.trips("2023-11")
    backwards = "tpep_dropoff_datetime < tpep_pickup_datetime"

    assert _one(trips, "count(*)", backwards) > 0
    assert _one(trips, "list(distinct tpep_pickup_datetime::date::varchar)", backwards) == ["2023-11-05"]
    assert _one(trips, "max(tpep_pickup_datetime - tpep_dropoff_datetime) < interval 1 hour", backwards)


def test_every_day_has_trips(month: str, trips: Any) -> None:
    """No day of the month is empty, the days of 23 and 25 hours included."""
    days = _one(
        trips,
        "count(distinct tpep_pickup_datetime::date)",
        f"strftime(tpep_pickup_datetime, '%Y-%m') = '{month}'",
    )

    assert days == {"2023-11": 30, "2024-03": 31}[month]


def test_the_zone_table_has_the_published_shape() -> None:
    """265 zones with ids in order, as many in each borough as TLC draws, and names that are told apart."""
    found = zones()

    assert [zone.location_id for zone in found] == list(range(1, 266))
    assert Counter(zone.borough for zone in found) == {
        "Manhattan": 69, "Queens": 69, "Brooklyn": 61, "Bronx": 43, "Staten Island": 20,
        "EWR": 1, "Unknown": 1, "N/A": 1,
    }  # fmt: skip
    assert len({zone.zone for zone in found}) == 265


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    """The generator never touches a file that somebody delivered."""
    delivered = tmp_path / landing.trips_file("2024-02")
    delivered.write_bytes(b"delivered")

    paths = landing.generate(tmp_path, ["2024-02"])

    assert delivered.read_bytes() == b"delivered"
    assert paths == [tmp_path / landing.ZONES_FILE, delivered]


def test_a_bad_month_leaves_no_files(tmp_path: Path) -> None:
    """One month that cannot be refuses the whole request before anything is written."""
    with pytest.raises(BadMonth):
        landing.generate(tmp_path, ["2024-02", "2024-99"])

    assert list(tmp_path.iterdir()) == []
