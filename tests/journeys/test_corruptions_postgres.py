"""The faults of `test_corruptions.py` on PostgreSQL: real dbt runs on a real server, and their evidence.

The export is left out, which reads a database file.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys.test_corruptions import (
    AFTER_NOON,
    BEFORE_NOON,
    DAY,
    EARLIER,
    FAULTS,
    HOURS,
    LOST,
    NOON,
    WEEK,
    WINTER_HOUR,
    Fault,
    kept,
)
from tests.support.corruptions import DAILY, HOURLY, WEEKLY, corruptible_project
from tests.support.corruptions_postgres import PostgresEstate, estate_on
from tests.support.estate import export_inventory
from tests.support.fakes import FakeAirflow
from tests.support.postgres import PostgresServer

pytestmark = [
    pytest.mark.journey,
    pytest.mark.airflow,
    pytest.mark.journey,
    pytest.mark.timeout(1_800),
]  # four parses of the project before the first

STARTS = {EARLIER: f"{EARLIER}T11:00:00+00:00", DAY: f"{DAY}T10:00:00+00:00"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[PostgresEstate]:
    """Legacy has run everything; the candidate EARLIER, and nothing of the hours and the week."""
    inventory = tmp_path_factory.mktemp("inventory") / "inventory.json"
    export_inventory(inventory, EARLIER, WEEK, f"{EARLIER}/2024-03-12")
    root = corruptible_project(tmp_path_factory.mktemp("corruptible"))
    with FakeAirflow() as airflow:
        estate = estate_on(postgres, root, airflow.url, inventory)
        for unit in (DAILY, HOURLY, WEEKLY):
            dag_id, task_id = unit.split(".")
            for start, fields in estate.rendered(unit).items():
                airflow.rendered[dag_id, f"scheduled__{start}", task_id] = fields
        estate.ingest()
        daily, hourly, weekly = (estate.rendered(unit) for unit in (DAILY, HOURLY, WEEKLY))
        estate.run_legacy(
            [
                *(daily[start]["bash_command"] for start in STARTS.values()),
                *(hourly[f"{DAY}T{hour}:00:00+00:00"]["bash_command"] for hour in HOURS.values()),
                *(fields["bash_command"] for fields in weekly.values()),
            ]
        )
        estate.observe(["daily_metrics", "location_metrics"], STARTS)
        estate.observe(["hourly_metrics"], {key: f"{DAY}T{hour}:00:00+00:00" for key, hour in HOURS.items()})
        estate.observe(["weekly_metrics"], dict.fromkeys([WEEK], *weekly))
        assert estate.run(DAILY, EARLIER).success
        estate.keep("before")
        yield estate


@pytest.fixture
def estate(prepared: PostgresEstate) -> PostgresEstate:
    prepared.restore("before")
    return prepared


def test_without_a_fault_everything_matches(estate: PostgresEstate) -> None:
    """Candidate runs on PostgreSQL read other units' models from legacy and match in every window, with rows on both
    sides; the evidence is on the instance."""
    for unit, *windows in (
        (DAILY, DAY), (HOURLY, WINTER_HOUR), (HOURLY, BEFORE_NOON, AFTER_NOON), (WEEKLY, WEEK)
    ):  # fmt: skip
        assert estate.run(unit, *windows).success, unit

    for unit, expected in (
        (DAILY, {("daily_metrics", EARLIER), ("daily_metrics", DAY), ("location_metrics", None)}),
        (HOURLY, {("hourly_metrics", hour) for hour in (WINTER_HOUR, BEFORE_NOON, NOON, AFTER_NOON)}),
        (WEEKLY, {("weekly_metrics", WEEK)}),
    ):
        exit_code, checks = kept(estate, unit)
        assert checks.keys() == expected
        assert {check["verdict"] for check in checks.values()} == {"match"}, checks
        assert all(check["rows"]["legacy"] == check["rows"]["candidate"] > 0 for check in checks.values())
        assert exit_code == 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named(estate: PostgresEstate, fault: Fault) -> None:
    """A planted fault is a mismatch of its unit, window and columns, and of no window that it leaves as it was."""
    for unit, window in fault.before:
        assert estate.run(unit, window).success
    with estate.planted(fault.name):
        for window in fault.runs:
            estate.run(fault.unit, window)

    exit_code, checks = kept(estate, fault.unit)

    bad = checks[fault.output, fault.wrong]
    columns = set(bad["differing_columns"])
    assert (exit_code, bad["verdict"]) == (3, "mismatch"), bad["reason"]
    assert fault.reason in bad["reason"]
    assert columns <= fault.columns
    assert columns >= fault.columns & {"trips", "total_amount"}
    for window in fault.right:
        assert checks[fault.output, window]["verdict"] == "match"


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_retry_is_named(estate: PostgresEstate, fault: str) -> None:
    """A run that went down half-way and was not tried again is inconclusive and says what was not built."""
    unit, windows, lost, _ = LOST[fault]
    with estate.planted(fault):
        assert not estate.run(unit, *windows).success

    exit_code, checks = kept(estate, unit)

    assert exit_code == 3
    for place in lost:
        assert checks[place]["verdict"] == "inconclusive"
        assert "the candidate run did not build it: dbt " in checks[place]["reason"]


def test_an_inclusive_end_is_named(estate: PostgresEstate) -> None:
    """A window that the run before has replaced by its first trip is a mismatch, compared now and in the evidence."""
    assert estate.run(DAILY, DAY).success
    with estate.planted("inclusive_end"):
        assert estate.run(DAILY, EARLIER).success

    for asked in (["--from", EARLIER, "--to", DAY], ["--evidence"]):
        exit_code, documents = estate.parity("check", DAILY, *asked)
        checks = {(one["name"], one["partition"]): one for one in documents}
        bad = checks["daily_metrics", DAY]
        assert (exit_code, bad["verdict"]) == (3, "mismatch")
        assert {"trips", "total_amount"} <= {*bad["differing_columns"]}
        assert checks["daily_metrics", EARLIER]["verdict"] == "match"


def test_a_candidate_begins_with_legacys_past(estate: PostgresEstate) -> None:
    """A model that reads its own past starts from legacy's hours before the window, and its own windows match."""
    assert estate.run(HOURLY, BEFORE_NOON, AFTER_NOON).success

    assert estate.rows("select table_name from candidate.parity_baselines") == [("hourly_metrics",)]
    hours = "select distinct extract(hour from pickup_hour_utc)::int from {}.hourly_metrics order by 1"
    assert estate.rows(hours.format("candidate")) == estate.rows(hours.format("legacy"))
    exit_code, checks = kept(estate, HOURLY)
    assert (exit_code, {check["verdict"] for check in checks.values()}) == (0, {"match"})
