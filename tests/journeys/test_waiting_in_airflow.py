"""A DAG is retired while things in a real Airflow wait for it; Dagster runs its window, and they go on, once each.

The process that echoes is killed between the end of the window and its echo, and between each call and its note.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest

from dagster_defs.adapters.airflow.echo_client import EchoClient
from dagster_defs.adapters.dagster.echo_tests import kept_echo_tests
from dagster_defs.components.sensors import echo_turn
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.echo_place import PREFIX, STARTED
from dagster_defs.lifecycle.waiters import Fed, Waiter
from dagster_defs.settings import Settings
from dagster_defs.usecases.echoes import tested
from dagster_defs.usecases.echoes.tell import Echo
from dagster_defs.usecases.move.facts import untold
from dagster_defs.windows import Window
from tests.components.conftest import Project
from tests.support.airflow_servers import VERSIONS
from tests.support.echo_airflow import EchoAirflow, echo_airflow
from tests.support.echoing import DAY, Echoes, at, exported, feeder
from tests.support.estate import Estate, copy_project, mirrors_of
from tests.support.instances import instance_for_test

pytestmark = [pytest.mark.journey, pytest.mark.airflow, pytest.mark.timeout(1800)]

WAITERS = ("waiter.on_all", "waiter.on_group", "waiter.on_last", "waiter.on_task")
FED = ("consumer (which file://lake/a starts)", "started (which feeder.start starts)")


@pytest.fixture(scope="module", params=VERSIONS)
def airflow(request: pytest.FixtureRequest) -> Iterator[EchoAirflow]:
    # Not pytest's own folder, which is closed to others: started by root, PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="parity-echoes-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with echo_airflow(request.param, Path(folder)) as airflow:
            for dag_id in ("waiter", "consumer", "started", "feeder"):
                airflow.client.set_paused(dag_id, paused=False)
            airflow.wait("Airflow's own run", lambda: airflow.ended("feeder") == ["success"])
            airflow.wait(
                "what it starts", lambda: bool(airflow.ended("started") and airflow.ended("consumer"))
            )
            yield airflow


@pytest.fixture(scope="module")
def echoes(airflow: EchoAirflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echoes]:
    folder = tmp_path_factory.mktemp("estate")
    inventory = exported(airflow.version, folder / "inventory.json")
    with instance_for_test() as instance:
        project = Project(Estate(copy_project(folder / "project", code=False), instance))
        echoes = Echoes(project, airflow.url, inventory=inventory)
        echoes.declare(*feeder())
        yield echoes


def test_the_echo_is_tested_before_the_dag_is_retired(
    echoes: Echoes, airflow: EchoAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Airflow runs the DAG: nothing is started, nothing is left, and the gate knows whom it is for."""
    root, begun = echoes.project.estate.root, airflow.begun("feeder")
    named = {"AIRFLOW_URL": airflow.url, "AIRFLOW_USER": "admin", "AIRFLOW_PASSWORD": "admin"}
    named |= {"PARITY_INVENTORY": str(echoes.inventory), "DAGSTER_HOME": echoes.instance.root_directory}
    named["PARITY_PROXIED_STATE"] = str(root / "proxied_state")
    monkeypatch.setattr(tested, "load_mirrors", lambda _: mirrors_of(echoes.project.defs_folder, root))

    test = tested.try_echo(Settings(named, root), "feeder", pendulum.now("UTC"))

    assert kept_echo_tests(Path(echoes.instance.root_directory), ["feeder", "other"]) == {"feeder": test}
    assert {*test.heard_by} == {*WAITERS, *FED}
    assert (test.starts, test.refused) == ((Unit("feeder", "start"),), {})
    assert test.airflow.startswith(airflow.version)
    waiting: list[Waiter] = [
        Unit("waiter", "on_all"),
        Fed("consumer", "file://lake/a"),
        Unit("new", "sensor"),
    ]
    assert untold(waiting, test) == [Unit("new", "sensor")]
    assert untold(waiting, None) == waiting
    assert [run.run_id for run in airflow.client.dag_runs("feeder") if run.run_id.startswith(PREFIX)] == []
    assert airflow.begun("feeder") == begun


def test_what_waits_goes_on_once(echoes: Echoes, airflow: EchoAirflow) -> None:
    """Sensors for a task, a marker, a group and the whole DAG, the consumer of its dataset, and the DAG that it starts;
    no task of the retired DAG is started in Airflow."""
    airflow.client.set_paused("feeder", paused=True)
    begun, consumed = airflow.begun("feeder"), len(airflow.ended("consumer"))
    window = Window(at(DAY), at(DAY).add(days=1))
    run = airflow.client.put_run("waiter", "waits", window)
    airflow.wait("a sensor that has looked", lambda: _looked(airflow, run.run_id))
    echoes.retire("feeder.load", "feeder.group.inner")
    echoes.run_job("feeder", day=DAY)

    for owner, name in ((Echo, "tell"), (EchoClient, "put_run"), (EchoClient, "put_event"), (EchoClient, "start"),
                        (echo_turn, "note_told")):  # fmt: skip
        _killed(echoes, owner, name, first=name in ("tell", "note_told"))
    assert "Airflow was told" in echoes.look()

    airflow.wait("the sensors", lambda: "waits" in _ended(airflow, "waiter"))
    assert _ended(airflow, "waiter")["waits"] == "success"
    airflow.wait("the consumer", lambda: len(airflow.ended("consumer")) > consumed)
    airflow.wait(
        "the started DAG", lambda: f"started.first {_today(airflow)} {DAY}" in airflow.begun("started")
    )
    assert [conf for conf in echoes.started() if conf == {"day": DAY}] == [{"day": DAY}]
    assert echoes.events() == 1
    assert len(airflow.ended("consumer")) == consumed + 1
    assert airflow.begun("feeder") == begun


def test_a_dag_that_comes_back_does_not_run_what_was_echoed(airflow: EchoAirflow) -> None:
    """Airflow's schedule finds that the window has a run, and goes on to the next one."""
    start = airflow.client.next_window_start("returns")
    assert start is not None
    run = airflow.client.put_run("returns", f"{PREFIX}{start.isoformat()}", Window(start, start.add(days=1)))
    airflow.client.put_states(run, {"runs": "success"}, succeeded=True)

    airflow.client.set_paused("returns", paused=False)

    airflow.wait("the next window", lambda: _is_past(airflow, start))
    assert [run.run_id for run in airflow.client.dag_runs("returns")] == [f"{PREFIX}{start.isoformat()}"]
    assert airflow.begun("returns") == []


def _is_past(airflow: EchoAirflow, start: pendulum.DateTime) -> bool:
    following = airflow.client.next_window_start("returns")
    return following is not None and following > start


def _looked(airflow: EchoAirflow, run_id: str) -> bool:
    tasks = airflow.client.task_instances("waiter", run_id)
    return sum(task.state == "up_for_reschedule" for task in tasks) >= 2


def _ended(airflow: EchoAirflow, dag_id: str) -> dict[str, str]:
    runs = airflow.client.dag_runs(dag_id)
    return {run.run_id: run.state for run in runs if run.state in ("success", "failed")}


def _today(airflow: EchoAirflow) -> str:
    """The date of the started run: that of the end of Dagster's run."""
    [run] = (each for each in airflow.client.dag_runs("started") if each.run_id.startswith(STARTED))
    assert run.occasion is not None
    assert run.occasion.logical_date is not None
    return run.occasion.logical_date.to_date_string()


def _killed(echoes: Echoes, owner: Any, name: str, *, first: bool) -> None:
    """A tick in a process of its own, which is killed before (`first`) or after that call; its cursor is lost."""
    child = os.fork()
    if child == 0:
        own = getattr(owner, name)

        def then_killed(*arguments: Any, **named: Any) -> None:
            if not first:
                own(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, then_killed)
        try:
            echoes.look()
        finally:
            os._exit(0)  # it was not killed: what should have been called was not
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"{name} was not called"
