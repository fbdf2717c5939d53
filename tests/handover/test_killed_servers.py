"""A proxied run while the servers around it are killed, each with SIGKILL and by its process: real ones, all of them."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.local_airflow import LocalAirflow
from dagster_defs.adapters.postgres import Postgres, running_postgres
from dagster_defs.adapters.processes import Supervisor, free_port
from tests.estate import ROOT
from tests.handover.conftest import Started, StartInAirflow
from tests.handover.servers import KillableDagster, killable_dagster

pytestmark = [pytest.mark.airflow, pytest.mark.journey]

AIRFLOW = ROOT / ".venv-airflow" / "bin" / "airflow"
DAYS = (f"2024-03-{day:02}" for day in count(5))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableDagster]:
    with killable_dagster(tmp_path_factory.mktemp("dagster")) as dagster:
        yield dagster


@pytest.fixture
def dagster(server: KillableDagster) -> Iterator[KillableDagster]:
    """All of it is there again at the end, and nothing works any more."""
    server.forget()
    yield server
    server.let_go()
    for name in {"code", "web", "daemon"} - server.running.keys():
        server.start(name)
    server.wait(lambda: server.is_loaded() and not {"QUEUED", "STARTING", "STARTED"} & set(server.runs("")))


@dataclass(frozen=True)
class Airflow:
    local: LocalAirflow
    postgres: Postgres

    @property
    def settings(self) -> dict[str, str]:
        return {name: value for name, value in self.local.env.items() if name.startswith("AIRFLOW_")}


@pytest.fixture(scope="module")
def airflow_folder() -> Iterator[Path]:
    """PostgreSQL, started by root, is another user's, who must get there."""
    with tempfile.TemporaryDirectory(prefix="parity-killed-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def airflow(airflow_folder: Path, server: KillableDagster) -> Iterator[Airflow]:
    """Airflow's database, in PostgreSQL, with the task marked."""
    folder = airflow_folder
    marks = folder / "marks"
    marks.mkdir()
    for dag_id in ("nightly", "nightly_trips"):
        (marks / f"{dag_id}.yaml").write_text("tasks:\n- {id: build, proxied: true}\n")
    settings = {
        "PYTHONPATH": str(ROOT / "legacy_dags"),
        "PARITY_PROXIED_STATE": str(marks),
        "DAGSTER_URL": server.url,
    }
    with running_postgres(folder / "postgres", ("airflow",)) as postgres, Supervisor(folder) as supervisor:
        local = LocalAirflow(
            folder / "airflow",
            free_port(),
            postgres,
            settings,
            Path(__file__).with_name("killed_dags"),
        )
        supervisor.run("migrate", [str(AIRFLOW), "db", "migrate"], env=local.env)
        yield Airflow(local, postgres)


@pytest.fixture
def day() -> str:
    """A day that no other test uses."""
    return next(DAYS)


Tried = Callable[..., Started]


@pytest.fixture
def tried(start_in_airflow: StartInAirflow, airflow: Airflow, day: str) -> Tried:
    def start(*actions: str, dag: str = "nightly") -> Started:
        document: dict[str, Any] = {"dag": dag, "task": "build", "day": day, "do": actions}
        return start_in_airflow(
            "run_tasks.py", document, DAG_ID=dag, **airflow.settings, **airflow.local.task_env
        )

    return start


def test_a_killed_web_server_is_waited_for(tried: Tried, dagster: KillableDagster, day: str) -> None:
    """A run that ends while the web server is dead is seen to end when it is there again: one run, one write."""
    task = tried("run")
    dagster.wait_for_work(task)
    dagster.kill("web")
    task.wait_for("Dagster does not answer")
    dagster.let_go()
    dagster.wait(lambda: len(dagster.noted("checked")) == 1)
    dagster.start("web")

    assert task.answer() == ["success"]
    assert dagster.runs(day) == ["SUCCESS"]
    assert len(dagster.noted("ended")) == 1


def test_a_run_outlives_its_code_server(tried: Tried, dagster: KillableDagster, day: str) -> None:
    """With the code server and its child killed, the run worker goes on by itself, and the task ends as it does."""
    task = tried("run")
    worker = dagster.wait_for_work(task)
    dagster.kill("code", *(pid for pid in dagster.below("code") if pid != worker))
    dagster.start("code")
    dagster.let_go()

    assert task.answer() == ["success"]
    assert dagster.runs(day) == ["SUCCESS"]
    assert len(dagster.noted("ended")) == 1


def test_a_run_that_dies_with_its_code_server_ends_with_its_tasks_time(
    tried: Tried, dagster: KillableDagster, day: str
) -> None:
    """Nobody tells Dagster that such a run is dead: the task's time-out ends it, and the retry runs the window."""
    task = tried("run")
    dagster.wait_for_work(task)
    dagster.kill("code", *dagster.below("code"))
    dagster.start("code")
    dagster.wait(dagster.is_loaded)
    assert dagster.runs(day) == ["STARTED"]

    task.process.send_signal(signal.SIGALRM)  # as the timer of execution_timeout does

    assert task.answer() == ["up_for_retry"]
    print(task.log())
    dagster.let_go()
    assert tried("run").answer() == ["success"]
    assert dagster.runs(day) == ["CANCELED", "SUCCESS"]
    assert len(dagster.noted("began")) == 2
    assert len(dagster.noted("ended")) == 1


def test_a_killed_run_worker_fails_its_task(tried: Tried, dagster: KillableDagster, day: str) -> None:
    """Dagster marks the run as failed, the task fails with that reason, and its retry writes once."""
    task = tried("run")
    os.kill(dagster.wait_for_work(task), signal.SIGKILL)

    assert task.answer() == ["up_for_retry"]
    print(task.log())
    dagster.let_go()
    assert tried("run").answer() == ["success"]
    assert dagster.runs(day) == ["FAILURE", "SUCCESS"]
    assert len(dagster.noted("ended")) == 1


def test_a_run_waits_in_the_queue_for_a_daemon(tried: Tried, dagster: KillableDagster, day: str) -> None:
    """A run that nobody takes from the queue, because the daemon was killed, begins once there is one again."""
    dagster.kill("daemon")
    task = tried("run")
    dagster.wait(lambda: dagster.runs(day) == ["QUEUED"])
    dagster.let_go()
    dagster.start("daemon")

    assert task.answer() == ["success"]
    assert dagster.runs(day) == ["SUCCESS"]
    assert len(dagster.noted("ended")) == 1
