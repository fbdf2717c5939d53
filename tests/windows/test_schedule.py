"""Airflow's data intervals: the surprises that were measured, and what is refused."""

from datetime import datetime, timedelta, timezone

import pytest

from dagster_defs.errors import DoesNotAdvance, InvalidWindow, ScheduleRefused
from dagster_defs.windows import PRESETS, Schedule, Window

NEW_YORK = "America/New_York"


def windows(schedule: Schedule, count: int) -> list[str]:
    return [str(window) for window, _ in zip(schedule.windows(), range(count), strict=False)]


def test_a_time_inside_the_spring_gap_is_shifted_by_the_gap() -> None:
    """02:30 New York starts at 03:30 on the day without one, and that window has 23 hours."""
    first, second = list(
        Schedule.of("30 2 * * *", NEW_YORK, "2024-03-09").windows(
            until=datetime(2024, 3, 11, tzinfo=timezone.utc)
        )
    )
    assert str(first) == "[2024-03-09T07:30:00+00:00, 2024-03-10T07:30:00+00:00)"
    assert str(second) == "[2024-03-10T07:30:00+00:00, 2024-03-11T06:30:00+00:00)"
    assert second.length == timedelta(hours=23)


def test_of_two_equal_autumn_times_the_second_counts() -> None:
    """The first 01:30 of the fall-back day is skipped: its eve has 25 hours."""
    window = next(Schedule.of("30 1 * * *", NEW_YORK, "2024-11-02").windows())
    assert str(window) == "[2024-11-02T05:30:00+00:00, 2024-11-03T06:30:00+00:00)"
    assert window.length == timedelta(hours=25)


def test_hourly_windows_last_an_hour_on_both_clock_change_days() -> None:
    """Hourly schedules count elapsed time, so the repeated hour has its own window."""
    for day in ("2024-03-10", "2024-11-03"):
        schedule = Schedule.of("@hourly", NEW_YORK, day)
        until = schedule.start.add(days=2)
        assert {window.length for window in schedule.windows(until=until)} == {timedelta(hours=1)}


@pytest.mark.parametrize("cron", ["0 * * * *", "30 * * * *"])
def test_hourly_in_lord_howe_ends_with_a_clear_error_and_not_never(cron: str) -> None:
    """Airflow's hourly timetable never gets past 2023-10-01 in Lord Howe; ours says so."""
    schedule = Schedule.of(cron, "Australia/Lord_Howe", "2023-09-30T20:00")
    with pytest.raises(DoesNotAdvance, match="Lord_Howe does not advance") as caught:
        list(schedule.windows(until=datetime(2023, 10, 3, tzinfo=timezone.utc)))
    assert caught.value.step < caught.value.at


def test_hourly_on_weekdays_is_stuck_where_airflow_is() -> None:
    """Airflow comes back to Saturday after the autumn weekend of an hourly weekday schedule; ours says so."""
    schedule = Schedule.of("0 * * * 1-5", NEW_YORK, "2023-11-03")
    with pytest.raises(DoesNotAdvance, match="2023-11-06T05:00:00"):
        list(schedule.windows(until=datetime(2023, 11, 8, tzinfo=timezone.utc)))


def test_the_gap_that_airflow_leaves_is_left() -> None:
    """Of `20,40 1-4` in New York no window covers 03:20 to 03:40 on the spring-forward day, as in Airflow."""
    schedule = Schedule.of("20,40 1-4 * * *", NEW_YORK, "2024-03-10T01:20")
    assert windows(schedule, 3)[1:] == [
        "[2024-03-10T06:40:00+00:00, 2024-03-10T07:20:00+00:00)",
        "[2024-03-10T07:40:00+00:00, 2024-03-10T08:20:00+00:00)",
    ]


def test_a_start_off_the_boundary_waits_for_the_next_one() -> None:
    """The first window starts at the first boundary at or after the start."""
    assert windows(Schedule.of("0 6 * * *", "UTC", "2024-01-01T06:01"), 1)[0].startswith("[2024-01-02T06:00")
    assert windows(Schedule.of("0 6 * * *", "UTC", "2024-01-01T06:00"), 1)[0].startswith("[2024-01-01T06:00")


def test_the_end_is_inclusive_as_in_airflow() -> None:
    """The last window starts at the end date itself."""
    found = list(Schedule.of("@daily", "UTC", "2024-01-01", "2024-01-03").windows())
    assert [window.start.day for window in found] == [1, 2, 3]


def test_naive_dates_are_wall_clock_of_the_zone_and_aware_ones_are_instants() -> None:
    """A date without an offset means local midnight; one with an offset means itself."""
    assert Schedule.of("@daily", NEW_YORK, "2024-01-01").start.isoformat() == "2024-01-01T05:00:00+00:00"
    assert (
        Schedule.of("@daily", NEW_YORK, "2024-01-01T00:00+00:00").start.isoformat()
        == "2024-01-01T00:00:00+00:00"
    )


def test_boundaries_step_forwards_and_backwards() -> None:
    """next_boundary, prev_boundary and both ways to align agree around a boundary."""
    schedule = Schedule.of("0 6 * * *", NEW_YORK, "2024-01-01")
    boundary = datetime(2024, 7, 1, 10, tzinfo=timezone.utc)
    assert schedule.align_to_next(boundary) == schedule.align_to_prev(boundary) == boundary
    assert schedule.align_to_next(boundary + timedelta(minutes=1)) == boundary + timedelta(days=1)
    assert schedule.next_boundary(boundary) == boundary + timedelta(days=1)
    assert schedule.prev_boundary(boundary) == boundary - timedelta(days=1)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_is_its_cron(preset: str) -> None:
    """A preset has the windows of the cron that Airflow writes for it."""
    assert windows(Schedule.of(preset, NEW_YORK, "2024-01-01"), 3) == windows(
        Schedule.of(PRESETS[preset], NEW_YORK, "2024-01-01"), 3
    )


def test_a_delta_is_anchored_at_its_start() -> None:
    """Six hours from 05:30 give 05:30, 11:30, 17:30 and 23:30 UTC."""
    assert Schedule.every(timedelta(hours=6), "2024-01-01T05:30").cron == "30 5,11,17,23 * * *"
    assert windows(Schedule.every(timedelta(hours=6), "2024-01-01T05:30"), 1) == [
        "[2024-01-01T05:30:00+00:00, 2024-01-01T11:30:00+00:00)"
    ]


@pytest.mark.parametrize(
    ("delta", "start", "reason"),
    [
        (timedelta(hours=5), "2024-01-01", "no cron repeats"),
        (timedelta(days=2), "2024-01-01", "no cron repeats"),
        (timedelta(seconds=30), "2024-01-01", "whole minutes"),
        (timedelta(0), "2024-01-01", "whole minutes"),
        (timedelta(hours=1), "2024-01-01T00:00:30", "off the minute"),
    ],
)
def test_a_delta_that_no_cron_expresses_is_refused(delta: timedelta, start: str, reason: str) -> None:
    """A delta that Dagster's partitions cannot express names itself and the reason."""
    with pytest.raises(ScheduleRefused, match=reason) as caught:
        Schedule.every(delta, start)
    assert caught.value.schedule == str(delta)


@pytest.mark.parametrize(
    ("expression", "zone", "reason"),
    [
        ("@once", "UTC", "runs once"),
        ("@continuous", "UTC", "no fixed window"),
        ("None", "UTC", "only when triggered"),
        ("@fortnightly", "UTC", "no such preset"),
        ("0 0 * * * 0", "UTC", "6 fields"),
        ("0 0 * *", "UTC", "4 fields"),
        ("", "UTC", "0 fields"),
        ("60 * * * *", "UTC", "croniter cannot read it"),
        ("every day at noon please", "UTC", "croniter cannot read it"),
        ("H * * * *", "UTC", "hashed and random"),
        ("R * * * *", "UTC", "hashed and random"),
        ("0 0 31 2 *", "UTC", "never fires"),
        ("CronTriggerTimetable('0 0 * * *')", "UTC", "empty windows"),
        ("@daily", "America/Gotham", "no such time zone"),
        ("@daily", "", "no such time zone"),
    ],
)
def test_a_schedule_without_windows_is_refused_by_name(expression: str, zone: str, reason: str) -> None:
    """What has no recurring data interval, or cannot be read, is refused with value, zone and reason."""
    with pytest.raises(ScheduleRefused, match=reason) as caught:
        Schedule.of(expression, zone, "2024-01-01")
    assert (caught.value.schedule, caught.value.timezone) == (expression, zone)
    assert caught.value.remedy in str(caught.value)


@pytest.mark.parametrize(
    ("start", "end"), [("yesterday", None), ("2024-13-01", None), ("2024-02-01", "2024-01-01")]
)
def test_dates_that_cannot_be_are_refused(start: str, end: str | None) -> None:
    """A start or an end that is no date, or the wrong way round, is refused."""
    with pytest.raises(ScheduleRefused):
        Schedule.of("@daily", "UTC", start, end)


def test_a_window_ends_after_it_starts() -> None:
    """An empty, a reversed or a naive interval is no window."""
    with pytest.raises(InvalidWindow, match="cron trigger"):
        Window.between("2024-01-01T00:00Z", "2024-01-01T00:00Z")
    with pytest.raises(InvalidWindow):
        Window.between("2024-01-02T00:00Z", "2024-01-01T00:00Z")
    with pytest.raises(InvalidWindow, match="no time zone"):
        Window.between("2024-01-01", "2024-01-02")


def test_a_window_is_half_open() -> None:
    """The start belongs to the window, the end to the next one."""
    window = Window.between("2024-01-01T00:00-05:00", "2024-01-02T00:00-05:00")
    assert window.contains(window.start)
    assert not window.contains(window.end)
    assert str(window) == "[2024-01-01T05:00:00+00:00, 2024-01-02T05:00:00+00:00)"
