"""Partition keys beside windows: the laws, and the days on which Dagster's cron goes its own way."""

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from dagster import PartitionKeyRange, TimeWindowPartitionsDefinition
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.errors import DoesNotAdvance, ScheduleRefused, Unaligned, UnknownPartition
from dagster_defs.windows import PartitionedSchedule, Schedule, Window
from dagster_defs.windows.boundaries import Boundary
from dagster_defs.windows.pairing import Pairing, Seam, counts_hours_alike

# Files of the zone database that are no zones, or that pendulum does not carry.
ZONES = sorted(
    zone for zone in available_timezones() if "/" in zone and not zone.startswith(("posix", "right"))
)

minutes = st.integers(0, 59)
hours = st.integers(0, 23)
crons = st.one_of(
    st.sampled_from(["@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"]),
    st.builds("{} * * * *".format, minutes),
    st.builds("{} {} * * *".format, minutes, hours),
    st.builds("{} {} * * {}".format, minutes, hours, st.integers(0, 6)),
    st.builds("{} {} {} * *".format, minutes, hours, st.integers(1, 31)),
    st.builds("*/{} * * * *".format, st.sampled_from([10, 15, 20, 30])),
    st.builds("{} */{} * * *".format, minutes, st.sampled_from([2, 3, 4, 6, 8, 12])),
    st.builds("{} {}-{} * * 1-5".format, minutes, st.integers(0, 8), st.integers(9, 22)),
    st.builds("{},{} {},{} * * *".format, minutes, minutes, hours, hours),
)
# Wall-clock times of whatever zone is drawn with them.
starts = st.datetimes(datetime.fromisoformat("2015-01-01"), datetime.fromisoformat("2030-01-01")).map(
    lambda start: start.replace(second=0, microsecond=0)
)


def stops_at(schedule: Schedule, until: datetime) -> bool:
    """Whether Airflow itself cannot walk the schedule over the span."""
    try:
        for _ in schedule.windows(until=until):
            pass
    except DoesNotAdvance:
        return True
    return False


def of(cron: str, zone: str, start: str, end: str | None = None) -> PartitionedSchedule:
    return partitioned(Schedule.of(cron, zone, start, end))


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(crons, st.sampled_from(ZONES), starts)
def test_windows_of_partitions_tile_time_and_give_their_keys_back(
    cron: str, zone: str, start: datetime
) -> None:
    """For any schedule in any zone, the windows of consecutive keys follow each other without gap or
    overlap and lead back to their keys; where Airflow itself leaves a gap or has no partition, exactly that
    is left out."""
    schedule = Schedule.of(
        cron,
        zone,
        start,
        start + timedelta(days=12 if not Schedule.of(cron, zone, start).once_a_day else 300),
    )
    until = schedule.end
    assert until is not None
    assume(not stops_at(schedule, until + timedelta(seconds=1)))
    theirs = list(schedule.windows())
    assume(theirs)
    assume(counts_hours_alike(schedule, until, datetime.now(timezone.utc)))
    partitions = partitioned(schedule)
    keys = definition_of(partitions).get_partition_keys(until + timedelta(days=4000))
    ours = [partitions.window_of(key) for key in keys]
    assert len(set(keys)) == len(keys)
    assert ours == [window for window in theirs if window not in partitions.keyless_windows]
    assert [partitions.key_of(window) for window in ours] == list(keys)
    for earlier, later in pairwise(theirs):
        assert earlier.end == later.start or later.start == schedule.align_to_prev(earlier.end) > earlier.end


@settings(max_examples=60, deadline=None)
@given(st.builds("{} {} * * *".format, minutes, hours), st.sampled_from(ZONES), starts)
def test_daily_windows_have_no_gap_at_all(cron: str, zone: str, start: datetime) -> None:
    """A daily schedule covers every instant exactly once, in any zone."""
    schedule = Schedule.of(cron, zone, start)
    found = list(schedule.windows(until=schedule.start.add(days=400)))
    assert all(earlier.end == later.start for earlier, later in pairwise(found))


@pytest.mark.parametrize(
    ("cron", "zone", "key", "window"),
    [
        (
            "30 2 * * *",
            "America/New_York",
            "2024-03-10",
            "[2024-03-10T07:30:00+00:00, 2024-03-11T06:30:00+00:00)",
        ),
        (
            "30 2 * * *",
            "America/New_York",
            "2024-03-09",
            "[2024-03-09T07:30:00+00:00, 2024-03-10T07:30:00+00:00)",
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2024-03-31",
            "[2024-03-31T01:30:00+00:00, 2024-04-01T00:30:00+00:00)",
        ),
        (
            "30 1 * * *",
            "Europe/London",
            "2024-03-31",
            "[2024-03-31T01:30:00+00:00, 2024-04-01T00:30:00+00:00)",
        ),
        (
            "0 2 * * 0",
            "Africa/Casablanca",
            "2024-04-14",
            "[2024-04-14T02:00:00+00:00, 2024-04-21T01:00:00+00:00)",
        ),
        (
            "0 0 * * *",
            "America/Havana",
            "2024-11-03",
            "[2024-11-03T05:00:00+00:00, 2024-11-04T05:00:00+00:00)",
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2024-11-03",
            "[2024-11-03T06:30:00+00:00, 2024-11-04T06:30:00+00:00)",
        ),
        (
            "5 0-6/2 * * *",
            "America/New_York",
            "2024-03-10T03:00-0400",
            "[2024-03-10T07:05:00+00:00, 2024-03-10T08:05:00+00:00)",
        ),
        (
            "@hourly",
            "America/New_York",
            "2024-11-03T01:00-0500",
            "[2024-11-03T06:00:00+00:00, 2024-11-03T07:00:00+00:00)",
        ),
    ],
)
def test_the_window_of_a_key_is_airflow_interval_on_clock_change_days(
    cron: str, zone: str, key: str, window: str
) -> None:
    """On the days on which Dagster's cron differs, the window is Airflow's, and the key is found from it
    again."""
    partitions = of(cron, zone, "2023-01-01")
    assert str(partitions.window_of(key)) == window
    assert partitions.key_of(partitions.window_of(key)) == key


def test_dagster_itself_differs_there() -> None:
    """The map is needed: Dagster's own window of the key starts half an hour before Airflow's."""
    definition = definition_of(of("30 2 * * *", "America/New_York", "2023-01-01"))
    assert isinstance(definition, TimeWindowPartitionsDefinition)
    own = definition.time_window_for_partition_key("2024-03-10")
    assert own.start.astimezone(timezone.utc).isoformat() == "2024-03-10T07:00:00+00:00"


def test_a_partition_without_a_window_is_not_offered() -> None:
    """`30 1-3` in New York has a boundary in Dagster at 03:00 of the spring day that Airflow does not
    have."""
    partitions = of("30 1-3 * * *", "America/New_York", "2024-03-10", "2024-03-11")
    keys = definition_of(partitions).get_partition_keys(datetime(2025, 1, 1, tzinfo=timezone.utc))
    assert keys == ["2024-03-10T01:30-0500", "2024-03-10T03:30-0400"]
    with pytest.raises(UnknownPartition, match="no window"):
        partitions.window_of("2024-03-10T03:00-0400")


def test_a_clock_change_that_airflow_does_not_pass_spoils_only_its_own_keys() -> None:
    """The hours of New York's weekdays load, say where they are impassable, and work everywhere else."""
    partitions = of("0 * * * 1-5", "America/New_York", "2024-09-01")
    assert partitions.impassable
    assert partitions.window_of("2024-11-01T05:00-0400").length == timedelta(hours=1)
    with pytest.raises(DoesNotAdvance):
        partitions.window_of("2024-11-04T00:00-0500")
    assert partitions.window_of("2024-11-04T05:00-0500").length == timedelta(hours=1)


def test_an_impassable_change_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its keys says so, and only the first of them, or the load itself, finds it out."""
    walked: list[Boundary] = []
    pair = Pairing._pair

    def counted(self: Pairing[Window], first: Boundary) -> Seam[Window]:
        walked.append(first)
        return pair(self, first)

    monkeypatch.setattr(Pairing, "_pair", counted)
    partitions = of("0 * * * 1-5", "Asia/Beirut", "2023-10-20", "2023-11-10")
    for hour in range(4):
        with pytest.raises(DoesNotAdvance):
            partitions.window_of(f"2023-10-30T{hour:02}:00+0200")

    assert walked
    assert len(walked) == len({*walked})


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("Australia/Lord_Howe", "2023-06-01", None),
        ("Australia/LHI", "2015-05-01", "2015-05-13"),
        ("America/Caracas", "2015-05-01", "2015-05-13"),
        ("Asia/Pyongyang", "2018-05-01", "2018-05-13"),
    ],
)
def test_hours_that_dagster_counts_by_the_offset_of_today_are_refused(
    zone: str, start: str, end: str | None
) -> None:
    """Where the clock moves by half an hour, Dagster's minutes past the hour depend on when it is asked."""
    with pytest.raises(ScheduleRefused, match="fraction of an hour"):
        of("1 * * * *", zone, start, end)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Australia/Adelaide", "Pacific/Chatham"])
def test_hours_of_a_zone_that_keeps_its_part_of_an_hour_are_counted(zone: str) -> None:
    """A zone that is always half or three quarters of an hour off is as good as any."""
    partitions = of("1 * * * *", zone, "2024-03-01", "2024-03-02")
    assert [key[-10:-5] for key in definition_of(partitions).get_partition_keys()][:2] == ["00:01", "01:01"]


def test_an_interval_that_is_no_window_names_the_nearest_ones() -> None:
    """A manual run off the boundary is unaligned; the error says which windows are near."""
    partitions = of("0 6 * * *", "America/New_York", "2024-01-01")
    off = Window.between("2024-02-01T11:00Z", "2024-02-02T11:30Z")
    with pytest.raises(Unaligned) as caught:
        partitions.key_of(off)
    assert "[2024-02-01T11:00:00+00:00, 2024-02-02T11:00:00+00:00)" in caught.value.nearest


@pytest.mark.parametrize("key", ["2024-02-30", "yesterday", "2024-02-01T00:00", ""])
def test_text_that_is_no_key_is_refused(key: str) -> None:
    """A key of another format or of no day says how a key looks."""
    with pytest.raises(UnknownPartition, match="a key looks like 2024-01-01"):
        of("@daily", "UTC", "2024-01-01").window_of(key)


def test_a_day_without_a_boundary_is_no_key() -> None:
    """A Tuesday is no partition of a weekly schedule."""
    with pytest.raises(UnknownPartition, match="the next is 2024-01-07"):
        of("@weekly", "UTC", "2024-01-01").window_of("2024-01-02")


def test_the_partitions_begin_and_end_with_airflow_windows() -> None:
    """The first key is Airflow's first window, the last key is the one that starts at or before the end."""
    partitions = of("0 6 * * *", "America/New_York", "2024-01-01T07:00", "2024-01-04")
    assert definition_of(partitions).get_partition_keys(datetime(2025, 1, 1, tzinfo=timezone.utc)) == [
        "2024-01-02",
        "2024-01-03",
    ]


def test_a_schedule_that_ends_before_its_first_window_is_refused() -> None:
    """No partitions at all is a mistake in start or end."""
    with pytest.raises(ScheduleRefused, match="ends before its first window"):
        of("@monthly", "UTC", "2024-01-02", "2024-01-05")


def test_a_range_of_keys_is_its_first_and_last_window() -> None:
    """range_windows and windows_between agree."""
    partitions = of("@daily", "America/New_York", "2024-01-01")
    keys = PartitionKeyRange("2024-03-09", "2024-03-11")
    first, last = partitions.range_windows(keys.start, keys.end)
    between = partitions.windows_between("2024-03-09", "2024-03-11")
    assert (between[0], between[-1], len(between)) == (first, last, 3)
    with pytest.raises(UnknownPartition, match="starts later"):
        partitions.range_windows("2024-03-11", "2024-03-09")


def test_an_instant_falls_into_one_window() -> None:
    """window_containing finds the window of an instant, half-open."""
    partitions = of("0 6 * * *", "UTC", "2024-01-01")
    assert str(partitions.window_containing(datetime(2024, 1, 5, 5, 59, tzinfo=timezone.utc))).startswith(
        "[2024-01-04T06"
    )
    assert str(partitions.window_containing(datetime(2024, 1, 5, 6, tzinfo=timezone.utc))).startswith(
        "[2024-01-05T06"
    )
    monthly = of("@monthly", "America/New_York", "2023-01-01")
    assert str(monthly.window_containing(datetime(2024, 2, 20, tzinfo=timezone.utc))).startswith(
        "[2024-02-01T05"
    )


def test_a_29_february_has_its_key() -> None:
    """Dagster's short cut for leap days misses the day itself; the key and its window are there all the
    same."""
    partitions = of("0 0 29 2 *", "UTC", "2024-02-01", "2030-01-01")
    keys = definition_of(partitions).get_partition_keys(datetime(2040, 1, 1, tzinfo=timezone.utc))
    assert [(key, partitions.window_of(key).start.year) for key in keys] == [
        ("2024-02-29", 2024),
        ("2028-02-29", 2028),
    ]
