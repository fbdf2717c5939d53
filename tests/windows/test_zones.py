"""Time zones that are an offset: how they are written, and their windows and partitions beside Airflow's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from dagster import TimeWindowPartitionsDefinition

from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.errors import ScheduleRefused
from dagster_defs.windows import Schedule, Window, canonical_zone, zone_named
from tests.windows.test_oracle import ask_airflow, ours


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("+00:00", "UTC"), ("-00:00", "UTC"), ("Z", "UTC"), ("UTC", "UTC"), ("UTC+00:00", "UTC"), ("tzutc()", "UTC"),
        ("+05:30", "+05:30"), ("+0530", "+05:30"), ("UTC+05:30", "+05:30"), ("-05:00", "-05:00"),
        ("UTC-05:00", "-05:00"), ("tzoffset(None, 19800)", "+05:30"), ("tzoffset('IST', 19800)", "+05:30"),
        ("tzoffset(None, -18000)", "-05:00"), ('FixedTimezone(-18000, name="-05:00")', "-05:00"),
        ("FixedTimezone(0)", "UTC"), ("pytz.FixedOffset(330)", "+05:30"), ("+00:16:40", "+00:16:40"),
        # Names, and what is none, stay as they are.
        ("Europe/Berlin", "Europe/Berlin"), ("Etc/GMT-5", "Etc/GMT-5"), ("Mars/Phobos", "Mars/Phobos"),
        ("+25:00", "+25:00"), ("tzlocal()", "tzlocal()"),
    ],
)  # fmt: skip
def test_a_fixed_offset_is_written_in_one_way(message: str, name: str) -> None:
    """Whatever library named an offset, it is `+05:30`, and no offset at all is `UTC`."""
    assert canonical_zone(message) == name


@pytest.mark.parametrize("name", ["Mars/Phobos", "+25:00", "tzlocal()", ""])
def test_what_is_no_zone_is_refused(name: str) -> None:
    """A name that is neither an IANA zone nor an offset raises, and says so."""
    with pytest.raises(ValueError, match="unknown time zone"):
        zone_named(name)


OFFSETS = {"UTC": 0, "+05:30": 19800, "-05:00": -18000, "+14:00": 50400, "-09:30": -34200, "+05:45": 20700}
CRONS = ["@daily", "@hourly", "@monthly", "30 2 * * 1-5", "0 23 28-31 * *", "5,35 */6 * * *"]
DELTAS = [timedelta(hours=8), timedelta(days=1), timedelta(weeks=1)]
START, UNTIL = "2024-02-27T03:00:00+00:00", "2024-03-12T00:00:00+00:00"


@pytest.mark.airflow
def test_windows_of_a_fixed_offset_are_those_of_airflow(tmp_path: Path) -> None:
    """Crons and timedeltas in the offsets of pendulum, dateutil and datetime have Airflow's windows, and each
    partition that Dagster offers has one of them."""
    libraries = ("pendulum", "dateutil", "datetime")
    cases = [
        {"cron": cron, "offset": seconds, "made_by": library, "from": START, "until": UNTIL}
        for cron, seconds, library in product(CRONS, OFFSETS.values(), libraries)
        if library == "pendulum" or cron == "@daily"
    ]
    cases += [
        {"delta": delta.total_seconds(), "offset": seconds, "made_by": library, "from": START, "until": UNTIL}
        for delta, seconds, library in product(DELTAS, OFFSETS.values(), libraries)
    ]
    names = {seconds: name for name, seconds in OFFSETS.items()}
    compared = 0
    for case, answer in zip(
        cases, ask_airflow({"windows": cases, "renders": []}, tmp_path)["windows"], strict=True
    ):
        zone = canonical_zone(answer["timezone"])
        assert zone == names[int(str(case["offset"]))], answer["timezone"]
        if "delta" in case:
            schedule = Schedule.every(timedelta(seconds=float(str(case["delta"]))), START)
        else:
            schedule = Schedule.of(str(case["cron"]), zone, START)
        theirs = [Window.between(*window) for window in answer["windows"]]
        assert ours(schedule, datetime.fromisoformat(UNTIL))[0] == theirs, case
        if case["made_by"] != "pendulum":  # the same schedule as before
            continue
        partitions = partitioned(Schedule.of(schedule.expression, schedule.timezone, START, UNTIL))
        keys = definition_of(partitions).get_partition_keys()[: len(theirs)]  # Airflow's end is included
        assert [partitions.window_of(key) for key in keys] == theirs, case
        assert [partitions.key_of(window) for window in theirs] == keys, case
        compared += len(theirs)
    assert compared > 2_000


@pytest.mark.parametrize(
    ("zone", "start", "end", "dagster"),
    [
        ("-05:00", "2024-01-01", None, "Etc/GMT+5"),
        ("+02:00", "2024-01-01", None, "Etc/GMT-2"),
        ("+00:00", "2024-01-01", None, "UTC"),
        ("+05:30", "2024-01-01", None, "Asia/Kolkata"),
        ("+03:30", "2024-01-01", None, "Asia/Tehran"),
    ],
)
def test_dagster_counts_in_a_zone_that_keeps_the_offset(
    zone: str, start: str, end: str | None, dagster: str
) -> None:
    """Dagster takes IANA names only: for each offset one whose clock is the same in all the years of the partitions."""
    partitions = partitioned(Schedule.of("0 6 * * *", zone, start, end))

    definition = definition_of(partitions)
    assert isinstance(definition, TimeWindowPartitionsDefinition)
    assert partitions.zone == definition.timezone == dagster


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        pytest.param("+05:17", "2024-01-01", id="no place keeps it"),
        pytest.param("-13:00", "2024-01-01", id="beyond the zones of POSIX"),
        pytest.param("+03:30", "2020-01-01", id="Tehran changed its clocks in these years"),
        pytest.param("+00:16:40", "2024-01-01", id="no whole minute"),
    ],
)
def test_an_offset_that_dagster_cannot_count_in_is_refused(zone: str, start: str) -> None:
    """Where no zone keeps the offset, the refusal says that this is the reason."""
    with pytest.raises(ScheduleRefused, match="need an IANA time zone, and none has this offset"):
        partitioned(Schedule.of("0 6 * * *", zone, start))
