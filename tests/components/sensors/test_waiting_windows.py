"""Windows of a retired DAG that wait for another DAG, tick after tick, on a real event log."""

from __future__ import annotations

import json
from dataclasses import replace

import dagster as dg
import pytest

from dagster_defs.lifecycle.started import places
from tests.support.retired_dags import SPRING_END, SUCCESS, TAXI, Schedules, days_later
from tests.support.waiting_dags import CLEAN, DAY, LOAD, WAIT, observe, run_in_dagster, waiting


def end_in_vain(schedules: Schedules) -> dg.ExecuteInProcessResult:
    """Run what the tick has asked for in the place of the window."""
    [asked] = schedules.asked
    job = schedules.definitions.resolve_job_def(str(asked.job_name))
    return job.execute_in_process(
        asked.run_config, instance=schedules.instance, tags=dict(asked.tags), raise_on_error=False
    )


def test_a_window_waits_for_what_airflow_writes(waits: Schedules) -> None:
    """It is over and not started, and the tick says for what it waits and since when; once Airflow has written that,
    of the logical date that the sensor asks about, it is started."""
    assert waits.tick(SPRING_END) == []
    assert waits.skipped == (
        "taxi 2024-03-09 waits: trips.load of 2024-03-09 10:00 UTC is not written "
        "(for_trips, since 2024-03-10 10:00 UTC)"
    )
    observe(waits, LOAD, "success", "2024-03-08")
    assert waits.tick(SPRING_END.add(minutes=1)) == []

    observe(waits, LOAD, "success")
    assert waits.tick(SPRING_END.add(minutes=2)) == [DAY]
    [run] = waits.begun
    assert json.loads(run.tags["parity/waited"]) == {"for_trips": "2024-03-10 10:00:00 UTC"}
    assert waits.tick(SPRING_END.add(minutes=3)) == []


def test_a_window_waits_for_what_dagster_writes(waits: Schedules) -> None:
    """A run of Dagster's counts as much as Airflow's: a failed one does not end the wait, a later success does, even
    if another step of its run fails."""
    run_in_dagster(waits, LOAD, broken=[LOAD])
    assert waits.tick(SPRING_END) == []
    assert "trips.load of 2024-03-09 10:00 UTC is failed" in str(waits.skipped)

    run_in_dagster(waits, LOAD, CLEAN, broken=[CLEAN])
    assert waits.tick(SPRING_END.add(minutes=1)) == [DAY]


@pytest.mark.parametrize("newest", ["skipped", "failed", "upstream_failed"])
def test_the_newest_state_counts(waits: Schedules, newest: str) -> None:
    """What was written and then run again without success is not written, as in Airflow after clearing."""
    observe(waits, LOAD, "success")
    observe(waits, LOAD, newest)

    assert waits.tick(SPRING_END) == []
    assert f"is {newest}" in str(waits.skipped)


def test_a_time_out_fails_the_window(waits: Schedules) -> None:
    """As long as the sensor's from when the run would have started; then a run fails in its place with the reason,
    and the next window waits for its own."""
    waits.dags = [waiting(replace(WAIT, timeout=3600))]

    assert waits.tick(SPRING_END) == []
    assert waits.tick(SPRING_END.add(seconds=3600)) == []
    assert waits.tick(SPRING_END.add(seconds=3601)) == [DAY]
    assert waits.keys == ["taxi|2024-03-09|waited"]
    ended = end_in_vain(waits)
    assert not ended.success
    [failure] = ended.get_step_failure_events()
    assert "its time-out of 3600 s is over" in str(failure.step_failure_data.error)
    assert waits.tick(SPRING_END.add(seconds=3700)) == []

    observe(waits, LOAD, "success", "2024-03-10")
    waits.end(SUCCESS)
    assert waits.tick(days_later(1)) == ["2024-03-10"]


def test_a_soft_fail_skips_the_window(waits: Schedules) -> None:
    """The run in its place succeeds, and says of each asset of the DAG that the window was skipped."""
    waits.dags = [waiting(replace(WAIT, timeout=0, soft_fail=True))]
    waits.tick(SPRING_END)
    waits.tick(SPRING_END.add(seconds=1))

    assert end_in_vain(waits).success
    [noted] = waits.instance.fetch_observations(dg.AssetKey("made_by_taxi"), limit=5).records
    observation = noted.asset_observation
    assert observation is not None
    assert (observation.partition, observation.metadata["State"].value) == (DAY, "skipped")
    assert "trips.load of 2024-03-09 10:00 UTC is not written" in str(observation.description)


def test_a_failed_state_ends_the_wait_after_the_last_try(waits: Schedules) -> None:
    """The sensor's `retries` and `retry_delay` hold: what is mended in between is waited for."""
    waits.dags = [waiting(replace(WAIT, failed=frozenset({"failed"}), retries=1, retry_delay=300))]
    observe(waits, LOAD, "failed")

    assert waits.tick(SPRING_END) == []
    assert waits.tick(SPRING_END.add(seconds=299)) == []
    assert waits.tick(SPRING_END.add(seconds=300)) == [DAY]
    assert waits.keys == ["taxi|2024-03-09|waited"]


def test_a_whole_dag_is_waited_for_to_its_end(waits: Schedules) -> None:
    """Until all its units have ended; one that was skipped is no failure."""
    waits.dags = [waiting(replace(WAIT, tasks=()))]
    observe(waits, LOAD, "success")
    assert waits.tick(SPRING_END) == []
    assert "all of trips of 2024-03-09 10:00 UTC is running" in str(waits.skipped)

    observe(waits, CLEAN, "skipped")
    assert waits.tick(SPRING_END.add(minutes=1)) == [DAY]


def test_windows_that_wait_take_places(waits: Schedules) -> None:
    """No more windows wait and run together than Airflow's `max_active_runs`, and a later one may come first."""
    waits.dags = [waiting(max_active_runs=2)]
    observe(waits, LOAD, "success", "2024-03-10")
    observe(waits, LOAD, "success", "2024-03-11")

    assert waits.tick(days_later(3)) == ["2024-03-10"]
    assert waits.tick(days_later(3)) == []
    waits.end(SUCCESS)
    assert waits.tick(days_later(3)) == ["2024-03-11"]


def test_a_window_that_depends_on_the_past_waits_for_both(waits: Schedules) -> None:
    """With `depends_on_past` no later window has its turn while one waits."""
    waits.dags = [waiting(in_order=True, max_active_runs=4)]
    observe(waits, LOAD, "success", "2024-03-10")
    assert waits.tick(days_later(3)) == []

    observe(waits, LOAD, "success")
    assert waits.tick(days_later(3)) == [DAY]


def test_a_wait_that_is_removed_holds_nothing_up(waits: Schedules) -> None:
    """Whoever takes `waits_for` out of the YAML lets the windows go that are waiting."""
    waits.tick(SPRING_END)
    assert [each.logical_date.isoformat() for each in places(waits.cursor)["taxi"].waiting] == [
        "2024-03-09T11:00:00+00:00"
    ]
    waits.dags = [TAXI]

    assert waits.tick(SPRING_END.add(minutes=1)) == [DAY]
    assert json.loads(str(waits.cursor)) == {"taxi": "2024-03-09T11:00:00+00:00"}


def test_a_wait_that_nobody_can_see_starts_nothing(
    waits: Schedules, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not even a window for which everything else is there: the tick says why, and the time-out does not begin."""
    waits.held = {"taxi": "for_trips waits for trips.load, which has no sound mirror with windows"}
    observe(waits, LOAD, "success")

    assert waits.tick(SPRING_END) == []
    assert "taxi: its windows are waiting, because for_trips waits for trips.load" in capfd.readouterr().err
    assert places(waits.cursor) == {}


def test_dates_that_nobody_listed_are_said(waits: Schedules) -> None:
    """Of a sensor with a function only what Airflow has returned is known: the window waits, and says so."""
    waits.dags = [waiting(replace(WAIT, dates={}))]

    assert waits.tick(SPRING_END) == []
    assert "which runs of trips it asks about is not listed for 2024-03-09 11:00 UTC" in str(waits.skipped)
