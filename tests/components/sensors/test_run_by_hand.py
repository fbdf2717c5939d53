"""A window that waits, and that somebody runs meanwhile."""

from __future__ import annotations

from dataclasses import replace

from dagster_defs.lifecycle.started import places
from tests.support.retired_dags import FAILURE, SPRING_END, SUCCESS, Schedules, days_later
from tests.support.waiting_dags import DAY, LOAD, WAIT, observe, waiting

HOUR = replace(WAIT, timeout=3600)


def test_a_run_by_hand_stands_for_the_window(waits: Schedules) -> None:
    """While it lives nothing ends the window, and once it has succeeded nothing starts it any more."""
    waits.dags = [waiting(HOUR)]
    waits.tick(SPRING_END)
    waits.start_by_hand(DAY)

    assert waits.tick(SPRING_END.add(hours=2)) == []
    assert "which somebody started, has not ended" in str(waits.skipped)
    waits.end(SUCCESS)
    assert waits.tick(SPRING_END.add(hours=3)) == []
    assert places(waits.cursor)["taxi"].waiting == ()

    observe(waits, LOAD, "success")
    assert waits.tick(SPRING_END.add(hours=4)) == []


def test_what_is_written_meanwhile_starts_no_second_run(waits: Schedules) -> None:
    """Not even if what was waited for comes while the run by hand lives."""
    waits.tick(SPRING_END)
    waits.start_by_hand(DAY)
    observe(waits, LOAD, "success")

    assert waits.tick(SPRING_END.add(minutes=1)) == []
    waits.end(SUCCESS)
    assert waits.tick(SPRING_END.add(minutes=2)) == []


def test_a_run_by_hand_that_fails_changes_nothing(waits: Schedules) -> None:
    """The window goes on waiting, to its time-out if need be."""
    waits.dags = [waiting(HOUR)]
    waits.tick(SPRING_END)
    waits.start_by_hand(DAY)
    waits.end(FAILURE)

    assert waits.tick(SPRING_END.add(hours=1)) == []
    assert waits.tick(SPRING_END.add(hours=2)) == [DAY]
    assert waits.keys == ["taxi|2024-03-09|waited"]


def test_the_time_of_a_run_by_hand_is_no_waiting(waits: Schedules) -> None:
    """If it fails after hours, the window has the rest of its time-out."""
    waits.dags = [waiting(HOUR)]
    waits.tick(SPRING_END)
    waits.start_by_hand(DAY)
    waits.tick(SPRING_END.add(hours=2))
    waits.end(FAILURE)

    assert waits.tick(SPRING_END.add(hours=2, minutes=59)) == []
    assert waits.tick(SPRING_END.add(hours=4)) == [DAY]
    assert waits.keys == ["taxi|2024-03-09|waited"]


def test_a_part_by_hand_is_not_the_window(waits: Schedules) -> None:
    """A run of some of the DAG's assets leaves the window to the schedule."""
    waits.tick(SPRING_END)
    waits.start_by_hand(DAY, only=["made_by_taxi"])
    waits.end(SUCCESS)
    observe(waits, LOAD, "success")

    assert waits.tick(SPRING_END.add(minutes=1)) == [DAY]


def test_the_next_window_comes_after_a_run_by_hand(waits: Schedules) -> None:
    """With `depends_on_past` too: the window is written, whoever has run it."""
    waits.dags = [waiting(in_order=True)]
    observe(waits, LOAD, "success", "2024-03-10")
    waits.tick(SPRING_END)
    waits.start_by_hand(DAY)
    waits.end(SUCCESS)

    assert waits.tick(days_later(1)) == []
    assert waits.tick(days_later(1)) == ["2024-03-10"]
