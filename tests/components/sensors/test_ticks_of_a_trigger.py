"""The sensors on DAGs whose runs are about ticks: observed by the tick, and started when it is over."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pendulum
import pytest

from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance
from dagster_defs.adapters.dagster.event_log import EventReader
from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.components.runs.run_window import window_of_tags
from dagster_defs.components.sensors.observed import EventTranslator
from dagster_defs.components.sensors.shadow_sensor import ShadowedUnit, _is_kin
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.settings import Settings
from dagster_defs.usecases.observe import Finished
from dagster_defs.windows import Schedule, Tick, TickSchedule, Times
from tests.support.instances import instance_for_test
from tests.support.retired_dags import FAILURE, SUCCESS, TAKEN_OVER, TAXI, UNITS, Schedules

TICKS = partitioned(TickSchedule.of("0 6 * * *", "America/New_York", "2024-03-01"))
WINDOWS = partitioned(Schedule.of("0 6 * * *", "America/New_York", "2024-03-01"))
TRIGGERED = replace(TAXI, partitions=TICKS, schedules=dict.fromkeys(UNITS, TICKS.schedule))
# The clocks go forward on the 10th: the tick of that day comes 23 hours after the one before it.
NINTH, TENTH = "2024-03-09T11:00:00+00:00", "2024-03-10T10:00:00+00:00"


@pytest.fixture
def triggered(schedules: Schedules) -> Schedules:
    """The sensor of a retired DAG of ticks."""
    schedules.dags = [TRIGGERED]
    schedules.retire()
    return schedules


def test_a_tick_is_started_at_once(triggered: Schedules) -> None:
    """At its instant, not a second before and not a period later, with the tick as both bounds."""
    assert triggered.tick(TAKEN_OVER.subtract(seconds=1)) == []
    assert triggered.tick(TAKEN_OVER) == ["2024-03-09"]
    [run] = triggered.begun
    assert (run.tags[tags.WINDOW_START], run.tags[tags.WINDOW_END]) == (NINTH, NINTH)
    assert window_of_tags(run.tags) == TICKS.window_of("2024-03-09")


def test_each_tick_is_started_once_and_in_order(triggered: Schedules) -> None:
    """Whatever became of the one before; the day on which clocks change has its own."""
    assert triggered.tick(TAKEN_OVER) == ["2024-03-09"]
    triggered.end(FAILURE)
    assert triggered.tick(TAKEN_OVER.add(hours=22)) == []
    assert triggered.tick(TAKEN_OVER.add(hours=23)) == ["2024-03-10"]
    triggered.end(SUCCESS)
    assert triggered.tick(TAKEN_OVER.add(hours=24)) == []


class _NoTries:
    def earlier_tries(self, _: TaskInstance) -> list[TaskInstance]:
        return []

    def link(self, unit: Unit, run_id: str) -> str:
        return f"http://airflow.example/{unit}/{run_id}"


def told(times: Times, start: str, end: str) -> list[dg.AssetMaterialization | dg.AssetObservation]:
    """What the observer says of a task that succeeded in a run with this data interval."""
    unit = Unit("orders", "load")
    row = {"dag_id": "orders", "dag_run_id": "r", "state": "success", "data_interval_start": start,
           "data_interval_end": end, "logical_date": start, "run_type": "scheduled"}  # fmt: skip
    task = {"dag_id": "orders", "task_id": "load", "dag_run_id": "r", "state": "success", "try_number": 1,
            "start_date": end, "end_date": end, "duration": 1.0, "run_after": end}  # fmt: skip
    with instance_for_test() as instance:
        translator = EventTranslator(
            "airflow",
            cast("AirflowReader", _NoTries()),
            instance,
            {unit: [dg.AssetKey("orders")]},
            {unit: times},
            {},
            Settings.from_process(),
        )
        finished = Finished(TaskInstance.parse(task), DagRun.parse(row))
        [events] = translator.tell([finished], cast("Any", SimpleNamespace()))
    return events


def test_a_run_is_observed_at_its_tick() -> None:
    """A run of Airflow 3's default schedule is that tick's, with both bounds at it."""
    [event] = told(TICKS, TENTH, TENTH)
    assert isinstance(event, dg.AssetMaterialization)
    assert event.partition == "2024-03-10"
    bounds = [event.metadata[name].value for name in (tags.WINDOW_START, tags.WINDOW_END)]
    assert bounds == [pendulum.datetime(2024, 3, 10, 10).timestamp()] * 2


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        pytest.param(TICKS, "2024-03-10T10:30:00+00:00", "2024-03-10T10:30:00+00:00", id="no tick"),
        pytest.param(TICKS, NINTH, TENTH, id="a window where there are ticks"),
        pytest.param(WINDOWS, TENTH, TENTH, id="a tick where there are windows"),
    ],
)
def test_what_is_about_something_else_is_unaligned(times: Times, start: str, end: str) -> None:
    """A manual run between ticks, or one of the other kind, claims nothing about a partition."""
    [event] = told(times, start, end)
    assert isinstance(event, dg.AssetObservation)
    assert event.partition is None
    assert (event.description or "").startswith("unaligned: ")


def test_an_event_of_the_other_kind_starts_no_candidate_run() -> None:
    """Keys of windows and ticks are alike, so after a change of the timetable the recorded bounds decide."""
    key = dg.AssetKey("orders")
    with instance_for_test() as instance:
        for start, end in ((NINTH, TENTH), (TENTH, TENTH)):
            bounds = {
                name: dg.MetadataValue.timestamp(pendulum.DateTime.fromisoformat(text).timestamp())
                for name, text in ((tags.WINDOW_START, start), (tags.WINDOW_END, end))
            }
            instance.report_runless_asset_event(
                dg.AssetMaterialization(key, partition="2024-03-10", metadata=bounds)
            )
        of_tick, of_window = EventReader(instance).materializations(key)
    ticks, windows = (cast("ShadowedUnit", SimpleNamespace(times=times)) for times in (TICKS, WINDOWS))
    assert (_is_kin(of_tick, ticks), _is_kin(of_window, ticks)) == (True, False)
    assert (_is_kin(of_tick, windows), _is_kin(of_window, windows)) == (False, True)
    tick = TICKS.window_of("2024-03-10")
    assert isinstance(tick, Tick)
    assert of_window.may_be_of(tick)
    assert definition_of(TICKS) != definition_of(WINDOWS)
