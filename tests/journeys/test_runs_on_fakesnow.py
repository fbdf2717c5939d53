"""Runs on fakesnow: the statements that dbt sends to Snowflake hold as plumbing. No claim about Snowflake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.cli import app
from dagster_defs.parity import Verdict
from dagster_defs.usecases import check as comparison
from tests.support.estate import copy_project, mirrors_of

pytestmark = [pytest.mark.journey, pytest.mark.timeout(1500)]

DBT_PROJECT = Path(__file__).resolve().parents[2] / "dbt"
DATABASE = "TAXI"
UNIT, DAY = "taxi_daily.dbt_daily", ("2024-03-10", "2024-03-11")
DBT_SECONDS = 150
"""dbt takes about 10 s; what takes this long waits for an answer that never comes."""

RAW_TRIPS = """
create table raw.trips (
    VendorID integer,
    tpep_pickup_datetime timestamp_ntz,
    tpep_dropoff_datetime timestamp_ntz,
    passenger_count integer,
    trip_distance double,
    RatecodeID integer,
    store_and_fwd_flag varchar,
    PULocationID integer,
    DOLocationID integer,
    payment_type integer,
    fare_amount double,
    extra double,
    mta_tax double,
    tip_amount double,
    tolls_amount double,
    improvement_surcharge double,
    total_amount double,
    congestion_surcharge double,
    Airport_fee double
)
"""


@pytest.fixture(scope="module")
def server_port() -> Iterator[int]:
    launcher = Path(__file__).with_name("fakesnow_server.py")
    with GUARDIAN.start(
        [sys.executable, str(launcher)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.strip(), "fakesnow ended before it answered"
            yield int(line)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def connection(server_port: int) -> Iterator[Any]:
    """A session on the server, with the raw tables filled as a loader would have left them."""
    with warnings.catch_warnings():
        # The connector warns about the urllib3 beside it while it is imported.
        warnings.simplefilter("ignore")
        from snowflake.connector import connect
    with connect(
        host="127.0.0.1",
        port=server_port,
        protocol="http",
        account="fakesnow",
        user="fake",
        password="snow",  # noqa: S106 -- fakesnow takes any
        database=DATABASE,
        network_timeout=30,
        session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
    ) as session:
        run = session.cursor().execute
        run("create schema raw")
        run(
            "create table raw.zones (LocationID integer, Borough varchar, Zone varchar, service_zone varchar)"
        )
        run(
            "insert into raw.zones values (7, 'Queens', 'Astoria', 'Boro Zone'), (161, 'Manhattan', 'M', 'Y')"
        )
        run(RAW_TRIPS)
        run(f"insert into raw.trips values {', '.join(_trips())}")  # noqa: S608 -- made below
        yield session


def _trips() -> list[str]:
    """Ten trips for each of two days, one of them delivered twice, one of them refunded."""
    rows = [_trip(day, hour, 10 + hour) for day in (10, 11) for hour in range(10)]
    return [*rows, rows[0], _trip(10, 1, -11)]


def _trip(day: int, hour: int, total: int) -> str:
    zone = 7 if hour % 2 else 161
    return (
        f"(1, '2024-03-{day} {hour + 5:02}:00:00', '2024-03-{day} {hour + 5:02}:20:00', 1, 2.5, 1, 'N', "
        f"{zone}, 7, 1, 8, 0, 0.5, 1.25, 0, 1, {total}, 2.5, 0)"
    )


def _environment(port: int) -> dict[str, str]:
    return {
        "SNOWFLAKE_ACCOUNT": "fakesnow",
        "SNOWFLAKE_HOST": "127.0.0.1",
        "SNOWFLAKE_PORT": str(port),
        "SNOWFLAKE_PROTOCOL": "http",
        "SNOWFLAKE_USER": "fake",
        "SNOWFLAKE_PASSWORD": "snow",
        "SNOWFLAKE_DATABASE": DATABASE,
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
    }


def _dbt_build(
    port: int, target: str, scratch: Path, day: str, next_day: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        **_environment(port),
        "DBT_TARGET_PATH": str(scratch / target),
        "DBT_LOG_PATH": str(scratch / target),
    }
    window = f'{{"min_date": "{day}", "max_date": "{next_day}"}}'
    hours = ["--event-time-start", f"{day}T14:00:00", "--event-time-end", f"{day}T16:00:00"]
    dbt = Path(sys.executable).with_name("dbt")
    return subprocess.run(
        [str(dbt), "--no-use-colors", "build", "--target", target, "--vars", window, *hours],
        cwd=DBT_PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DBT_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("target", ["snowflake", "snowflake_candidate"])
def test_dbt_builds_twice_in_a_row(server_port: int, connection: Any, tmp_path: Path, target: str) -> None:
    """The project builds on a Snowflake target, a re-run doubles nothing, another day adds its rows."""
    schema = {"snowflake": "legacy", "snowflake_candidate": "candidate"}[target]
    totals = (
        f"select trip_date, sum(trips), sum(total_amount) from {schema}.daily_metrics group by 1 order by 1"  # noqa: S608
    )
    hours = f"select to_varchar(pickup_hour_utc), trips, total_amount from {schema}.hourly_metrics order by 1"  # noqa: S608

    for _ in range(2):
        done = _dbt_build(server_port, target, tmp_path, "2024-03-10", "2024-03-11")
        assert done.returncode == 0, done.stdout + done.stderr
        rows = connection.cursor().execute(totals).fetchall()
        # Ten trips of 10 to 19 dollars: the duplicate counts once, the refund not at all.
        assert [(str(day), int(trips), float(total)) for day, trips, total in rows] == [
            ("2024-03-10", 10, 145.0)
        ]
        # Ten and eleven o'clock in New York, whose clocks went forward that night.
        rows = connection.cursor().execute(hours).fetchall()
        assert [(hour[:13], int(trips), float(total)) for hour, trips, total in rows] == [
            ("2024-03-10 14", 1, 15.0),
            ("2024-03-10 15", 1, 16.0),
        ]

    done = _dbt_build(server_port, target, tmp_path, "2024-03-11", "2024-03-12")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = connection.cursor().execute(totals).fetchall()
    assert [str(row[0]) for row in rows] == ["2024-03-10", "2024-03-11"]


@pytest.fixture
def two_tables(server_port: int, connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`legacy_side.FARES` and `candidate_side.FARES` differ in one fare; the profile's variables lead to the server."""
    for name, value in _environment(server_port).items():
        monkeypatch.setenv(name, value)
    for side, fare in (("legacy_side", 3.5), ("candidate_side", 3.75)):
        connection.cursor().execute(f"create schema if not exists {side}")
        connection.cursor().execute(
            f"create or replace table {side}.fares "
            '(id integer, "picked up" timestamp_ntz, fare number(12, 2), note varchar)'
        )
        connection.cursor().execute(
            f"insert into {side}.fares values (1, '2024-03-10 00:30:00', 1.5, 'a'), "  # noqa: S608
            f"(2, '2024-03-10 01:30:00', 2.5, null), (3, '2024-03-11 02:30:00', {fare}, 'c')"
        )


@pytest.mark.usefixtures("two_tables")
@pytest.mark.parametrize(
    ("arguments", "verdict", "columns", "lost"),
    [
        (["--key", "ID"], "mismatch", ["FARE"], 0),
        ([], "mismatch", ["FARE"], 1),
        (
            ["--key", "ID", "--time-column", "picked up", "--from", "2024-03-10", "--to", "2024-03-11"],
            "match",
            [],
            0,
        ),
    ],
)
def test_two_relations_are_compared(
    arguments: list[str], verdict: str, columns: list[str], lost: int
) -> None:
    """`parity compare` on a Snowflake target: one pass of hashes, then the rows of what differs."""
    sides = [f"snowflake::{side}_side.fares" for side in ("legacy", "candidate")]
    done = CliRunner().invoke(
        app, ["compare", *sides, *arguments, "--json", "--dbt-project", str(DBT_PROJECT)]
    )
    found = json.loads(done.stdout)
    assert (found["verdict"], found["differing_columns"], found["only_in_legacy"]) == (
        verdict,
        columns,
        lost,
    ), found


@pytest.mark.usefixtures("two_tables")
def test_a_relation_that_is_not_there() -> None:
    """Nothing to compare is inconclusive, never a match."""
    places = ["snowflake::legacy_side.fares", "snowflake::candidate_side.nothing"]
    done = CliRunner().invoke(app, ["compare", *places, "--json", "--dbt-project", str(DBT_PROJECT)])
    assert done.exit_code == 3
    assert "does not exist" in json.loads(done.stdout)["reason"]


@pytest.fixture(scope="module")
def both_sides(server_port: int, connection: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One day that dbt has built on each target."""
    for target in ("snowflake", "snowflake_candidate"):
        done = _dbt_build(server_port, target, tmp_path_factory.mktemp(target), *DAY)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def unit_on_snowflake(
    server_port: int, both_sides: None, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A mirror's YAML, whose targets are those on the server; it is as it was afterwards."""
    targets = {"PARITY_LEGACY_TARGET": "snowflake", "PARITY_CANDIDATE_TARGET": "snowflake_candidate"}
    for name, value in (_environment(server_port) | targets).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        comparison, "load_mirrors", lambda _root: mirrors_of(project / "dagster_defs" / "defs", project)
    )
    yaml = project / "dagster_defs" / "defs" / "taxi_daily" / "defs.yaml"
    text = yaml.read_text()
    yield yaml
    yaml.write_text(text)


def _check(exit_code: int) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["check", UNIT, "--from", DAY[0], "--json"])
    assert done.exit_code == exit_code, done.stdout or done.exception
    return {check["name"]: check for check in json.loads(done.stdout)}


def test_a_unit_is_checked(unit_on_snowflake: Path, connection: Any) -> None:
    """`parity check` of a unit with Snowflake targets: both schemas match; a changed row does not, or is tolerated."""
    found = _check(0)
    assert {name: check["verdict"] for name, check in found.items()} == {
        "daily_metrics": "match",
        "location_metrics": "match",
    }
    assert all(check["rows"]["legacy"] == check["rows"]["candidate"] > 0 for check in found.values())

    change = (
        "update candidate.daily_metrics set total_amount = total_amount {} 1 where pickup_borough = 'Queens'"
    )
    connection.cursor().execute(change.format("+"))
    try:
        changed = _check(3)["daily_metrics"]
        assert (changed["verdict"], changed["modified"]) == ("mismatch", 1)
        assert changed["differing_columns"] == ["TOTAL_AMOUNT"]

        compared = "{ name: daily_metrics,"
        tolerance = "[{ column: total_amount, kind: absolute, value: 1, reason: a test }]"
        declared = unit_on_snowflake.read_text()
        assert declared.count(compared) == 1
        unit_on_snowflake.write_text(declared.replace(compared, f"{compared} tolerances: {tolerance},"))
        tolerated = _check(0)["daily_metrics"]
        assert tolerated["tolerated"] == {"TOTAL_AMOUNT": 1}
    finally:
        connection.cursor().execute(change.format("-"))


@pytest.mark.usefixtures("unit_on_snowflake")
def test_legacy_is_read_as_it_was(project: Path) -> None:
    """A comparison as of an instant runs; that fakesnow has a past is no claim."""
    mirrors = mirrors_of(project / "dagster_defs" / "defs", project)
    [mirror] = [mirror for mirror in mirrors if str(mirror.legacy_unit) == UNIT]
    outputs = list(mirror.outputs_of(mirror.partitions.window_of(DAY[0])))

    checks = [comparison.compare_output(output, as_of=datetime.now(timezone.utc)) for output in outputs]

    assert [check.verdict for check in checks] == [Verdict.MATCH, Verdict.MATCH]
    assert all(comparison.keeps_its_past(output) for output in outputs)


@pytest.mark.usefixtures("unit_on_snowflake")
def test_both_sides_in_one_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate in legacy's schema would be compared with itself: an error, never a match."""
    monkeypatch.setenv("PARITY_CANDIDATE_TARGET", "snowflake")

    found = _check(2)

    assert all(check["error"] and "the same relation" in check["reason"] for check in found.values())


@pytest.mark.usefixtures("unit_on_snowflake")
def test_two_warehouses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Legacy on Snowflake and candidate in a DuckDB file cannot be compared, and the error says why."""
    monkeypatch.setenv("PARITY_CANDIDATE_TARGET", "candidate")

    found = _check(2)

    assert all("both sides are compared inside one warehouse" in check["reason"] for check in found.values())
