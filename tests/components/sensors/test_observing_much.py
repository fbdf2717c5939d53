"""The observer where much has finished, or things go wrong: everything is told, and everything once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import dagster as dg
import pendulum
import pytest

from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.observing import Budget
from tests.support.fakes import FakeAirflow
from tests.support.observing import DAILY, NOW, SPRING, Observer, materialized, spring_run

BURST = 2_000  # `make bench` has 10,000
ZONES = ("taxi_daily", "dbt_zones")  # one model


def burst(airflow: FakeAirflow, ends: Sequence[pendulum.DateTime], task: str = "unmirrored") -> set[str]:
    """A mapped task of many instances, one for each end."""
    run = spring_run(airflow)
    for number, end in enumerate(ends):
        airflow.finish("taxi_daily", task, run, end, map_index=number)
    return {f"taxi_daily.{task}|{run}|{number}|1" for number in range(len(ends))}


def tries(events: Sequence[dg.AssetMaterialization | dg.AssetObservation]) -> Counter[str]:
    return Counter(
        str(event.metadata[tags.AIRFLOW_TASK_INSTANCE].value).rsplit("|", 1)[0] for event in events
    )


def test_a_burst_is_told_once_in_bounded_ticks(observer: Observer, airflow: FakeAirflow) -> None:
    """All of 2,000 tasks that end within two minutes are told once, and no tick tells more than its budget."""
    wanted = burst(airflow, [NOW.subtract(seconds=100).add(microseconds=50_000 * n) for n in range(BURST)])

    told: Counter[str] = Counter()
    while events := observer.tick():
        assert len(events) <= Budget().tasks
        told += tries(events)

    assert told == Counter(wanted)
    assert len(observer.cursor or "") < 20 * BURST


def test_many_tasks_that_end_in_one_instant(observer: Observer, airflow: FakeAirflow) -> None:
    """Airflow skips a thousand mapped tasks with one statement: no slice of time is narrow enough, none is lost."""
    wanted = burst(airflow, [NOW.subtract(minutes=1)] * 1_000)
    wanted |= burst(airflow, [NOW.subtract(seconds=30)], task="after")

    assert tries(observer.until_quiet()) == Counter(wanted)


def test_rows_that_come_in_while_pages_are_read(observer: Observer, airflow: FakeAirflow) -> None:
    """Tasks that finish between two answers shift the pages; each is told once, and none is passed over."""
    wanted = burst(airflow, [NOW.subtract(seconds=90).add(microseconds=1_000 * n) for n in range(450)])
    run = spring_run(airflow)

    def meanwhile(lists: int) -> None:
        if lists < 20:
            airflow.finish("taxi_daily", "late", run, NOW.subtract(seconds=lists), map_index=lists)
            wanted.add(f"taxi_daily.late|{run}|{lists}|1")

    airflow.meanwhile = meanwhile

    assert tries(observer.until_quiet()) == Counter(wanted)
    assert airflow.lists > 20


def test_a_settled_burst_is_not_read_again(
    observer: Observer, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst, with no news since, a look costs one question, and the cursor remembers nothing of it."""
    burst(airflow, [NOW.subtract(seconds=60).add(microseconds=10_000 * n) for n in range(450)])
    observer.until_quiet()
    monkeypatch.setattr("pendulum.now", lambda *_: NOW.add(minutes=30))
    observer.tick()
    airflow.requests.clear()

    assert observer.tick() == []
    assert len(airflow.requests) == 1
    assert len(observer.cursor or "") < 300


def test_errors_in_the_middle_lose_nothing(
    observer: Observer, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before Airflow fell silent is told, the rest when it answers again, with the reason between."""
    wanted = burst(airflow, [NOW.subtract(hours=3).add(seconds=10 * n) for n in range(450)])
    monkeypatch.setattr("dagster_defs.components.sensors.airflow_sensor.PATIENCE", 0.3)
    failed: list[int] = []

    def meanwhile(lists: int) -> None:
        if not failed and any(
            request.startswith("GET") for request in airflow.requests
        ):  # a first slice was news
            failed.append(lists)
            airflow.failures = [500] * 50

    airflow.meanwhile = meanwhile
    first = observer.tick()
    assert 0 < len(first) < 450
    assert "answered 500" in observer.skipped[0]
    airflow.failures = []

    assert tries([*first, *observer.until_quiet()]) == Counter(wanted)


@pytest.mark.parametrize("stored", [0, 1, 5, 6])
def test_storage_that_fails_doubles_nothing(observer: Observer, airflow: FakeAirflow, stored: int) -> None:
    """A tick that is cut off among its events leaves the cursor; the next stores what is missing, and no more."""
    run = spring_run(airflow)
    airflow.finish(*DAILY, run, NOW)
    airflow.finish(*ZONES, run, NOW)
    airflow.finish(*ZONES, run, NOW.subtract(minutes=1), state="failed", map_index=0)
    observer.stores = True
    for observer.stored_at_most in (stored, 0):
        with pytest.raises(OSError, match="storage"):
            observer.tick()
        assert observer.cursor is None
    observer.stored_at_most = 100

    observer.until_quiet()

    for model in ("stg_trips", "location_metrics", "daily_metrics", "stg_zones"):
        assert len(observer.instance.fetch_materializations(dg.AssetKey(model), limit=9).records) == 1
    # stg_zones: the failure, and that dbt_daily builds it too
    assert len(observer.instance.fetch_observations(dg.AssetKey("stg_zones"), limit=9).records) == 2


def test_a_day_without_dagster(
    observer: Observer, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What finished while nobody looked, for longer than a first look goes back, is told when Dagster is here again."""
    observer.tick()
    wanted = burst(airflow, [NOW.add(minutes=5 * n) for n in range(600)])
    monkeypatch.setattr("pendulum.now", lambda *_: NOW.add(days=3))

    assert tries(observer.until_quiet()) == Counter(wanted)


def test_an_airflow_that_is_away_at_the_first_look(
    observer: Observer, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look's day counts from the first try to look, however long Airflow stays away."""
    airflow.login_page = True
    observer.tick()
    airflow.login_page = False
    airflow.finish(*ZONES, spring_run(airflow), NOW.subtract(hours=23))
    monkeypatch.setattr("pendulum.now", lambda *_: NOW.add(days=2))

    assert materialized(observer.tick()) == {("stg_zones", "2024-03-09")}


def test_a_deleted_run_stops_nothing(observer: Observer, airflow: FakeAirflow) -> None:
    """A task whose DAG run is gone is observed with the reason, and the rest as ever."""
    airflow.finish(*DAILY, "deleted", NOW)
    airflow.finish(*ZONES, spring_run(airflow), NOW)

    events = observer.tick()

    assert materialized(events) == {("stg_zones", "2024-03-09")}
    told = {event.asset_key.to_user_string(): event for event in events}
    assert told["daily_metrics"].description == "unaligned: Airflow no longer has its DAG run"
    assert told["daily_metrics"].partition is None


def test_a_dag_that_may_not_be_read_stops_nothing(observer: Observer, airflow: FakeAirflow) -> None:
    """Airflow refuses the whole list for one DAG: the others are observed."""
    airflow.forbidden = {"taxi_weekly"}
    airflow.finish(*ZONES, spring_run(airflow), NOW)
    airflow.finish("somebody_elses", "task", "run", NOW)

    assert materialized(observer.tick()) == {("stg_zones", "2024-03-09")}


def test_a_run_that_still_runs(observer: Observer, airflow: FakeAirflow) -> None:
    """A task is told when it has finished, not when its DAG run has."""
    airflow.finish(*ZONES, airflow.add_run("taxi_daily", "running", *SPRING, "running"), NOW)

    assert materialized(observer.tick()) == {("stg_zones", "2024-03-09")}


def test_each_mapped_instance_of_an_unmirrored_task_is_told(observer: Observer, airflow: FakeAirflow) -> None:
    """Every instance of a mapped task without a mirror is an event of its own, with its index."""
    run = spring_run(airflow)
    for index in range(3):
        airflow.finish("taxi_daily", "unmirrored", run, NOW, map_index=index)

    assert [event.metadata["Map index"].value for event in observer.tick()] == [0, 1, 2]


def test_a_retry_is_seen_while_it_waits(observer: Observer, airflow: FakeAirflow) -> None:
    """A try that failed and will be retried is told at once, and once: not again with the try that succeeds."""
    run = spring_run(airflow)
    observer.stores = True
    airflow.finish(*ZONES, run, NOW.subtract(minutes=1), state="up_for_retry")
    [failed] = observer.tick()
    airflow.finish(*ZONES, run, NOW, try_number=2)

    [succeeded] = observer.tick()

    assert failed.description == "up_for_retry in Airflow, try 1"
    assert isinstance(succeeded, dg.AssetMaterialization)
    assert observer.tick() == []


def test_tries_that_nobody_saw(observer: Observer, airflow: FakeAirflow) -> None:
    """Tries that failed between two looks are told from Airflow's history, before the try that succeeded."""
    run = spring_run(airflow)
    for number, state in enumerate(("up_for_retry", "up_for_retry", "success"), start=1):
        airflow.finish(*ZONES, run, NOW.subtract(minutes=9 - number), state=state, try_number=number)

    told = [(event.metadata["Try"].value, event.metadata["State"].value) for event in observer.tick()]

    assert told == [(1, "failed"), (2, "failed"), (3, "success")]
    assert observer.tick() == []


def test_the_rendered_command(observer: Observer, airflow: FakeAirflow) -> None:
    """What Airflow rendered is shown, cut to a bound, and never the environment."""
    run = spring_run(airflow)
    airflow.rendered[(*ZONES[:1], run, ZONES[1])] = {
        "bash_command": "dbt run " + "x" * 9_000,
        "env": {"TOKEN": "secret"},
    }
    airflow.finish(*ZONES, run, NOW)

    [event] = observer.tick()

    command = str(event.metadata["Command"].value)
    assert command.startswith("dbt run xxx")
    assert len(command) == 2_000
    assert "secret" not in str(event.metadata)
