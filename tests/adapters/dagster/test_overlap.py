"""A window depends on the windows that it shares some time with, whatever the two schedules are."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import takewhile

import dagster as dg
import pytest
from dagster._core.definitions.partitions.mapping import PartitionMapping
from dagster._core.definitions.partitions.utils import get_builtin_partition_mapping_types
from dagster._serdes import deserialize_value, serialize_value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_defs.adapters.dagster.overlap import overlap_mapping
from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.windows import PartitionedSchedule, Schedule, Window
from tests.support.schedules import changes

ZONES = ("America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Adelaide", "America/Havana", "UTC")
CRONS = (
    "0 * * * *",
    "15,45 2 * * *",
    "@daily",
    "0 6 * * *",
    "30 2 * * *",
    "@weekly",
    "0 */6 * * *",
    "@monthly",
)
FIRST = datetime(2023, 6, 1, tzinfo=timezone.utc)


def of(
    cron: str, zone: str, start: str = "2023-01-01", end: str | None = "2024-12-31"
) -> PartitionedSchedule:
    return partitioned(Schedule.of(cron, zone, start, end))


def upstream_keys(downstream: PartitionedSchedule, upstream: PartitionedSchedule, *keys: str) -> list[str]:
    """What the mapping answers, asked with Dagster's own subsets."""
    own, other = definition_of(downstream), definition_of(upstream)
    result = overlap_mapping(downstream, upstream).get_upstream_mapped_partitions_result_for_partitions(
        own.subset_with_partition_keys(keys), own, other
    )
    assert not result.required_but_nonexistent_partition_keys
    return sorted(result.partitions_subset.get_partition_keys())


def by_force(window: Window, others: PartitionedSchedule) -> list[str]:
    """The keys of all windows beside it that share a moment with it."""
    near = others.schedule.windows(window.start - timedelta(days=35))
    until = takewhile(lambda each: each.start < window.end, near)
    shared = [each for each in until if max(each.start, window.start) < min(each.end, window.end)]
    return [others.key_of(each) for each in shared if each not in others.keyless_windows]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.integers(0, 400),
    st.booleans(),
)
def test_the_mapping_is_overlap_and_nothing_else(
    cron: str, zone: str, other_cron: str, other_zone: str, day: int, near_a_change: bool
) -> None:
    """Of windows drawn around clock changes and elsewhere, the mapped ones are those that plain arithmetic finds, and
    back again."""
    downstream, upstream = of(cron, zone), of(other_cron, other_zone)
    known = changes(zone, FIRST) or changes(other_zone, FIRST)
    at = known[day % len(known)].at if near_a_change and known else FIRST + timedelta(days=day)
    at = min(at, FIRST + timedelta(days=400))
    windows = [
        window
        for window in downstream.schedule.windows(at - timedelta(days=1), at + timedelta(days=2))
        if window not in downstream.keyless_windows
    ]

    for window in windows[:3]:
        key = downstream.key_of(window)
        found = upstream_keys(downstream, upstream, key)

        assert found == sorted(by_force(window, upstream))
        mapping = overlap_mapping(downstream, upstream)
        for above in found[:2]:
            below = mapping.get_downstream_partitions_for_partitions(
                definition_of(upstream).subset_with_partition_keys([above]),
                definition_of(upstream),
                definition_of(downstream),
            )
            assert key in below.get_partition_keys()


def test_a_day_of_new_york_is_on_two_days_of_berlin() -> None:
    """On the days between the two changes the clocks are five hours apart, else six."""
    new_york, berlin = of("@daily", "America/New_York"), of("@daily", "Europe/Berlin")

    assert upstream_keys(new_york, berlin, "2024-03-12") == ["2024-03-12", "2024-03-13"]
    assert upstream_keys(berlin, new_york, "2024-03-10") == ["2024-03-09", "2024-03-10"]


def test_hours_days_and_weeks_are_on_each_other() -> None:
    """A day without an hour has 23 hours upstream, and an hour has its day and its week."""
    hours, days, weeks = (of(cron, "America/New_York") for cron in ("@hourly", "@daily", "@weekly"))

    assert len(upstream_keys(days, hours, "2024-03-10")) == 23
    assert upstream_keys(hours, days, "2024-03-10T03:00-0400") == ["2024-03-10"]
    assert upstream_keys(hours, weeks, "2024-03-09T03:00-0500") == ["2024-03-03"]
    assert len(upstream_keys(weeks, days, "2024-03-10")) == 7


def test_what_there_is_not_is_not_required() -> None:
    """Before the upstream's start, after its end and for a day that is not over, nothing is on nothing."""
    days = of("@daily", "Europe/Berlin", end=None)
    upstream = of("@daily", "America/New_York", start="2024-02-01", end="2024-02-10")

    assert upstream_keys(days, upstream, "2024-01-15") == []
    assert upstream_keys(days, upstream, "2024-02-01") == ["2024-02-01"]
    assert upstream_keys(days, upstream, "2024-03-01") == []
    hours = of("@hourly", "Europe/Berlin", start="2023-01-01", end=None)
    newest = definition_of(hours).get_last_partition_key()
    assert newest is not None
    day_that_goes_on = days.keys_over(hours.window_of(newest))
    offered = [key for key in day_that_goes_on if definition_of(days).has_partition_key(key)]
    assert upstream_keys(hours, days, newest) == offered


@pytest.mark.parametrize(
    ("zones", "read_as"),
    [
        (("Europe/Berlin", "America/New_York"), dg.AllPartitionMapping),
        (("UTC", "UTC"), dg.TimeWindowPartitionMapping),
    ],
)
def test_other_processes_read_a_mapping_of_dagster_s(
    zones: tuple[str, str], read_as: type[PartitionMapping]
) -> None:
    """A web server without our code reads it: within one zone as overlap, across zones as everything upstream."""
    mapping = overlap_mapping(of("@daily", zones[0]), of("0 6 * * *", zones[1]))

    assert isinstance(mapping, get_builtin_partition_mapping_types())
    read = deserialize_value(serialize_value(mapping))  # type: ignore[arg-type]  # whitelisted for it
    assert type(read) is read_as  # type: ignore[comparison-overlap]
