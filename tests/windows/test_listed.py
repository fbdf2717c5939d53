"""A list of Airflow's windows in place of a rule: its laws, its file's form, and what an export may add."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.errors import BadWindowList, ScheduleRefused, TemplateFailed, Unaligned, UnknownPartition
from dagster_defs.windows import (
    ListedPartitions,
    ListedSchedule,
    PartitionVars,
    VariableTemplate,
    Window,
    WindowList,
)
from dagster_defs.windows.hook import Bound
from dagster_defs.windows.window import utc

BEGIN = datetime(2024, 3, 8, tzinfo=timezone.utc)


def window(first: float, last: float) -> Window:
    """Between two numbers of days after the begin."""
    return Window.between(BEGIN + timedelta(days=first), BEGIN + timedelta(days=last))


def listing(*windows: Window, since: float = 0, until: float = 100) -> WindowList:
    return WindowList(utc(BEGIN + timedelta(days=since)), utc(BEGIN + timedelta(days=until)), windows)


def partitions(*windows: Window, zone: str = "America/New_York", **bounds: str) -> ListedPartitions:
    return ListedPartitions(ListedSchedule.listing(listing(*windows), zone, **bounds))


def in_order(drawn: list[tuple[int, int]]) -> list[Window]:
    """Of pairs of a start and a length; none ends before one that begins earlier."""
    starts = sorted(drawn)
    ends = accumulate((first + length for first, length in starts), max)
    return [window(first, last) for (first, _), last in zip(starts, ends, strict=True)]


# With holes, touching, and reaching over each other; no two begin together.
lists = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 9)),
    min_size=1,
    max_size=15,
    unique_by=lambda drawn: drawn[0],
).map(in_order)


@given(lists, st.integers(-2, 70), st.integers(1, 9))
def test_a_list_s_keys_and_windows_are_one_to_one(windows: list[Window], first: int, length: int) -> None:
    """Each window has its key and each key its window; those over some time are what plain arithmetic finds."""
    listed = partitions(*windows)
    asked = window(first, first + length)

    assert [listed.window_of(key) for key in listed.keys] == windows
    assert [listed.key_of(each) for each in windows] == listed.keys
    assert listed.windows_between(listed.keys[0], listed.keys[-1]) == windows
    shared = [each for each in windows if max(each.start, asked.start) < min(each.end, asked.end)]
    assert listed.keys_over(asked) == [listed.key_of(each) for each in shared]
    if asked not in windows:
        with pytest.raises(Unaligned):
            listed.key_of(asked)
    holding = [each for each in windows if each.contains(asked.start)]
    if holding:
        assert listed.window_containing(asked.start) == holding[-1]
    else:
        with pytest.raises(Unaligned):
            listed.window_containing(asked.start)


@given(lists, st.integers(0, 61), st.integers(0, 61))
def test_an_export_adds_and_changes_nothing(windows: list[Window], first: int, second: int) -> None:
    """A list that is cut in two, with or without time that both tell of, comes together again, in either order."""
    whole = listing(*windows, until=61)
    cut, again = max(first, second, 1), min(first, second, 60)
    left = listing(*(each for each in windows if each.start < whole.since.add(days=cut)), until=cut)
    right = listing(
        *(each for each in windows if each.start >= whole.since.add(days=again)), since=again, until=61
    )

    assert left.extended(right) == right.extended(left) == whole
    assert WindowList.of_document(whole.as_document()) == whole


@pytest.mark.parametrize(
    ("other", "message"),
    [
        pytest.param(listing(window(0, 1), window(1, 3), until=10), "contradict", id="another end"),
        pytest.param(listing(window(0, 1), until=10), "no longer in Airflow", id="one less"),
        pytest.param(
            listing(window(0, 1), window(1, 2), window(2, 3), until=10), "but not in the list", id="one more"
        ),
        pytest.param(listing(window(12, 13), since=11, until=20), "no list has", id="untold time"),
    ],
)
def test_what_contradicts_is_refused(other: WindowList, message: str) -> None:
    """A list takes no window that differs from what it has, and none from beyond time that nobody tells of."""
    with pytest.raises(BadWindowList, match=message):
        listing(window(0, 1), window(1, 2), until=10).extended(other)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ((window(0, 1), window(0, 2)), "two windows begin"),
        ((window(1, 2), window(0, 1)), "comes after"),
        (
            (window(0, 30), window(1, 2), window(40, 41)),
            rf"{re.escape(f'{window(0, 30)} ends after {window(1, 2)}')}.*leave the DAG in Airflow",
        ),
        ((window(100, 101),), "outside"),
        ((Window.between(BEGIN + timedelta(microseconds=1), BEGIN + timedelta(days=1)),), "on a full second"),
    ],
)
def test_what_has_no_keys_is_refused(windows: tuple[Window, ...], message: str) -> None:
    """Windows that keys cannot tell apart, and a list in no order of starts and ends, are no list."""
    with pytest.raises(BadWindowList, match=message):
        listing(*windows)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"schema": "other"},
        {"schema": "parity/windows/1"},
        {**listing().as_document(), "windows": [["a", "b"]]},
    ],
)
def test_another_file_is_refused(document: object) -> None:
    """What is no list of windows is said to be none."""
    with pytest.raises(BadWindowList):
        WindowList.of_document(document)


@given(lists, st.integers(-3, 75).map(lambda day: BEGIN + timedelta(days=day)))
def test_what_is_over_and_what_is_not(windows: list[Window], now: datetime) -> None:
    """However far windows reach over each other, each is over by an instant or ends after it."""
    schedule = ListedSchedule.listing(listing(*windows), "UTC")

    assert [*schedule.ended_by(now)] == [each for each in reversed(windows) if each.end <= now]
    assert [*schedule.ending_after(now)] == [each for each in windows if each.end > now]


def test_a_key_is_local_time_with_its_offset() -> None:
    """Also on the day on which the clocks change, and to the second."""
    listed = partitions(
        window(1, 2),
        window(3, 4),
        Window.between(BEGIN + timedelta(days=5, seconds=90), BEGIN + timedelta(days=6)),
    )

    assert listed.keys == ["2024-03-08T19:00:00-0500", "2024-03-10T20:00:00-0400", "2024-03-12T20:01:30-0400"]
    assert partitions(window(1, 2), zone="+05:17").keys == ["2024-03-09T00:00:00+0000"]
    with pytest.raises(UnknownPartition, match="export the inventory again"):
        listed.window_of("2025-01-01T00:00:00-0500")


def test_a_task_s_own_bounds_count() -> None:
    """Windows outside of them have their key still, and are none of the task's."""
    listed = partitions(*(window(day, day + 1) for day in range(5)), start="2024-03-09", end="2024-03-11")

    assert len(listed.keys) == 2
    assert listed.keys_over(window(0, 5)) == listed.keys
    with pytest.raises(ScheduleRefused, match="no window between"):
        partitions(window(0, 1), start="2024-04-01")


def test_several_windows_are_not_one() -> None:
    """Between them may lie time that is in none: no run takes several, and the run before and after is not told."""
    upper = VariableTemplate("x", "{{ data_interval_end }}", Bound.UPPER)
    bound = PartitionVars([upper], partitions(window(0, 1), window(1, 2)), "d", "t")

    assert not bound.can_range
    assert bound.for_window(window(0, 1)) == {"x": window(0, 1).end.isoformat().replace("T", " ")}
    beside = PartitionVars([VariableTemplate("x", "{{ next_ds }}")], bound.partitions, "d", "t")
    with pytest.raises(TemplateFailed, match="use data_interval_end instead"):
        beside.for_window(window(0, 1))


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        pytest.param(window(1.5, 1.75), "triggered by hand", id="in the list"),
        pytest.param(window(101, 102), ": export the inventory again and run parity scaffold", id="after it"),
        pytest.param(window(-2, -1), ": export the inventory again and run parity scaffold", id="before it"),
    ],
)
def test_a_window_that_nobody_has_listed_was_not_triggered_by_hand(interval: Window, message: str) -> None:
    """Beyond the list nobody knows whether it is one of the schedule's, and the message does not guess."""
    with pytest.raises(Unaligned, match=message):
        partitions(window(0, 1), window(1, 2)).key_of(interval)
