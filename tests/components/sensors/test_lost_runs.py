"""A run whose process leaves no sign of life is ended; one that beats, rests or was looked at too briefly is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dagster_defs.adapters.store.files import FileStore
from dagster_defs.adapters.store.seam import Heartbeats
from dagster_defs.components.runs.beating import ALONE, EVERY, GRACE, Pulse, beating
from dagster_defs.components.sensors.lost_runs import (
    KEPT,
    LOOKS,
    STILL,
    Seen,
    build_lost_runs_sensor,
    interval,
    look,
    read_cursor,
)
from dagster_defs.errors import LedgerUnwritable, NotOwner
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.parity import Side
from tests.support.instances import instance_for_test

UNIT = "taxi_daily.dbt_daily"


@dg.job
def nightly() -> None:
    pass


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with instance_for_test() as instance:
        yield instance


@pytest.fixture
def heartbeats(tmp_path: Path) -> Heartbeats:
    return FileStore(tmp_path).heartbeats()


def started(instance: dg.DagsterInstance) -> str:
    return instance.create_run_for_job(nightly, status=dg.DagsterRunStatus.STARTED).run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status


def test_a_run_without_a_sign_of_life(instance: dg.DagsterInstance, heartbeats: Heartbeats) -> None:
    """After a minute of looks it has failed, with the reason, and its process may write no more."""
    run_id = started(instance)
    heartbeats.beat(run_id, UNIT)
    seen: Seen = {}
    for at in (0.0, STILL / 2):
        seen, ended = look(instance, heartbeats, seen, at, STILL)
        assert ended == []

    seen, ended = look(instance, heartbeats, seen, STILL, STILL)

    assert (seen, ended) == ({}, [run_id])
    run = instance.get_run_by_id(run_id)
    assert run
    assert (run.status, run.tags[tags.LOST]) == (dg.DagsterRunStatus.FAILURE, UNIT)
    assert not heartbeats.beat(run_id, UNIT)


def test_a_run_that_beats_goes_on(instance: dg.DagsterInstance, heartbeats: Heartbeats) -> None:
    """However seldom somebody looks, and also if it beats just before it would be declared lost."""
    run_id = started(instance)
    seen: Seen = {}
    for number in range(6):
        heartbeats.beat(run_id, UNIT)
        seen, ended = look(instance, heartbeats, seen, number * 10 * STILL, STILL)
        assert ended == []
    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize(
    "times",
    [
        pytest.param((0, 10 * STILL), id="the clock jumps ahead between two looks"),
        pytest.param((0, -STILL, -STILL + 1, -STILL + 2), id="the clock goes back"),
    ],
)
def test_a_clock_alone_ends_nothing(
    instance: dg.DagsterInstance, heartbeats: Heartbeats, times: tuple[float, ...]
) -> None:
    """A jump is no minute in which somebody has looked."""
    run_id = started(instance)
    heartbeats.beat(run_id, UNIT)
    seen: Seen = {}
    for at in times:
        seen, _ = look(instance, heartbeats, seen, at, STILL)

    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED


def test_whoever_declared_it_was_stopped(instance: dg.DagsterInstance, heartbeats: Heartbeats) -> None:
    """The next look ends the run, without another minute."""
    run_id = started(instance)
    heartbeats.beat(run_id, UNIT)
    [heartbeat] = heartbeats.all()
    heartbeats.declare_lost(heartbeat)

    assert look(instance, heartbeats, {}, 0, STILL)[1] == [run_id]

    assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE


def test_all_steps_of_a_lost_run_are_lost(instance: dg.DagsterInstance, heartbeats: Heartbeats) -> None:
    """Also those that were not the first to be found: a host that wakes up has all of its processes again, and the
    windows of each are free."""
    run_id = started(instance)
    for unit in (UNIT, "taxi_daily.dbt_zones"):
        heartbeats.beat(run_id, unit)
    seen: Seen = {}
    for at in (0.0, STILL / 2, STILL, STILL * 1.5):
        seen, _ = look(instance, heartbeats, seen, at, STILL)

    assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE
    assert not heartbeats.beat(run_id, UNIT)
    assert not heartbeats.beat(run_id, "taxi_daily.dbt_zones")


def test_a_step_that_begins_in_a_run_that_has_ended(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """It does not begin: the worker of a run that was declared lost has gone on to it."""

    @dg.asset
    def orders(context):  # type: ignore[no-untyped-def]  # Dagster reads no annotation that is text
        context.instance.report_run_failed(context.run)
        with beating(context, Unit.parse(UNIT), Side.LEGACY, tmp_path):
            raise AssertionError("it has begun")

    with pytest.raises(NotOwner, match="it has ended as FAILURE"):
        dg.materialize([orders], instance=instance)


@pytest.mark.parametrize(("poll_seconds", "seconds"), [(1, 20), (30, 30), (600, 60)])
def test_how_often_somebody_looks(poll_seconds: int, seconds: int) -> None:
    """However often or seldom an estate is polled: several beats lie between the first look and the last of three, and
    a run is not missed for long."""
    assert interval(poll_seconds, STILL) == seconds
    assert (LOOKS - 1) * interval(1, STILL) > EVERY


def test_what_has_ended_is_forgotten(instance: dg.DagsterInstance, heartbeats: Heartbeats) -> None:
    """But for the declaration, which a process that still lives has to find for a day."""
    run_id = started(instance)
    heartbeats.beat(run_id, UNIT)
    heartbeats.beat("gone", UNIT)
    run = instance.get_run_by_id(run_id)
    assert run
    [heartbeat] = [each for each in heartbeats.all() if each.run_id == run_id]
    heartbeats.declare_lost(heartbeat)
    _, [_] = look(instance, heartbeats, {}, 0, STILL)
    record = instance.get_run_record_by_id(run_id)
    assert record
    assert record.end_time

    look(instance, heartbeats, {}, record.end_time + KEPT - 1, STILL)
    assert [each.run_id for each in heartbeats.all()] == [run_id]
    look(instance, heartbeats, {}, record.end_time + KEPT + 1, STILL)
    assert list(heartbeats.all()) == []


def test_a_store_that_is_away_counts_no_time(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen before the outage is forgotten: meanwhile no run could beat."""
    monkeypatch.setenv("PARITY_STORE", f"file:{tmp_path / 'gone'}")
    sensor = build_lost_runs_sensor("own", 30, tmp_path)
    context = dg.build_sensor_context(instance=instance, cursor='{"x y": [1, 0.0, 9]}')

    said = sensor(context)

    assert isinstance(said, dg.SkipReason)
    assert "there is no store" in (said.skip_message or "")
    assert read_cursor(context.cursor) == {}


class Away:
    """A store that takes the first beat, and then is away, or gives no answer."""

    def __init__(self, hangs: bool = False) -> None:
        self.hangs, self.calls = hangs, 0

    def beat(self, *_: str) -> bool:
        self.calls += 1
        if self.calls == 1:
            return True
        if self.hangs:
            threading.Event().wait(2)
        raise LedgerUnwritable("here", "it is away")

    rest = beat


def test_a_pulse(heartbeats: Heartbeats) -> None:
    """It beats while its block lasts, goes on after a beat that fails, rests at the end, and tells a run that it is
    lost."""
    told = threading.Event()
    with Pulse(heartbeats, "run", UNIT, every=0.02, lost=told.set):
        [first] = heartbeats.all()
        assert _until(lambda: any(each.count > first.count + 1 for each in heartbeats.all()))
    assert list(heartbeats.all()) == []

    with Pulse(heartbeats, "lost", UNIT, every=0.02, lost=told.set):
        assert _until(lambda: any(heartbeats.declare_lost(each) for each in heartbeats.all()))
        assert told.wait(10)

    away, not_told = Away(), threading.Event()
    with Pulse(away, "run", UNIT, every=0.02, lost=not_told.set):  # type: ignore[arg-type]  # as much as is called
        assert _until(lambda: away.calls > 2)
    assert not not_told.is_set()


@pytest.mark.parametrize("hangs", [False, True])
def test_a_process_whose_beats_do_not_arrive_ends_itself(hangs: bool) -> None:
    """Before a sensor that reaches the store may free the window: whether the store refuses its beats, or hangs. One
    whose beats arrive again in time goes on."""
    told, said = threading.Event(), list[str]()

    with Pulse(Away(hangs), "run", UNIT, said.append, every=0.05, alone=0.5, lost=told.set):  # type: ignore[arg-type]  # as much as is called
        assert told.wait(10)
    assert said == [
        f"{UNIT} ends its own process: the store has taken no sign of life for 0.5 s, so it may be declared lost"
    ]

    class Short(Away):
        def beat(self, *_: str) -> bool:
            self.calls += 1
            if self.calls % 2 == 0:
                raise LedgerUnwritable("here", "it is away")
            return True

        rest = beat

    short, lives = Short(), threading.Event()
    with Pulse(short, "run", UNIT, every=0.05, alone=5, lost=lives.set):  # type: ignore[arg-type]  # as much as is called
        assert _until(lambda: short.calls > 6)
    assert not lives.is_set()


def test_a_process_ends_itself_before_it_can_be_declared_lost() -> None:
    """With what it needs for its end, within the time for which the sensor waits."""
    assert ALONE + GRACE <= STILL


def _until(fact: object) -> bool:
    assert callable(fact)
    waiting = threading.Event()
    for _ in range(500):
        if fact():
            return True
        waiting.wait(0.02)
    return False
