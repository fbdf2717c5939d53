"""A run's process and the code server are killed together: its window is free within a bound, and written once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from dagster_defs.adapters.dagster.api import DagsterClient
from tests.support.dagster_servers import KillableDagster, killable_dagster

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

BOUND = 40.0  # seconds: six without a beat, three looks of a daemon that is slow to begin


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableDagster]:
    with killable_dagster(tmp_path_factory.mktemp("dagster")) as dagster:
        yield dagster


def launch(dagster: KillableDagster, day: str) -> str:
    return DagsterClient(dagster.url).launch("nightly__build", (day, day))


def test_both_are_killed(dagster: KillableDagster) -> None:
    """Nobody tells Dagster; without the beats the run would be "started" for ever. The next try writes, once."""
    dagster.forget()
    day = "2024-03-05"
    client = DagsterClient(dagster.url)
    lost = launch(dagster, day)
    worker = dagster.wait_for_work()

    dagster.kill("code", worker, *[pid for pid in dagster.below("code") if pid != worker])
    killed = time.monotonic()
    dagster.start("code")
    dagster.wait(dagster.is_loaded)
    assert client.status(lost) == "STARTED"
    dagster.wait(lambda: client.status(lost) == "FAILURE", seconds=BOUND)
    assert time.monotonic() - killed < BOUND + 20

    again = launch(dagster, day)
    dagster.wait_for_work(runs=2)
    dagster.let_go()
    dagster.wait(lambda: client.status(again) == "SUCCESS")
    assert dagster.noted("ended") == [f"build {again}"]


def test_a_process_that_was_only_stopped(dagster: KillableDagster) -> None:
    """It is declared lost, another run begins; awake again it learns that, and ends without having written."""
    dagster.forget()
    day = "2024-03-06"
    client = DagsterClient(dagster.url)
    frozen = launch(dagster, day)
    worker = dagster.wait_for_work()
    os.kill(worker, signal.SIGSTOP)
    dagster.wait(lambda: client.status(frozen) == "FAILURE", seconds=BOUND)
    again = launch(dagster, day)
    dagster.wait_for_work(runs=2)

    os.kill(worker, signal.SIGCONT)

    dagster.wait(lambda: not _lives(worker), seconds=BOUND)
    dagster.let_go()
    dagster.wait(lambda: client.status(again) == "SUCCESS")
    assert dagster.noted("ended") == [f"build {again}"]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
