"""A proxied run while the servers around it are killed, each with SIGKILL and by its process id: real ones, all."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from dagster_defs.adapters.processes.supervisor import Child, Supervisor, free_port
from dagster_defs.settings import Settings
from demo.local_airflow import LocalAirflow
from demo.postgres import Postgres, running_postgres
from tests.legacy_dags.handover.conftest import Started, StartInAirflow
from tests.support.dagster_servers import KillableDagster, killable_dagster
from tests.support.estate import ROOT

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
    """`local`: its settings; `tasks`: what its tasks have besides. It has no process of its own until a test starts
    one with `supervisor`."""

    local: LocalAirflow
    tasks: Mapping[str, str]
    postgres: Postgres
    supervisor: Supervisor

    @property
    def settings(self) -> dict[str, str]:
        airflows = {name: value for name, value in self.local.env.items() if name.startswith("AIRFLOW_")}
        return {**airflows, **self.tasks}

    def back_up(self) -> None:
        self._do("create database backup template airflow")

    def restore(self) -> None:
        """The database as it was when it was backed up, its counters too."""
        self._do("drop database airflow with (force)")
        self._do("create database airflow template backup")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return self._do(query, "airflow")

    def _do(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with closing(
            psycopg2.connect(host=self.postgres.socket_dir, user="postgres", dbname=database)
        ) as line:
            line.autocommit = True  # a database is not made within a transaction
            with line.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def start_scheduler(self, life: str) -> Child:
        env = {
            **self.local.env,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            # In seconds what takes minutes: a scheduler is taken for dead, and its tasks are looked for.
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
        }
        return self.supervisor.start(f"scheduler-{life}", [str(AIRFLOW), "scheduler"], env=env)

    def end_all(self) -> None:
        """Tasks have process groups of their own, and what the killed has left has no parent."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("AIRFLOW_HOME") == str(self.local.home):
                    process.kill()


@pytest.fixture(scope="module")
def airflow_folder() -> Iterator[Path]:
    """PostgreSQL, started by root, is another user's, who must get there."""
    with tempfile.TemporaryDirectory(prefix="parity-killed-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def airflow(airflow_folder: Path, server: KillableDagster) -> Iterator[Airflow]:
    """Airflow's database, in PostgreSQL, with the task marked, under the name that the DAG will have, too."""
    folder = airflow_folder
    marks = folder / "marks"
    marks.mkdir()
    for dag_id in ("nightly", "renamed"):
        (marks / f"{dag_id}.yaml").write_text("tasks:\n- {id: build, proxied: true}\n")
    tasks = {
        "PYTHONPATH": str(ROOT / "legacy_dags"),
        "PARITY_PROXIED_STATE": str(marks),
        "DAGSTER_URL": server.url,
    }
    dags = Path(__file__).with_name("killed_dags")
    with running_postgres(folder / "postgres", ("airflow",)) as postgres, Supervisor(folder) as supervisor:
        local = LocalAirflow(
            folder / "airflow", free_port(), postgres, Settings.from_process().with_variables(tasks), dags
        )
        supervisor.run("migrate", [str(AIRFLOW), "db", "migrate"], env=local.env)
        airflow = Airflow(local, tasks, postgres, supervisor)
        airflow.back_up()
        yield airflow
        airflow.end_all()


@pytest.fixture
def day() -> str:
    """A day that no other test uses."""
    return next(DAYS)


Tried = Callable[..., Started]


@pytest.fixture
def tried(start_in_airflow: StartInAirflow, airflow: Airflow, day: str) -> Tried:
    def start(*actions: str, dag: str = "nightly", **settings: str) -> Started:
        document = {"dag": dag, "task": "build", "day": day, "do": actions, "kill_seconds": 1}
        return start_in_airflow("run_tasks.py", document, DAG_ID=dag, **{**airflow.settings, **settings})

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
    assert "ended with AirflowTaskTimeout" in task.log()
    dagster.let_go()
    assert tried("run").answer() == ["success"]
    assert dagster.runs(day) == ["CANCELED", "SUCCESS"]
    assert len(dagster.noted("began")) == 2
    assert len(dagster.noted("ended")) == 1


def test_nothing_runs_beside_a_run_that_cannot_be_ended(
    tried: Tried, dagster: KillableDagster, day: str
) -> None:
    """The code server that could end a run is dead, the run is not, nobody monitors: retries launch nothing.

    When it has ended after all, what it did counts.
    """
    task = tried("run")
    worker = dagster.wait_for_work(task)
    dagster.kill("daemon")
    dagster.kill("code", *(pid for pid in dagster.below("code") if pid != worker))
    dagster.start("code")
    dagster.wait(dagster.is_loaded)
    task.process.send_signal(signal.SIGALRM)
    assert task.answer() == ["up_for_retry"]
    assert "was told to end, and has not yet: CANCELING" in task.log()

    retried = tried("run", PATIENCE="1")

    assert retried.answer() == ["up_for_retry"]
    assert "may still write: nothing was launched" in retried.log()
    dagster.let_go()
    dagster.wait(lambda: dagster.runs(day) == ["SUCCESS"])
    assert tried("run").answer() == ["success"]
    assert dagster.runs(day) == ["SUCCESS"]
    assert len(dagster.noted("began")) == len(dagster.noted("ended")) == 1


def test_a_killed_run_worker_fails_its_task(tried: Tried, dagster: KillableDagster, day: str) -> None:
    """Dagster marks the run as failed, the task fails with that reason, and its retry writes once."""
    task = tried("run")
    os.kill(dagster.wait_for_work(task), signal.SIGKILL)

    assert task.answer() == ["up_for_retry"]
    assert "ended as FAILURE" in task.log()
    assert "SIGKILL" in task.log()
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


def test_a_renamed_dag_does_not_touch_the_run_of_its_old_name(
    tried: Tried, dagster: KillableDagster, day: str
) -> None:
    """Under its new name, which nothing mirrors, the task says so and launches nothing; the old run goes on."""
    old = tried("run")
    dagster.wait_for_work(old)

    new = tried("run", dag="renamed")

    assert new.answer() == ["up_for_retry"]
    assert "has the job renamed__build: is the unit mirrored" in new.log()
    dagster.let_go()
    assert old.answer() == ["success"]
    assert dagster.runs(day) == ["SUCCESS"]


def test_a_restored_airflow_waits_for_the_run_that_it_has_forgotten(
    tried: Tried, dagster: KillableDagster, airflow: Airflow, day: str
) -> None:
    """With a backup from before the DAG run, whose ids come again: one run too many, and not beside the first."""
    first = tried("run")
    dagster.wait_for_work(first)
    first.process.kill()
    first.process.wait(30)
    airflow.restore()

    again = tried("run")
    again.wait_for("its input is old")
    assert len(dagster.noted("began")) == 1
    dagster.let_go()

    assert again.answer() == ["success"]
    assert dagster.runs(day) == ["SUCCESS", "SUCCESS"]


def test_a_try_that_was_given_up_leaves_the_run_to_the_next(
    tried: Tried, dagster: KillableDagster, day: str
) -> None:
    """A worker that was lost turns up again, and Airflow ends its task: not the run, which a later try follows."""
    lost = tried("run")
    dagster.wait_for_work(lost)
    later = tried("lose", "run")
    later.wait_for("follow the live run")

    lost.process.send_signal(signal.SIGTERM)

    lost.wait_for("is left to a later try")
    dagster.let_go()
    assert later.answer() == ["up_for_retry", "success"]
    assert dagster.runs(day) == ["SUCCESS"]


def test_a_scheduler_that_comes_back_loses_no_run(dagster: KillableDagster, airflow: Airflow) -> None:
    """It forgets the task that its dead predecessor had started: the next try follows the run; it is the only one."""
    airflow.restore()
    runs_before = len(dagster.runs(""))
    scheduler = airflow.start_scheduler("first")
    dagster.wait_for_work()
    scheduler.process.kill()
    scheduler.process.wait(30)

    airflow.start_scheduler("second")

    try_and_state = "select try_number, state from task_instance where task_id = 'build'"
    dagster.wait(lambda: airflow.ask(try_and_state) == [(2, "running")])
    dagster.let_go()
    dagster.wait(lambda: airflow.ask("select state from dag_run") == [("success",)])
    assert airflow.ask(try_and_state) == [(2, "success")]
    assert dagster.runs("")[runs_before:] == ["SUCCESS"]
    assert len(dagster.noted("began")) == len(dagster.noted("ended")) == 1
