"""How much time a tick takes for what waits, and what counts as time of waiting."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pytest_mock import MockerFixture

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.started import places
from tests.support.retired_dags import SPRING_END, SUCCESS, Schedules, days_later
from tests.support.waiting_dags import DAY, LOAD, WAIT, observe, waiting

HOUR = replace(WAIT, timeout=3600)


def test_every_dag_has_its_turn(waits: Schedules) -> None:
    """Even if a tick has no time but for one of them: the next tick begins with the next DAG."""
    names = ("bikes", "ferries", "trains")
    waits.dags = [replace(waiting(), dag_id=name, job=name, units=(Unit(name, "build"),)) for name in names]
    waits.dags = [
        replace(dag, schedules=dict.fromkeys(dag.units, dag.partitions.schedule)) for dag in waits.dags
    ]
    waits.retire(*(dag.units[0] for dag in waits.dags))
    waits.seconds = 0

    reached = []
    for minute in range(4):
        waits.tick(SPRING_END.add(minutes=minute))
        reached.append(sorted(places(waits.cursor)))
    assert reached == [["bikes"], ["bikes", "ferries"], [*names], [*names]]

    observe(waits, LOAD, "success")
    started = [waits.tick(SPRING_END.add(minutes=5 + minute)) for minute in range(3)]
    assert started == [[DAY], [DAY], [DAY]]
    assert {run.job_name for run in waits.begun} == {*names}


def test_every_window_is_looked_at(waits: Schedules) -> None:
    """Of one DAG too: the window that was looked at least recently comes first, and the others stay as they are."""
    waits.dags = [waiting(max_active_runs=3)]
    waits.seconds = 0
    for minute in range(3):
        waits.tick(days_later(3).add(minutes=minute))
    assert all(each.seen for each in places(waits.cursor)["taxi"].waiting)

    observe(waits, LOAD, "success", "2024-03-11")
    started = [waits.tick(days_later(3).add(minutes=3 + minute)) for minute in range(3)]
    assert started == [[], [], ["2024-03-11"]]


def test_all_windows_are_read_together(waits: Schedules, mocker: MockerFixture) -> None:
    """However many wait for a unit, one query asks for what was written of it, one for what was noted, and two for
    runs."""
    waits.dags = [waiting(max_active_runs=8)]
    observe(waits, LOAD, "success", "2024-03-12")
    written = mocker.spy(waits.instance, "fetch_materializations")
    noted = mocker.spy(waits.instance, "fetch_observations")
    runs = mocker.spy(waits.instance, "get_run_records")

    assert waits.tick(days_later(7)) == ["2024-03-12"]
    assert (written.call_count, noted.call_count, runs.call_count) == (1, 1, 2)


def test_a_hold_is_no_time_of_waiting(waits: Schedules) -> None:
    """While its DAG is held nothing looks at what a window waits for. The first look afterwards is a look, and not the
    end of the time-out; from then on the time goes on."""
    waits.dags = [waiting(HOUR)]
    waits.tick(SPRING_END)
    waits.held = {"taxi": "its unit taxi.build is broken"}
    for hour in (1, 2, 3):
        assert waits.tick(SPRING_END.add(hours=hour)) == []
    waits.held = {}

    assert waits.tick(SPRING_END.add(hours=4)) == []
    assert waits.tick(SPRING_END.add(hours=5)) == []
    assert waits.tick(SPRING_END.add(hours=5, seconds=1)) == [DAY]
    assert waits.keys == ["taxi|2024-03-09|waited"]


def test_a_dag_that_is_not_loaded_does_not_wait(waits: Schedules) -> None:
    """The same holds for a DAG that has no jobs for a time, as one with a broken unit."""
    waits.dags = [waiting(HOUR)]
    waits.tick(SPRING_END)
    waits.dags = []
    waits.tick(SPRING_END.add(hours=2))
    waits.dags = [waiting(HOUR)]

    assert waits.tick(SPRING_END.add(hours=3)) == []
    observe(waits, LOAD, "success")
    assert waits.tick(SPRING_END.add(hours=3, minutes=1)) == [DAY]


def test_a_window_that_the_schedule_no_longer_has(
    waits: Schedules, capfd: pytest.CaptureFixture[str]
) -> None:
    """It waits no longer, and the tick says so."""
    waits.tick(SPRING_END)
    cursor = json.loads(str(waits.cursor))
    [own] = cursor["taxi"]["waiting"].values()
    cursor["taxi"]["waiting"] = {"2024-03-09T12:00:00+00:00": own}
    waits.cursor = json.dumps(cursor)

    assert waits.tick(SPRING_END.add(minutes=1)) == []
    assert "taxi: the schedule has no window from 2024-03-09 12:00 UTC any more" in capfd.readouterr().err
    assert places(waits.cursor)["taxi"].waiting == ()


def test_a_lost_cursor_starts_no_window_again(schedules: Schedules) -> None:
    """What has succeeded is not started again, also by a sensor of another name, whose run keys are others."""
    schedules.retire()
    assert schedules.tick(SPRING_END) == [DAY]
    schedules.end(SUCCESS)
    schedules.cursor = None

    assert schedules.tick(SPRING_END.add(minutes=1)) == []
    assert schedules.tick(days_later(1)) == ["2024-03-10"]
