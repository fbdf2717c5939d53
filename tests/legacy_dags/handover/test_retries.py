"""The proxy in Airflow's own task states and with Airflow's database, against a real Dagster: retries, kills, deferral.

A gateway stands between the two, which can lose what passes through it.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.adapters.processes.supervisor import free_port
from tests.legacy_dags.handover.conftest import Started, StartInAirflow, airflow_with_database
from tests.support.estate import BIN, ROOT, foreign_environment
from tests.support.fake_dagster import Job
from tests.support.unruly_dagsters import BAD_GATEWAY, Fault, Gateway, UnrulyDagster, ask

pytestmark = [pytest.mark.airflow, pytest.mark.journey]

RUNS = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"
DAYS = (f"2024-03-{day:02}" for day in count(5))


@dataclass
class RealDagster:
    """`folder`: where the units note what they do, and look for the file that lets them end."""

    url: str
    folder: Path

    def runs(self, day: str) -> list[str]:
        """The states of the runs of a day, oldest first."""
        body = json.dumps({"query": RUNS}).encode()
        _, answer = ask(self.url, "/graphql", body)
        return [
            run["status"]
            for run in reversed(answer["data"]["runsOrError"]["results"])
            if {"key": "dagster/partition", "value": day} in run["tags"]
        ]

    def noted(self, what: str) -> list[str]:
        file = self.folder / what
        return file.read_text().splitlines() if file.exists() else []

    def wait(self, fact: Callable[[], bool], seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not fact():
            assert time.monotonic() < until, f"not after {seconds} s"
            time.sleep(0.1)

    def wait_for_work(self, started: Started) -> None:
        """Until a run has begun to work."""

        def has_begun() -> bool:
            assert started.process.poll() is None, started.log()
            return len(self.noted("began")) == 1

        self.wait(has_begun)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealDagster]:
    home = tmp_path_factory.mktemp("dagster")
    # Without a daemon, which is what takes runs from the queue.
    coordinator = "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n"
    (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{coordinator}")
    port = free_port()
    log = home / "webserver.log"
    with log.open("w") as file:
        process = GUARDIAN.start(
            [
                str(BIN / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port),
                "-f", str(ROOT / "tests" / "support" / "real_dagster.py"),
            ],
            env={
                **foreign_environment(),
                "DAGSTER_HOME": str(home),
                "PYTHONPATH": str(ROOT),
                "HELD_UP_FOLDER": str(home),
                "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
            },
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    dagster = RealDagster(f"http://127.0.0.1:{port}", home)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return dagster.runs("") == []
        except OSError:
            return False

    try:
        dagster.wait(answers)
        yield dagster
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def dagster(server: RealDagster) -> RealDagster:
    for file in ("go", "began", "ended", "checked"):
        (server.folder / file).unlink(missing_ok=True)
    return server


@pytest.fixture
def gateway(server: RealDagster) -> Iterator[Gateway]:
    with Gateway(server.url) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def airflow_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An Airflow with a database of its own, and the tasks marked."""
    home = tmp_path_factory.mktemp("with-database")
    marks = home / "marks"
    marks.mkdir()
    (marks / "nightly.yaml").write_text(
        "tasks:\n- {id: build, proxied: true}\n- {id: later, proxied: true}\n"
    )
    settings = airflow_with_database(home, Path(__file__).with_name("proxied_dags"))
    return {**settings, "PARITY_PROXIED_STATE": str(marks)}


@pytest.fixture
def day() -> str:
    """A day that no other test uses."""
    return next(DAYS)


Tried = Callable[..., Started]


@pytest.fixture
def tried(
    start_in_airflow: StartInAirflow, airflow_settings: dict[str, str], gateway: Gateway, day: str
) -> Tried:
    def start(*actions: str, task: str = "build", **settings: str) -> Started:
        document: dict[str, Any] = {"task": task, "day": day, "do": actions}
        return start_in_airflow(
            "run_tasks.py", document, DAGSTER_URL=gateway.url, **airflow_settings, **settings
        )

    return start


def let_go(dagster: RealDagster) -> None:
    (dagster.folder / "go").touch()


def test_a_retry_follows_the_live_run(tried: Tried, dagster: RealDagster, day: str) -> None:
    """A worker dies while its Dagster run lives: the retry waits for that run, and there is one run in all.

    Its window is the task's, and the asset check was part of it.
    """
    first = tried("run")
    dagster.wait_for_work(first)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(30)

    second = tried("lose", "run")
    second.wait_for("follow the live run: an earlier try has launched it")
    let_go(dagster)

    assert second.answer() == ["up_for_retry", "success"]
    assert dagster.runs(day) == ["SUCCESS"]
    assert len(dagster.noted("began")) == len(dagster.noted("ended")) == len(dagster.noted("checked")) == 1
    assert f"partition {day}" in first.log()


def test_a_success_that_airflow_missed_counts_until_it_is_cleared(
    tried: Tried, dagster: RealDagster, day: str
) -> None:
    """A run that ended well while nobody looked is not repeated by the retry, and is by a cleared task."""
    first = tried("run")
    dagster.wait_for_work(first)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(30)
    let_go(dagster)
    dagster.wait(lambda: dagster.runs(day) == ["SUCCESS"])

    assert tried("lose", "run").answer() == ["up_for_retry", "success"]
    assert dagster.runs(day) == ["SUCCESS"]
    assert tried("clear", "run").answer() == [None, "success"]
    assert dagster.runs(day) == ["SUCCESS", "SUCCESS"]


def test_a_killed_task_ends_its_run(tried: Tried, dagster: RealDagster, day: str) -> None:
    """SIGTERM, which is how Airflow ends a task that somebody marks or clears, ends the Dagster run too."""
    started = tried("run")
    dagster.wait_for_work(started)

    started.process.send_signal(signal.SIGTERM)

    assert started.answer() == ["up_for_retry"]
    assert "was ended with its task: CANCELED" in started.log()
    assert dagster.runs(day) == ["CANCELED"]
    assert dagster.noted("ended") == []


def test_an_outage_is_lived_through(tried: Tried, dagster: RealDagster, gateway: Gateway, day: str) -> None:
    """A Dagster that is away while the run goes on delays the task's end and changes nothing else."""
    started = tried("run")
    dagster.wait_for_work(started)
    gateway.faults.planned = [Fault("RunStatus", times=2), Fault("RunStatus", BAD_GATEWAY)]
    started.wait_for("answered 502")
    let_go(dagster)

    assert started.answer() == ["success"]
    assert dagster.runs(day) == ["SUCCESS"]


def test_a_lost_answer_is_one_run(tried: Tried, dagster: RealDagster, gateway: Gateway, day: str) -> None:
    """A launch that Dagster has carried out, and whose answer was lost, is not repeated."""
    gateway.faults.planned = [Fault("mutation Launch", arrives=True)]
    let_go(dagster)

    assert tried("run").answer() == ["success"]
    assert gateway.faults.met == 1
    assert dagster.runs(day) == ["SUCCESS"]


def test_a_second_run_gives_way(tried: Tried, dagster: RealDagster, gateway: Gateway, day: str) -> None:
    """Two tries that see no run and both launch: the run that came second does nothing, its try follows the first."""
    first = tried("run")
    dagster.wait_for_work(first)
    none = (200, {"data": {"runsOrError": {"__typename": "Runs", "results": []}}})
    gateway.faults.planned = [Fault("RunsOfTag", none)]
    second = tried("run")
    second.wait_for(" gave way to ")
    let_go(dagster)

    assert second.answer() == ["success"]
    assert "was already launched for the same task of Airflow" in second.log()
    assert first.answer() == ["success"]
    assert dagster.runs(day) == ["SUCCESS", "FAILURE"]
    assert len(dagster.noted("began")) == len(dagster.noted("ended")) == 1


def test_what_a_run_skips_is_skipped(
    start_in_airflow: StartInAirflow,
    airflow_settings: dict[str, str],
    dagster_server: UnrulyDagster,
    day: str,
) -> None:
    """Tasks that a branch has skipped in Dagster are skipped in Airflow's own database, and again when one of them is
    cleared: Airflow's scheduler finds the branch's XCom."""
    dagster_server.jobs = [Job("nightly__build", {"parity/timezone": "UTC", "parity/key_format": "%Y-%m-%d"})]
    dagster_server.tags_of_runs = {
        "parity/airflow_state": "success",
        "parity/airflow_skips": '["later", "gone"]',
    }
    document = {"task": "build", "day": day, "do": ["run"]}

    tried = start_in_airflow("run_tasks.py", document, DAGSTER_URL=dagster_server.url, **airflow_settings)

    assert tried.answer() == ["success"]
    with closing(sqlite3.connect(Path(airflow_settings["AIRFLOW_HOME"], "airflow.db"))) as database:
        [[run_id]] = database.execute(
            "select run_id from task_instance where task_id = 'later' and state = 'skipped'"
        )
        xcoms = database.execute(
            "select value from xcom where key = 'skipmixin_key' and run_id = ?", [run_id]
        )
        assert [json.loads(value) for (value,) in xcoms] == [{"skipped": ["later"]}]

    cleared = {"task": "later", "day": day, "do": ["clear", "schedule"]}
    again = start_in_airflow("run_tasks.py", cleared, DAGSTER_URL=dagster_server.url, **airflow_settings)

    assert again.answer() == [None, "skipped"]


def test_a_deferred_task_runs_through(tried: Tried, dagster: RealDagster, day: str) -> None:
    """It launches, leaves its slot, and ends as its run does, through Airflow's own trigger and database."""
    let_go(dagster)

    assert tried("run", "trigger", "run", task="later").answer() == ["deferred", "scheduled", "success"]
    assert dagster.runs(day) == ["SUCCESS"]


def test_a_deferred_task_ends_as_its_run(tried: Tried, dagster: RealDagster, day: str) -> None:
    """A run that is ended in Dagster fails the deferred task with the run's address and state."""
    started = tried("run", "trigger", "run", task="later")
    dagster.wait_for_work(started)
    run_id = dagster.noted("began")[0].split()[1]
    query = f'mutation {{ terminateRun(runId: "{run_id}") {{ __typename }} }}'
    ask(dagster.url, "/graphql", json.dumps({"query": query}).encode())

    assert started.answer() == ["deferred", "scheduled", "up_for_retry"]
    assert f"/runs/{run_id} ended as CANCELED" in started.log()


@pytest.mark.parametrize("end", [("fail_deferred",), ("time_out", "run")])
def test_a_deferred_task_that_is_over_ends_its_run(
    tried: Tried, dagster: RealDagster, day: str, end: tuple[str, ...]
) -> None:
    """A deferred task has no process that could be killed: marked as failed, or out of time, it ends its run."""
    tried("run", task="later").answer()
    dagster.wait(lambda: len(dagster.noted("began")) == 1)

    ended = tried(*end, task="later")
    ended.answer()

    assert "was ended with its task: CANCELED" in ended.log()
    assert dagster.runs(day) == ["CANCELED"]


def test_a_cleared_task_outlasts_a_run_of_old_input(tried: Tried, dagster: RealDagster, day: str) -> None:
    """Cleared together with the task before it, it waits for the run of the old input and runs again after it."""
    first = tried("run")
    dagster.wait_for_work(first)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(30)

    second = tried("lose", "clear_all", "run")
    second.wait_for("its input is old")
    let_go(dagster)

    assert second.answer() == ["up_for_retry", None, "success"]
    assert dagster.runs(day) == ["SUCCESS", "SUCCESS"]
