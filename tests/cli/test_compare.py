"""`parity compare`: two relations, or a file of many comparisons."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner, Result

from dagster_defs.adapters.warehouse.places import as_it_was
from dagster_defs.adapters.warehouse.seam import Table, TargetTable
from dagster_defs.cli import app
from dagster_defs.errors import ParityError
from dagster_defs.parity import Relation
from dagster_defs.usecases.compare.spec import ComparisonEntry

TRIPS = """
    create table trips as
    select i as id, timestamp '2024-03-10 04:00' + to_hours(i) as started, i * 1.5::double as fare, 'n' || i as note
    from range(48) as trips (i)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two databases whose `trips` differ in one fare, in 48 hours from New York's 2024-03-09 23:00."""
    folder = tmp_path_factory.mktemp("compare")
    for side in ("legacy", "candidate"):
        with duckdb.connect(str(folder / f"{side}.duckdb")) as connection:
            connection.execute(TRIPS)
            if side == "candidate":
                connection.execute("update trips set fare = fare + 0.25 where id = 30")
            connection.execute('create schema "my.schema"')
            connection.execute('create table "my.schema"."or""der" as select 1 as "a b"')
            connection.execute(f"copy trips to '{folder / side}.parquet'")
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def compare(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", *arguments])


def answer(*arguments: str) -> Any:
    return json.loads(compare(*arguments, "--json").stdout)


def spec(folder: Path, *comparisons: dict[str, Any]) -> str:
    file = folder / "comparisons.yaml"
    file.write_text(yaml.safe_dump({"comparisons": list(comparisons)}))
    return str(file)


def one(name: str, **more: Any) -> dict[str, Any]:
    sides = {side: {"database": f"{side}.duckdb", "table": "trips"} for side in ("legacy", "candidate")}
    return {"name": name, **sides, "key": ["id"], **more}


def test_two_tables() -> None:
    """What differs is counted, named and shown; the exit code is that of a mismatch."""
    done = compare("legacy.duckdb::main.trips", "candidate.duckdb::trips", "--key", "id")
    assert done.exit_code == 3
    assert "1 row modified in fare" in done.stdout
    assert "modified, key id=30: fare 45.0 → 45.25" in done.stdout


def test_two_files_and_a_table_beside_a_file() -> None:
    """Parquet files are relations like any other."""
    assert answer("legacy.parquet", "legacy.duckdb::trips", "--key", "id")["verdict"] == "match"
    assert answer("legacy.parquet", "candidate.parquet")["only_in_legacy"] == 1


@pytest.mark.parametrize(
    ("window", "rows", "verdict"),
    [
        (("--from", "2024-03-10", "--to", "2024-03-11"), 20, "match"),
        (("--from", "2024-03-10", "--to", "2024-03-11", "--zone", "America/New_York"), 23, "match"),
        (("--from", "2024-03-11", "--zone", "America/New_York"), 24, "mismatch"),
        (("--from", "2024-03-11T10:00-00:00", "--to", "2024-03-11T11:00+00:00"), 1, "mismatch"),
        (
            (
                "--from",
                "2025-01-01",
            ),
            0,
            "inconclusive",
        ),
    ],
)
def test_windows(window: tuple[str, ...], rows: int, verdict: str) -> None:
    """Bounds are half-open, and local times of the zone if there is one: the day of the clock change has 23 hours."""
    outcome = answer(
        "legacy.duckdb::trips", "candidate.duckdb::trips", "--key", "id", "--time-column", "started", *window
    )
    assert (outcome["rows"]["legacy"], outcome["verdict"]) == (rows, verdict)


def test_names_that_need_quotes() -> None:
    """Names with dots, quotes and spaces are written as in SQL."""
    name = 'duckdb::"my.schema"."or""der"'
    done = compare(f"legacy.{name}", f"candidate.{name}", "--key", "a b", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["verdict"] == "match"


def test_tolerances_are_counted(folder: Path) -> None:
    """A tolerance of a file excuses, and says that it did; one that has expired does not."""
    file = folder / "tolerances.yaml"
    entry = {"column": "fare", "kind": "absolute", "value": 0.25, "reason": "rounded later"}
    arguments = ("legacy.duckdb::trips", "candidate.duckdb::trips", "--key", "id", "--tolerances", str(file))
    file.write_text(yaml.safe_dump({"tolerances": [entry]}))
    assert (found := answer(*arguments))["verdict"] == "match"
    assert (found["tolerated"], found["reason"]) == ({"fare": 1}, "match, 1 tolerated (fare 1), of 48 rows")
    file.write_text(yaml.safe_dump([{**entry, "expires": "2024-01-01"}]))
    assert (found := answer(*arguments))["verdict"] == "mismatch"
    assert found["expired_tolerances"] == ["fare"]


def test_samples_can_be_masked_and_switched_off() -> None:
    """Private values need not be shown."""
    two = ("legacy.duckdb::trips", "candidate.duckdb::trips", "--key", "id")
    [sample] = answer(*two, "--mask", "fare")["samples"]
    assert sample["columns"]["fare"] == {"legacy": "***", "candidate": "***"}
    assert answer(*two, "--samples", "0")["samples"] == []


def test_many_comparisons_of_a_file(folder: Path) -> None:
    """The answers come in the order of the file, and one that is wrong does not stop the others."""
    gone = {"database": "gone.duckdb", "table": "trips"}
    window = {"start": "2024-03-10", "end": "2024-03-11", "timezone": "America/New_York"}
    tolerance = {
        "column": "fare",
        "kind": "relative",
        "value": "0.01",
        "reason": "r",
        "expires": "2024-03-01",
    }
    file = spec(
        folder,
        one("windowed", time_column="started", window=window),
        one("tolerated", tolerances=[tolerance], as_of="2024-03-01"),
        one("expired", tolerances=[tolerance], as_of="2024-03-02T00:00:00"),
        one("no such key", key=["nope"]),
        one("no such kind", tolerances=[{**tolerance, "kind": "about"}]),
        one("tolerance on the key", tolerances=[{**tolerance, "column": "id"}]),
        one("reversed", time_column="started", window={"start": "2024-03-11", "end": "2024-03-10"}),
        one("no such zone", time_column="started", window={**window, "timezone": "Mars/Olympus"}),
        one("no table", legacy={"database": "legacy.duckdb"}),
        one("gone", legacy=gone),
        one("unknown field", colour="red"),
        one("itself", candidate={"database": "legacy.duckdb", "table": "trips"}),
        one("file", candidate={"files": "candidate.parquet"}),
    )
    done = compare("--spec", file, "--json")
    assert done.exit_code == 2
    found = {check["name"]: check for check in json.loads(done.stdout)}
    assert {name: (check["verdict"], check["error"]) for name, check in found.items()} == {
        "windowed": ("match", False),
        "tolerated": ("match", False),
        "expired": ("mismatch", False),
        "no such key": ("inconclusive", True),
        "no such kind": ("inconclusive", True),
        "tolerance on the key": ("inconclusive", True),
        "reversed": ("inconclusive", True),
        "no such zone": ("inconclusive", True),
        "no table": ("inconclusive", True),
        "gone": ("inconclusive", False),
        "unknown field": ("inconclusive", True),
        "itself": ("match", False),
        "file": ("mismatch", False),
    }
    assert "unknown time zone 'Mars/Olympus'" in found["no such zone"]["reason"]
    assert "colour" in found["unknown field"]["reason"]
    assert found["windowed"]["rows"] == {"legacy": 23, "candidate": 23}


@pytest.mark.parametrize(
    ("as_of", "day", "instant"),
    [
        ("2024-03-12", date(2024, 3, 12), None),
        (date(2024, 3, 12), date(2024, 3, 12), None),
        ("2024-03-12T00:00:00", date(2024, 3, 12), datetime(2024, 3, 12, tzinfo=timezone.utc)),
        ("2024-03-12T22:30-04:00", date(2024, 3, 13), datetime(2024, 3, 13, 2, 30, tzinfo=timezone.utc)),
        (datetime(2024, 3, 12, 8, 15), date(2024, 3, 12), datetime(2024, 3, 12, 8, 15, tzinfo=timezone.utc)),  # noqa: DTZ001 - as YAML has it
    ],
    ids=str,
)
def test_as_of_is_a_day_or_an_instant(as_of: Any, day: date, instant: datetime | None) -> None:
    """Only a time of day makes `as_of` an instant, midnight included; days and instants are those of UTC."""
    entry = ComparisonEntry.model_validate(one("as of", as_of=as_of))
    assert (entry.today, entry.instant) == (day, instant)


def test_as_of_reads_the_past_on_snowflake_only() -> None:
    """On Snowflake the place carries the instant, and the message names it; a DuckDB file is read as it is now."""
    noon = datetime(2024, 3, 12, 12, tzinfo=timezone.utc)
    there = TargetTable("snowflake", Relation("TAXI", "LEGACY", "TRIPS"), "account", None)
    then = as_it_was(there, noon)
    assert isinstance(then, TargetTable)
    assert str(then.relation) == "TAXI.LEGACY.TRIPS as of 2024-03-12T12:00:00+00:00"
    here = Table(Path("legacy.duckdb"), "main", "trips")
    assert as_it_was(here, noon) == here


def test_as_of_with_a_time_compares_duckdb_as_it_is(folder: Path) -> None:
    """On DuckDB an instant is the day of the tolerances and nothing more."""
    file = spec(folder, one("now", candidate={"files": "legacy.parquet"}, as_of="2024-03-12T12:00:00Z"))
    assert compare("--spec", file).exit_code == 0


def test_all_match_is_exit_code_0(folder: Path) -> None:
    """And a list of none is an empty list, which is no match."""
    assert compare("--spec", spec(folder, one("a", candidate={"files": "legacy.parquet"}))).exit_code == 0
    assert answer("--spec", spec(folder)) == []
    assert compare("--spec", spec(folder)).exit_code == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("comparisons: [", "flow node"),
        ("[]", "no `comparisons` list"),
        ("comparisons: {}", "no `comparisons` list"),
        ("comparisons: []\nmore: 1", "'more'"),
    ],
)
def test_files_that_are_none(folder: Path, text: str, reason: str) -> None:
    """A file that cannot be read is one error, before anything is compared."""
    file = folder / "bad.yaml"
    file.write_text(text)
    error = compare("--spec", str(file)).exception
    assert isinstance(error, ParityError)
    assert error.exit_code == 2
    assert reason in str(error)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("legacy.parquet",),
        ("legacy.parquet", "b.parquet", "--spec", "x"),
        ("--spec", "x", "--mask", "note"),
        ("--spec", "x", "--key", "id"),
        ("--spec", "x", "--from", "2024-01-01"),
    ],
)
def test_what_is_asked_has_to_be_one_thing(arguments: tuple[str, ...]) -> None:
    """Two relations or a file, and not half of either."""
    assert compare(*arguments).exit_code == 2


@pytest.mark.parametrize("hidden", [("--mask", "note"), ("--samples", "0")])
def test_what_a_warehouse_says_shows_no_hidden_value(folder: Path, hidden: tuple[str, ...]) -> None:
    """A message that quotes a value is shown without it where values are hidden."""
    with duckdb.connect(str(folder / "failing.duckdb")) as connection:
        connection.execute("create or replace table t as select 1 as id, 'secret-' || random() as note")
        connection.execute("create or replace view v as select id, note, note::integer as bad from t")
    place = "failing.duckdb::v"

    assert "'secret-" in answer(place, place, "--key", "id")["reason"]
    reason = answer(place, place, "--key", "id", *hidden)["reason"]
    assert "secret" not in reason
    assert "Could not convert" in reason


def test_a_time_beyond_the_calendar_is_an_error(folder: Path) -> None:
    """One comparison's impossible `as_of` is its own error; the next is made."""
    outcome = answer("--spec", spec(folder, one("far", as_of="9999-12-31T23:00-05:00"), one("near")))
    assert [check["error"] for check in outcome] == [True, False]
    assert "is out of range in UTC" in outcome[0]["reason"]


@pytest.mark.parametrize("place", ["legacy.duckdb", "legacy.duckdb::a.b.c", "legacy.duckdb::", "nowhere"])
def test_text_that_names_no_relation(place: str) -> None:
    """The error says how a relation is written."""
    error = compare(place, "candidate.parquet").exception
    assert isinstance(error, ParityError)
    assert "file.duckdb::schema.table" in str(error)


WINDOW = {"start": "2024-03-10", "end": "2024-03-11", "timezone": "America/New_York"}
DATES = "(select unnest([date '2024-03-09', date '2024-03-10', date '2024-03-11']) as d)"
KINDS = {
    "days": "d",
    "naive": "d::timestamp + interval 23 hour",
    "texts": "d::varchar",
    "ints": "strftime(d, '%Y%m%d')::int",
}


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of three days in March 2024; in `KIND_N` only the row of day N differs."""
    folder = tmp_path_factory.mktemp("dated")
    for side, value in (("legacy", 0), ("candidate", 1)):
        with duckdb.connect(str(folder / f"{side}.duckdb")) as connection:
            for kind, time in KINDS.items():
                for day in (9, 10, 11):
                    differs = f"case when d = date '2024-03-{day:02}' then {value} else 0 end"
                    connection.execute(
                        f"create table {kind}_{day} as select {time} as day, {differs} as v from {DATES}"  # noqa: S608 - ours
                    )
    return folder


@pytest.mark.parametrize(
    ("table", "more", "verdict", "says"),
    [
        ("days_9", {}, "match", "1 row equal"),
        ("days_10", {}, "mismatch", "v"),
        ("days_11", {}, "match", "1 row equal"),
        # 23:00 of a naive column is UTC's unless another zone is declared: then it is of New York's day.
        ("naive_9", {}, "match", "1 row equal"),
        ("naive_10", {}, "mismatch", "v"),
        ("naive_11", {"naive_zone": "America/New_York"}, "match", "1 row equal"),
        ("naive_10", {"naive_zone": "America/New_York"}, "mismatch", "v"),
        ("naive_9", {"naive_zone": "Asia/Tokyo"}, "match", "1 row equal"),
        ("texts_10", {}, "inconclusive", "cannot bound column 'day' (VARCHAR)"),
        ("ints_10", {}, "inconclusive", "cannot bound column 'day' (INTEGER)"),
        ("days_10", {"window": {**WINDOW, "start": "2024-03-10T06:00"}}, "inconclusive", "inside a day"),
        ("days_10", {"naive_zone": "UTC"}, "inconclusive", "inside a day of UTC"),
        ("naive_10", {"naive_zone": "Mars/Olympus"}, "inconclusive", "unknown time zone 'Mars/Olympus'"),
        (
            "days_10",
            {"window": {**WINDOW, "end": "2024-11-03T01:30"}},
            "inconclusive",
            "twice: write its offset",
        ),
        ("days_10", {"window": {**WINDOW, "start": "2024-03-10T02:30"}}, "inconclusive", "never show"),
    ],
)
def test_18_window_on_dates(dated: Path, table: str, more: dict[str, Any], verdict: str, says: str) -> None:
    """A DATE has the local dates of the window; a naive time is UTC's, or of the zone that the comparison declares."""
    sides = {side: {"database": f"{side}.duckdb", "table": table} for side in ("legacy", "candidate")}
    entry = {"name": table, **sides, "time_column": "day", "window": WINDOW, **more}
    [outcome] = answer("--spec", spec(dated, entry))
    assert outcome["verdict"] == verdict
    assert says in outcome["reason"]


def test_zones_on_the_command_line(dated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--zone` is that of the bounds, `--naive-zone` that of a column without one."""
    monkeypatch.chdir(dated)
    bounds = (
        "--time-column",
        "day",
        "--from",
        "2024-03-10",
        "--to",
        "2024-03-11",
        "--zone",
        "America/New_York",
    )

    def verdict(table: str, *more: str) -> str:
        sides = (f"{side}.duckdb::{table}" for side in ("legacy", "candidate"))
        return str(answer(*sides, *bounds, *more)["verdict"])

    assert [verdict(f"days_{day}") for day in (9, 10, 11)] == ["match", "mismatch", "match"]
    assert [verdict(f"naive_{day}") for day in (9, 10, 11)] == ["match", "mismatch", "match"]
    new_york = ("--naive-zone", "America/New_York")
    assert [verdict(f"naive_{day}", *new_york) for day in (9, 10, 11)] == ["match", "mismatch", "match"]
    assert [verdict(f"naive_{day}", "--naive-zone", "Etc/GMT+8") for day in (9, 10, 11)] == [
        "mismatch",
        "match",
        "match",
    ]
