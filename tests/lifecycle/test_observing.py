"""The observer's cursor: what it remembers, what it lets go, and that it survives being written down."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.lifecycle.observing import FIRST_LOOK, INSTANT, Cursor, fitting

OVERLAP = timedelta(minutes=2)
NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
seconds = st.integers(-600, 600).map(lambda count: NOW + timedelta(seconds=count))


@given(st.lists(st.tuples(st.text(min_size=1), seconds), max_size=30))
def test_a_cursor_survives_being_written(tasks: list[tuple[str, datetime]]) -> None:
    """Read again it is the same, with every told task, and whether a round is under way."""
    for cursor in (Cursor.first(NOW), Cursor.first(NOW).begun(NOW)):
        told = cursor.telling(tasks)
        assert Cursor.read(told.write()) == told
        assert all(told.knows(identity, end) for identity, end in tasks)


def test_a_task_that_is_not_settled_is_remembered() -> None:
    """At a round's end only what ended before the overlap is let go."""
    early, late = NOW - OVERLAP - timedelta(minutes=2), NOW - timedelta(seconds=1)
    cursor = Cursor.first(NOW).begun(NOW).telling([("early", early), ("late", late)]).arrived(OVERLAP)

    assert cursor.settled == late - OVERLAP
    assert not cursor.knows("early", early)
    assert cursor.knows("late", late)


def test_a_long_round_settles_only_what_was_old_when_it_began() -> None:
    """What ends while a round goes on does not settle the minutes before: tasks may be committed late there."""
    cursor = Cursor.first(NOW).begun(NOW).telling([("later", NOW + timedelta(hours=1))]).arrived(OVERLAP)

    assert cursor.settled == NOW - OVERLAP


def test_a_passed_slice_settles_if_it_is_old() -> None:
    """A slice within the overlap is passed, but read again in the next round; an old one never is."""
    cursor = Cursor.first(NOW).begun(NOW).passing(NOW - timedelta(hours=5), OVERLAP)
    assert cursor.settled == cursor.reached == NOW - timedelta(hours=5)

    cursor = cursor.passing(NOW - timedelta(seconds=5), OVERLAP)
    assert cursor.reached == NOW - timedelta(seconds=5)
    assert cursor.settled == NOW - timedelta(hours=5)


def test_ends_that_may_arrive_later_are_read_for_longer() -> None:
    """The overlap is as long as the Airflow needs: what ended within it is read again, and remembered."""
    end, longer = NOW - timedelta(minutes=8), timedelta(minutes=10)
    told = Cursor.first(NOW).begun(NOW).telling([("now", NOW), ("then", end)])

    assert told.arrived(longer).settled == NOW - longer
    assert told.arrived(longer).knows("then", end)
    assert not told.arrived(OVERLAP).knows("then", end)
    assert told.passing(end, longer).settled == told.settled
    assert told.passing(end, OVERLAP).settled == end


def test_the_first_look_goes_back_a_day() -> None:
    """What finished a day before anybody looked is history, and not news."""
    assert Cursor.first(NOW).begun(NOW).reached == NOW - FIRST_LOOK


@pytest.mark.parametrize(
    ("found", "wanted"),
    [(0, timedelta(hours=8)), (20, timedelta(hours=4)), (160, timedelta(minutes=30)), (10**9, INSTANT * 288)],
)
def test_the_next_slice_fits_a_page(found: int, wanted: timedelta) -> None:
    """It grows and shrinks with what the last one held, and is never narrower than what a database tells apart."""
    assert fitting(timedelta(hours=1), found, 100) == wanted
    assert fitting(INSTANT, 10**9, 100) == INSTANT
