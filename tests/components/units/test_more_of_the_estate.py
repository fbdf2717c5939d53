"""The mirrors of the hourly, the weekly and the loop-made DAGs: their windows, and what their runs leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey

from dagster_defs.adapters.dagster.partitions import definition_of
from dagster_defs.components import DbtUnit
from dagster_defs.parity import Side
from tests.support.estate import Estate, copy_project, put_legacy_code_on_path
from tests.support.instances import instance_for_test

HOURLY, WEEKLY = "taxi_hourly.dbt_hourly", "taxi_weekly.dbt_weekly"
SNAPSHOT = "taxi_weekly.dbt_snapshot"
BOROUGHS = ("manhattan", "queens", "brooklyn")
SIDES = {Side.LEGACY: "", Side.CANDIDATE: "shadow__"}
FALL, SPRING = "2023-11-05", "2024-03-10"


@pytest.fixture(scope="module")
def units(estate: Estate) -> dict[str, DbtUnit]:
    """The mirrors, by unit, as their YAML declares them."""
    with estate.entered():
        found = dg.ComponentTree.for_project(estate.root).get_all_components(of_type=DbtUnit)
    return {unit.unit: unit for unit in found}


def hours_of(unit: DbtUnit, day: str) -> list[str]:
    keys = definition_of(unit.partitions).get_partition_keys()
    return [key for key in keys if key.startswith(day)]


@pytest.fixture(scope="module")
def run_estate(units: dict[str, DbtUnit], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """An estate with the days around both clock changes, in which both sides have run every other unit."""
    with instance_for_test() as instance:
        own = Estate(copy_project(tmp_path_factory.mktemp("more")), instance)
        with own.entered():
            put_legacy_code_on_path()
            from include import landing, settings
            from include.files import write_parquet

            landing.generate(settings.landing_dir(), [])
            for month in ("2023-11", "2024-03"):
                path = settings.landing_dir() / landing.trips_file(month)
                write_parquet(landing.trips(month, count=20_000), path)
        for prefix in SIDES.values():
            for job, *windows in jobs_in_order(units[HOURLY]):
                for window in windows:
                    own.results[f"{prefix}{job} {window[0]}"] = own.run(prefix + job, window)
        yield own


def jobs_in_order(hourly: DbtUnit) -> list[Any]:
    days = [hours_of(hourly, day) for day in (FALL, SPRING)]
    return [
        ("taxi_ingest__load_zones", ("2023-11-01", "2023-11-01")),
        ("taxi_ingest__load_trips", ("2023-11-01", "2023-11-01"), ("2024-03-01", "2024-03-01")),
        ("taxi_daily__dbt_zones", (FALL, FALL)),
        ("taxi_daily__dbt_daily", ("2023-11-01", "2023-11-19"), (SPRING, SPRING)),
        ("taxi_hourly__dbt_hourly", *((day[0], day[-1]) for day in days), (days[0][2], days[0][2])),
        ("taxi_weekly__dbt_snapshot", ("2023-11-06", "2023-11-06"), ("2023-11-13", "2023-11-20")),
        ("taxi_weekly__dbt_weekly", ("2023-11-06", "2023-11-13"), ("2023-11-20", "2023-11-20")),
        ("taxi_weekly__dbt_test", ("2023-11-06", "2023-11-06")),
        *((f"taxi_borough_{name}__dbt_borough", (FALL, "2023-11-06")) for name in BOROUGHS),
    ]


@pytest.mark.parametrize(("day", "hours"), [(FALL, 25), (SPRING, 23), ("2024-03-11", 24)])
def test_an_hour_has_its_offset_in_its_key(units: dict[str, DbtUnit], day: str, hours: int) -> None:
    """A New York day has 23, 24 or 25 hours, each under a key of its own and one hour long in UTC."""
    unit = units[HOURLY]
    keys = hours_of(unit, day)

    assert len({*keys}) == len(keys) == hours
    windows = [unit.partitions.window_of(key) for key in keys]
    assert {(window.end - window.start).total_seconds() for window in windows} == {3600}
    assert [window.end for window in windows[:-1]] == [window.start for window in windows[1:]]


def test_event_times_are_utc(units: dict[str, DbtUnit]) -> None:
    """Both hours that begin at one o'clock have their own event times, in UTC and in a form that dbt takes."""
    unit = units[HOURLY]
    twice = [key for key in hours_of(unit, FALL) if "T01:00" in key]

    assert [unit.event_times.for_window(unit.partitions.window_of(key)) for key in twice] == [
        {"start": "2023-11-05T05:00:00", "end": "2023-11-05T06:00:00"},
        {"start": "2023-11-05T06:00:00", "end": "2023-11-05T07:00:00"},
    ]


def test_a_range_of_hours_is_one_stretch(units: dict[str, DbtUnit]) -> None:
    """One run over many hours takes the first one's start and the last one's end."""
    unit = units[HOURLY]
    keys = hours_of(unit, SPRING)
    first, last = (unit.partitions.window_of(key) for key in (keys[0], keys[-1]))

    assert unit.event_times.for_range(first, last) == {
        "start": "2024-03-10T05:00:00",
        "end": "2024-03-11T04:00:00",
    }
    assert unit.variables.can_range


@pytest.mark.parametrize("monday", ["2023-11-06", "2024-03-11", "2024-03-18"])
def test_a_week_is_the_previous_day(units: dict[str, DbtUnit], monday: str) -> None:
    """On the weeks of both clock changes too, the variables name the Sunday before the window begins."""
    unit = units[WEEKLY]
    values = unit.variables.for_window(unit.partitions.window_of(monday))

    assert values["end_date"] == monday
    assert values["start_date"] == {
        "2023-11-06": "2023-11-05", "2024-03-11": "2024-03-10", "2024-03-18": "2024-03-17"
    }[monday]  # fmt: skip


def test_each_dag_of_the_loop_has_a_unit(units: dict[str, DbtUnit]) -> None:
    """Every DAG that the loop makes is mirrored, with its own model and without a window."""
    for name in BOROUGHS:
        unit = units[f"taxi_borough_{name}.dbt_borough"]
        assert (unit.command, unit.select, unit.vars) == ("run", f"borough_{name}", {})
        assert str(unit.partitions.window_of(FALL).start) == "2023-11-05 11:30:00+00:00"


def test_the_manual_dag_has_no_mirror(units: dict[str, DbtUnit]) -> None:
    """A DAG that only people start stays in Airflow: what it builds is a param, which a mirror cannot select by."""
    assert not [unit for unit in units if unit.startswith("taxi_adhoc")]


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("day", "hours"), [(FALL, 24), (SPRING, 23)])
def test_the_hours_of_a_day_are_the_day(run_estate: Estate, side: Side, day: str, hours: int) -> None:
    """The hours of each clock change have together the trips of the day; what was recorded in the repeated hour
    counts in the first one."""
    totals = "pickup_borough, sum(trips), sum(rejected_trips), sum(total_amount), sum(fare_amount)"
    query = f"select {totals} from {{}} where trip_date = '{day}' group by 1 order by 1"  # noqa: S608 - written here

    hourly, daily = (
        run_estate.query(side, query.format(table)) for table in ("hourly_metrics", "daily_metrics")
    )

    assert hourly == daily != []
    rows = f"select count(distinct pickup_hour_utc) from hourly_metrics where trip_date = '{day}'"  # noqa: S608 - same
    assert run_estate.query(side, rows) == [(hours,)]


@pytest.mark.parametrize("side", Side)
def test_a_run_of_hours_says_its_event_times(
    run_estate: Estate, units: dict[str, DbtUnit], side: Side
) -> None:
    """The materialization of each hour of a backfill carries the stretch that the run was about."""
    keys = hours_of(units[HOURLY], FALL)
    result = run_estate.results[f"{SIDES[side]}taxi_hourly__dbt_hourly {keys[0]}"]
    prefix = "shadow/" if side is Side.CANDIDATE else ""
    made = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == AssetKey(f"{prefix}hourly_metrics".split("/"))
    ]

    assert [materialization.partition for materialization in made] == keys
    facts = {name: value.value for name, value in made[0].metadata.items()}
    assert facts["event_time/start"] == "2023-11-05T04:00:00"
    assert facts["event_time/end"] == "2023-11-06T05:00:00"


@pytest.mark.parametrize("side", Side)
def test_every_week_was_built_once(run_estate: Estate, side: Side) -> None:
    """Three windows, two of them in one run, build three weeks; the first has the days since the estate began."""
    weeks = run_estate.query(
        side,
        "select week_ending::varchar, max(days_with_trips), sum(trips)::int from weekly_metrics group by 1 order by 1",
    )
    days = run_estate.query(
        side,
        "select sum(trips)::int from daily_metrics where trip_date between '2023-11-06' and '2023-11-12'",
    )

    assert [week[:2] for week in weeks] == [("2023-11-05", 5), ("2023-11-12", 7), ("2023-11-19", 7)]
    assert weeks[1][2:] == days[0]


@pytest.mark.parametrize("side", Side)
def test_a_second_snapshot_adds_nothing(run_estate: Estate, side: Side) -> None:
    """Snapshots of unchanged zones leave one row for each."""
    assert run_estate.query(side, "select count(*), count(distinct location_id) from zones_snapshot") == [
        (265, 265)
    ]


@pytest.mark.parametrize("side", Side)
def test_the_tests_of_a_week_are_reported(run_estate: Estate, side: Side) -> None:
    """The unit that only tests builds nothing, and says of each test how it went."""
    result = run_estate.results[f"{SIDES[side]}taxi_weekly__dbt_test 2023-11-06"]
    observed = [
        event.asset_observation_data.asset_observation.description
        for event in result.get_asset_observation_events()
    ]

    assert "the_previous_day_names_the_week: pass" in observed
    assert len(observed) == 6
    assert all(said is not None and said.endswith(": pass") for said in observed)


def test_both_sides_agree(run_estate: Estate) -> None:
    """`parity check` says match for the weeks, the snapshot, the boroughs and the hours that have trips."""
    boroughs = [f"taxi_borough_{name}.dbt_borough" for name in BOROUGHS]
    done = run_estate.parity("check", *boroughs, WEEKLY, SNAPSHOT, "--from", "2023-11-06")
    assert done.returncode == 0, done.stdout + done.stderr

    hours = run_estate.parity(
        "check", HOURLY, "--from", "2024-03-10T08:00-0400", "--to", "2024-03-10T23:00-0400"
    )
    assert hours.returncode == 0, hours.stdout + hours.stderr
    assert "16/16 match" in hours.stdout


def test_an_hour_without_a_trip_is_inconclusive(run_estate: Estate) -> None:
    """The second one o'clock has no row on either side, and nothing compared is no match."""
    done = run_estate.parity("check", HOURLY, "--from", "2023-11-05T01:00-0500")

    assert done.returncode == 3
    assert "neither side has a row to compare" in done.stdout
