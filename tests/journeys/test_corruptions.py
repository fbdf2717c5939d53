"""Faults planted in the candidate one by one: legacy by Airflow's rendered commands, candidates by Dagster's real runs.

Every fault begins where both sides have run 9 March 2024, and legacy what comes after it too. Then the candidate runs
what is next with the fault in it. What is named must be the window that went wrong, and no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import duckdb
import pytest

from tests.support.corruptions import DAILY, EXPORT, HOURLY, WEEKLY, CorruptibleEstate, corruptible_project
from tests.support.estate import export_inventory
from tests.support.fakes import FakeAirflow

pytestmark = [pytest.mark.journey, pytest.mark.airflow]

EARLIER, DAY = "2024-03-09", "2024-03-10"  # the clocks change on the second, two hours after its midnight
WEEK = "2024-03-11"
WINTER_HOUR, NOON = "2024-03-10T00:00-0500", "2024-03-10T12:00-0400"
BEFORE_NOON, AFTER_NOON = "2024-03-10T11:00-0400", "2024-03-10T13:00-0400"
HOURS = {
    WINTER_HOUR: "05",
    "2024-03-10T08:00-0400": "12",
    BEFORE_NOON: "15",
    NOON: "16",
    AFTER_NOON: "17",
}  # in UTC
MEASURES = frozenset({"passengers", "distance_miles", "fare_amount", "tip_amount", "total_amount"})
KEYS = {
    "daily_metrics": ("trip_date", "pickup_borough"),
    "daily_metrics_export": ("trip_date", "pickup_borough"),
    "hourly_metrics": ("pickup_hour_utc", "pickup_borough"),
    "weekly_metrics": ("week_ending", "pickup_borough"),
}

Place = tuple[str, str | None]  # an output and its window, None for a table that is compared as a whole
Checks = dict[Place, dict[str, Any]]
Wrong = tuple[tuple[str, str], ...]

LATER_END = "macros.ds_add(data_interval_end | ds, 1)"
DAY_BEFORE = "macros.ds_add(data_interval_start | ds, -1)"
FROM, UNTIL = "{{ data_interval_start | ds }}", "{{ data_interval_end | ds }}"
MIN, MAX = 'min_date: {{ template: "{}",', 'max_date: {{ template: "{}",'
AT_UTC, AT_LOCAL = "data_interval_{}.strftime", "data_interval_{}.in_timezone('America/New_York').strftime"
EMPTY: Wrong = ((MAX.format(UNTIL), MAX.format(FROM)),)
A_DAY_MORE: Wrong = ((MIN.format(FROM), MIN.format("{{ " + DAY_BEFORE + " }}")),)
A_DAY_EARLY: Wrong = (*A_DAY_MORE, (MAX.format(UNTIL), MAX.format(FROM)))
LOCAL_HOURS: Wrong = tuple((AT_UTC.format(end), AT_LOCAL.format(end)) for end in ("start", "end"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorruptibleEstate]:
    """Legacy has run everything; the candidate EARLIER, and nothing of the hours and the week."""
    inventory = tmp_path_factory.mktemp("inventory") / "inventory.json"
    export_inventory(inventory, EARLIER, WEEK, f"{EARLIER}/2024-03-12")
    with FakeAirflow() as airflow:
        estate = CorruptibleEstate(
            corruptible_project(tmp_path_factory.mktemp("corruptible")), airflow.url, inventory
        )
        for unit in (DAILY, HOURLY, WEEKLY):
            dag_id, task_id = unit.split(".")
            for start, fields in estate.rendered(unit).items():
                airflow.rendered[dag_id, f"scheduled__{start}", task_id] = fields
        estate.ingest()
        run_legacy(estate)
        for unit in (DAILY, EXPORT):
            assert estate.run(unit, EARLIER).success
        estate.keep("before")
        yield estate


def run_legacy(estate: CorruptibleEstate) -> None:
    daily, hourly, weekly = (estate.rendered(unit) for unit in (DAILY, HOURLY, WEEKLY))
    starts = {EARLIER: f"{EARLIER}T11:00:00+00:00", DAY: f"{DAY}T10:00:00+00:00"}
    estate.run_legacy(
        [
            *(daily[start]["bash_command"] for start in starts.values()),
            *(hourly[f"{DAY}T{hour}:00:00+00:00"]["bash_command"] for hour in HOURS.values()),
            *(fields["bash_command"] for fields in weekly.values()),
        ]
    )
    for start in starts.values():
        estate.export_legacy(estate.rendered(EXPORT)[start]["op_kwargs"])
    estate.observe(["daily_metrics", "location_metrics", "daily_metrics_export"], starts)
    estate.observe(["hourly_metrics"], {key: f"{DAY}T{hour}:00:00+00:00" for key, hour in HOURS.items()})
    estate.observe(["weekly_metrics"], dict.fromkeys([WEEK], *weekly))


@pytest.fixture
def estate(prepared: CorruptibleEstate) -> CorruptibleEstate:
    prepared.restore("before")
    return prepared


def kept(estate: CorruptibleEstate, unit: str, first: str = "", last: str = "") -> tuple[int, Checks]:
    """`parity check --evidence`: the exit code, and the documents by output and window; all are of the unit."""
    asked = ["--from", first, "--to", last or first] if first else []
    exit_code, documents = estate.parity("check", unit, "--evidence", *asked)
    assert {one["unit"] for one in documents} <= {unit}
    return exit_code, {(one["name"], one["partition"]): one for one in documents}


def explained(estate: CorruptibleEstate, unit: str, check: dict[str, Any]) -> list[dict[str, Any]]:
    """What DuckDB returns for the SQL of `parity explain`, which says of the window what the evidence does."""
    window = check["partition"]
    exit_code, documents = estate.parity("explain", unit, "--window", window)
    [found] = [one for one in documents if one["name"] == check["name"]]
    told = ("unit", "partition", "verdict", "reason", "differing_columns")
    assert (exit_code, [found[name] for name in told]) == (3, [check[name] for name in told])
    with duckdb.connect() as connection:
        rows: list[dict[str, Any]] = connection.sql(found["sql"]).to_arrow_table().to_pylist()
    return rows


def changed_columns(rows: list[dict[str, Any]], key: tuple[str, ...]) -> set[str]:
    """The columns in which rows of both sides differ that have the same key."""
    sides = {
        side: {tuple(row[name] for name in key): row for row in rows if row["side"] == side}
        for side in ("legacy", "candidate")
    }
    both = sides["legacy"].keys() & sides["candidate"].keys()
    return {
        column
        for place in both
        for column, value in sides["legacy"][place].items()
        if column != "side" and value != sides["candidate"][place][column]
    }


def differing(document: dict[str, Any], unit: str) -> dict[str, str]:
    """Of the one unit that `parity verify` was asked for: what each facet that differs says."""
    [found] = document["units"]
    assert found["unit"] == unit
    return {facet["facet"]: str(facet) for facet in found["facets"] if facet["agrees"] == "differs"}


@dataclass(frozen=True)
class Fault:
    """A fault of the dbt project, the windows that run with it, and what must be said.

    `runs` go one after another. `before` are runs without the fault, as (unit, window). `columns` are those that
    may be named, `trips` and `total_amount` must be; without any, rows are on one side only.
    """

    name: str
    unit: str
    output: str
    runs: tuple[str, ...]
    wrong: str
    reason: str
    right: tuple[str, ...]
    before: tuple[tuple[str, str], ...] = ()
    columns: frozenset[str] = frozenset()


FAULTS = (
    # The first moment of the day does not count any more: one trip less.
    Fault(
        "exclusive_start", DAILY, "daily_metrics", (DAY,), DAY, "1 row modified in trips, ", (EARLIER,),
        columns=MEASURES | {"trips"},
    ),
    # Both ends of the model's window lie a day before.
    Fault("a_day_early", DAILY, "daily_metrics", (DAY,), DAY, "candidate is empty, legacy has ", (EARLIER,)),
    # The model inserts, and the window is run twice.
    Fault(
        "appends", DAILY, "daily_metrics", (DAY, DAY), DAY,
        " rows only in candidate; the key is violated by 0 rows of legacy and ", (EARLIER,),
    ),
    # Right on a common day in March, an hour late from the clock change on.
    Fault(
        "winter_time", DAILY, "daily_metrics", (EARLIER, DAY), DAY, " modified in trips, ", (EARLIER,),
        columns=MEASURES | {"trips", "rejected_trips"},
    ),
    Fault(
        "fixed_offset", HOURLY, "hourly_metrics", (WINTER_HOUR, NOON), NOON, " modified in trips, ", (WINTER_HOUR,),
        columns=MEASURES | {"trips", "rejected_trips"},
    ),
    Fault(
        "monday_names_the_week", WEEKLY, "weekly_metrics", (WEEK,), WEEK, "candidate is empty, legacy has ", (),
        before=((DAILY, DAY),),
    ),
)  # fmt: skip


def test_without_a_fault_everything_matches(estate: CorruptibleEstate) -> None:
    """The same runs without a fault match in every unit and window, with rows on both sides; exit code 0."""
    for unit, *windows in (
        (DAILY, DAY), (EXPORT, DAY), (HOURLY, WINTER_HOUR), (HOURLY, BEFORE_NOON, AFTER_NOON), (WEEKLY, WEEK)
    ):  # fmt: skip
        assert estate.run(unit, *windows).success, unit

    for unit, expected in (
        (DAILY, {("daily_metrics", EARLIER), ("daily_metrics", DAY), ("location_metrics", None)}),
        (EXPORT, {("daily_metrics_export", EARLIER), ("daily_metrics_export", DAY)}),
        (HOURLY, {("hourly_metrics", hour) for hour in (WINTER_HOUR, BEFORE_NOON, NOON, AFTER_NOON)}),
        (WEEKLY, {("weekly_metrics", WEEK)}),
    ):
        exit_code, checks = kept(estate, unit)
        assert checks.keys() == expected
        assert {check["verdict"] for check in checks.values()} == {"match"}, checks
        assert all(check["rows"]["legacy"] == check["rows"]["candidate"] > 0 for check in checks.values())
        assert exit_code == 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named(estate: CorruptibleEstate, fault: Fault) -> None:
    """A planted fault is a mismatch of its unit, window and columns, and of no window that it leaves as it was."""
    for unit, window in fault.before:
        assert estate.run(unit, window).success
    with estate.planted(fault.name):
        for window in fault.runs:
            estate.run(fault.unit, window)

    _, everything = estate.parity("check", "--evidence")
    assert {one["unit"] for one in everything if one["verdict"] == "mismatch"} == {fault.unit}
    exit_code, checks = kept(estate, fault.unit)

    bad = checks[fault.output, fault.wrong]
    columns = set(bad["differing_columns"])
    assert (exit_code, bad["verdict"]) == (3, "mismatch"), bad["reason"]
    assert fault.reason in bad["reason"]
    assert columns <= fault.columns
    assert columns >= fault.columns & {"trips", "total_amount"}
    for window in fault.right:
        assert checks[fault.output, window]["verdict"] == "match"
    rows = explained(estate, fault.unit, bad)
    sides = [row["side"] for row in rows]
    assert sides.count("legacy") == bad["only_in_legacy"] + bad["modified"]
    assert sides.count("candidate") == bad["only_in_candidate"] + bad["modified"]
    assert rows
    assert changed_columns(rows, KEYS[fault.output]) == columns


# By fault: the unit, the first and the last window of the run, what it has not built, and what it has.
LOST: dict[str, tuple[str, tuple[str, str], list[Place], list[Place]]] = {
    "dies_after_writing": (DAILY, (DAY, DAY), [("daily_metrics", DAY)], [("location_metrics", None)]),
    "dies_between_models": (DAILY, (DAY, DAY), [("location_metrics", None)], [("daily_metrics", DAY)]),
    "dies_between_batches": (
        HOURLY, (BEFORE_NOON, AFTER_NOON), [("hourly_metrics", hour) for hour in (BEFORE_NOON, NOON, AFTER_NOON)], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_retry_is_named(estate: CorruptibleEstate, fault: str) -> None:
    """A run that went down half-way and was not tried again is inconclusive and says what was not built; after the
    retry the same windows match."""
    unit, windows, lost, built = LOST[fault]
    with estate.planted(fault):
        assert not estate.run(unit, *windows).success

    exit_code, checks = kept(estate, unit)

    assert exit_code == 3
    for place in lost:
        assert checks[place]["verdict"] == "inconclusive"
        assert "the candidate run did not build it: dbt " in checks[place]["reason"]
    others = checks.keys() - {*lost}
    assert others >= {*built}
    assert {checks[place]["verdict"] for place in others} <= {"match"}

    assert estate.run(unit, *windows).success

    exit_code, checks = kept(estate, unit)
    assert (exit_code, {check["verdict"] for check in checks.values()}) == (0, {"match"})


def test_an_export_that_ends_too_late_is_named(estate: CorruptibleEstate) -> None:
    """A file with the rows of the next day too is a mismatch of its window: rows only in candidate."""
    for unit in (DAILY, EXPORT):
        assert estate.run(unit, DAY).success
    right = 'next_day: "{{ data_interval_end | ds }}"'
    with estate.declared("taxi_daily", (right, right.replace("data_interval_end | ds", LATER_END))):
        assert estate.run(EXPORT, EARLIER).success

        exit_code, checks = kept(estate, EXPORT)
        bad = checks["daily_metrics_export", EARLIER]
        rows = explained(estate, EXPORT, bad)

    assert (exit_code, bad["verdict"]) == (3, "mismatch")
    assert bad["only_in_candidate"] == len(rows) == checks["daily_metrics_export", DAY]["rows"]["legacy"] > 0
    assert {(row["side"], str(row["trip_date"])) for row in rows} == {("candidate", DAY)}
    assert checks["daily_metrics_export", DAY]["verdict"] == "match"


def test_an_export_of_the_day_before_is_named(estate: CorruptibleEstate) -> None:
    """A function that is called for the day before leaves no file for its window: inconclusive, with the file."""
    assert estate.run(DAILY, DAY).success
    right = 'day: "{{ data_interval_start | ds }}"'
    with estate.declared(
        "taxi_daily", (f"    {right}", f"    {right.replace('data_interval_start | ds', DAY_BEFORE)}")
    ):
        assert estate.run(EXPORT, DAY).success

        exit_code, checks = kept(estate, EXPORT, DAY)

    bad = checks["daily_metrics_export", DAY]
    assert (exit_code, bad["verdict"]) == (3, "inconclusive")
    assert f"daily_metrics_{DAY}.csv" in bad["reason"]


@pytest.mark.parametrize(
    ("unit", "wrong", "window", "output", "named"),
    [
        pytest.param(DAILY, EMPTY, DAY, "daily_metrics", ["max_date"], id="ends where it starts"),
        pytest.param(DAILY, A_DAY_EARLY, DAY, "daily_metrics", ["min_date", "max_date"], id="a day early"),
        pytest.param(
            HOURLY, LOCAL_HOURS, NOON, "hourly_metrics", ["start", "end"], id="local hours taken for UTC"
        ),
    ],
)
def test_a_wrong_template_is_a_mismatch(
    estate: CorruptibleEstate, unit: str, wrong: Wrong, window: str, output: str, named: list[str]
) -> None:
    """A mirror whose variables name another window has not built the one that Airflow's command has: a mismatch that
    names both values."""
    with estate.declared(unit.partition(".")[0], *wrong):
        assert estate.run(unit, window).success

        exit_code, checks = kept(estate, unit, window)

    bad = checks[output, window]
    assert (exit_code, bad["verdict"]) == (3, "mismatch"), bad["reason"]
    assert "candidate is empty, legacy has " in bad["reason"]
    for name in named:
        assert f"{name} is " in bad["reason"]
    assert " in Airflow" in bad["reason"]


@pytest.mark.parametrize(
    ("unit", "wrong", "facet", "variables"),
    [
        pytest.param(DAILY, EMPTY, "variables", ["max_date"], id="ends where it starts"),
        pytest.param(DAILY, A_DAY_MORE, "variables", ["min_date"], id="a day more"),
        pytest.param(DAILY, A_DAY_EARLY, "variables", ["max_date", "min_date"], id="a day early"),
        pytest.param(HOURLY, LOCAL_HOURS, "variables", ["end", "start"], id="local hours taken for UTC"),
    ],
)
def test_a_wrong_template_is_named_by_verify(
    estate: CorruptibleEstate, unit: str, wrong: Wrong, facet: str, variables: list[str]
) -> None:
    """`parity verify` sets the variables beside those that Airflow rendered, and names those that differ."""
    with estate.declared(unit.partition(".")[0], *wrong):
        exit_code, document = estate.parity("verify", unit, "--inventory", str(estate.inventory))

    assert exit_code == 3
    told = differing(document, unit)
    assert told.keys() == {facet}
    assert all(name in told[facet] for name in variables)


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [
        pytest.param(DAY, "2024-03-10T10:00:00+00:00", "2024-03-11T10:00:00+00:00", id="in summer time"),
        pytest.param(
            EARLIER, "2024-03-09T11:00:00+00:00", "2024-03-10T10:00:00+00:00", id="over the clock change"
        ),
    ],
)
def test_a_schedule_in_another_zone_is_refused(
    estate: CorruptibleEstate, day: str, start: str, end: str
) -> None:
    """A schedule in UTC instead of New York: a run for Airflow's interval writes nothing and names both windows, and
    no window gets a new verdict."""
    right = f'unit: {DAILY}\n  schedule:\n    cron: "0 6 * * *"\n    timezone: America/New_York'
    _, before = kept(estate, DAILY)
    with estate.declared("taxi_daily", (right, right.replace("America/New_York", "UTC"))):
        result = estate.run(DAILY, day, **{"parity/window_start": start, "parity/window_end": end})

        _, after = kept(estate, DAILY)

    assert not result.success
    [failure] = result.filter_events(lambda event: event.event_type is dg.DagsterEventType.STEP_FAILURE)
    said = str(failure.step_failure_data.error)
    assert "nothing was run" in said
    assert f"partition {day} has the window [{day}T06:00:00+00:00, " in said
    assert f"but Airflow asked for [{start}, {end})" in said
    assert result.get_asset_materialization_events() == []
    assert after == before


def test_a_schedule_in_another_zone_is_named_by_verify(estate: CorruptibleEstate) -> None:
    """`parity verify` says that the windows of the schedule in UTC are not those of Airflow."""
    right = f'unit: {DAILY}\n  schedule:\n    cron: "0 6 * * *"\n    timezone: America/New_York'
    with estate.declared("taxi_daily", (right, right.replace("America/New_York", "UTC"))):
        exit_code, document = estate.parity("verify", DAILY, "--inventory", str(estate.inventory))

    assert exit_code == 3
    assert "windows" in differing(document, DAILY)


@pytest.fixture(scope="module")
def overwritten(prepared: CorruptibleEstate) -> str:
    """What is kept of an estate that ran a day, and then the day before it with an end that counts: that run has
    replaced the day by its first trip."""
    prepared.restore("before")
    assert prepared.run(DAILY, DAY).success
    with prepared.planted("inclusive_end"):
        assert prepared.run(DAILY, EARLIER).success
    prepared.keep("overwritten")
    return "overwritten"


@pytest.fixture
def spilled(prepared: CorruptibleEstate, overwritten: str) -> CorruptibleEstate:
    prepared.restore(overwritten)
    return prepared


def test_an_inclusive_end_is_named_by_a_comparison(spilled: CorruptibleEstate) -> None:
    """Compared now, the window that was overwritten is a mismatch in its columns; the one that ran matches."""
    exit_code, documents = spilled.parity("check", DAILY, "--from", EARLIER, "--to", DAY)

    checks = {(one["name"], one["partition"]): one for one in documents}
    bad = checks["daily_metrics", DAY]
    assert (exit_code, bad["verdict"], checks["daily_metrics", EARLIER]["verdict"]) == (
        3,
        "mismatch",
        "match",
    )
    assert bad["only_in_legacy"] > 0
    assert {"trips", "total_amount"} <= {*bad["differing_columns"]}


def test_an_inclusive_end_is_named_by_the_evidence(spilled: CorruptibleEstate) -> None:
    """The evidence on the window that was overwritten is a mismatch by then; that on the one that ran matches."""
    exit_code, checks = kept(spilled, DAILY)

    bad = checks["daily_metrics", DAY]
    assert (exit_code, bad["verdict"]) == (3, "mismatch")
    assert f"found after the run of [{EARLIER}T" in bad["reason"]
    assert {"trips", "total_amount"} <= {*bad["differing_columns"]}
    assert checks["daily_metrics", EARLIER]["verdict"] == "match"
