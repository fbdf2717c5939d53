"""The test of an echo, before real web servers of Airflow 2.11 and 3.3: what it finds, keeps and leaves behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest

from dagster_defs.adapters.airflow.echo_client import EchoClient
from dagster_defs.adapters.dagster.echo_tests import kept_echo_tests
from dagster_defs.errors import EchoUntested, NoSuchUnit, NothingListens
from dagster_defs.lifecycle.echo_tests import EchoTest
from dagster_defs.settings import Settings
from dagster_defs.usecases.echoes import tested
from dagster_defs.windows import Window
from tests.components.conftest import Project
from tests.support.airflow_servers import VERSIONS, ServedAirflow, served
from tests.support.echoing import DAY, ECHO_DAGS, Echoes, at, exported, feeder
from tests.support.estate import Estate, copy_project, mirrors_of
from tests.support.instances import instance_for_test

pytestmark = pytest.mark.airflow

NOW = pendulum.datetime(2024, 3, 20)
LAST = {
    "dag_id": "feeder",
    "run_id": "scheduled__last",
    "logical_date": at(DAY).isoformat(),
    "start": at(DAY).isoformat(),
    "end": at("2024-03-10").isoformat(),
}


@pytest.fixture(scope="module", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServedAirflow, Path]]:
    folder = tmp_path_factory.mktemp("airflow")
    airflow = served(request.param, folder, ECHO_DAGS)
    airflow.write([LAST], {})
    inventory = exported(airflow.version, folder / "inventory.json")
    with airflow.serving():
        yield airflow, inventory


@pytest.fixture
def echoes(server: tuple[ServedAirflow, Path], tmp_path: Path) -> Iterator[Echoes]:
    airflow, inventory = server
    with instance_for_test() as instance:
        project = Project(Estate(copy_project(tmp_path / "project", code=False), instance))
        echoes = Echoes(project, airflow.url, inventory=tmp_path / "inventory.json")
        echoes.inventory.write_text(inventory.read_text())
        echoes.declare(*feeder())
        yield echoes


def tried(echoes: Echoes, monkeypatch: pytest.MonkeyPatch, dag_id: str = "feeder") -> EchoTest:
    root = echoes.project.estate.root
    monkeypatch.setattr(tested, "load_mirrors", lambda _: mirrors_of(echoes.project.defs_folder, root))
    named = {
        "AIRFLOW_URL": echoes.airflow_url,
        "AIRFLOW_USER": "admin",
        "AIRFLOW_PASSWORD": "admin",
        "PARITY_INVENTORY": str(echoes.inventory),
        "PARITY_PROXIED_STATE": str(root / "proxied_state"),
        "DAGSTER_HOME": echoes.instance.root_directory,
    }
    return tested.try_echo(Settings(named, root), dag_id, NOW)


def runs(echoes: Echoes) -> list[str]:
    return [run.run_id for run in echoes.client.dag_runs("feeder")]


def kept(echoes: Echoes) -> Any:
    return kept_echo_tests(Path(echoes.instance.root_directory), ["feeder"])


def changed(echoes: Echoes, *dag_ids: str, without: str = "") -> None:
    """The inventory has only these DAGs, and not that task."""
    document = json.loads(echoes.inventory.read_text())
    document["dags"] = [dag for dag in document["dags"] if dag["dag_id"] in dag_ids]
    for dag in document["dags"]:
        dag["tasks"] = [task for task in dag["tasks"] if task["task_id"] != without]
    echoes.inventory.write_text(json.dumps(document))


def test_what_was_found_is_kept(echoes: Echoes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window of Airflow's last run, and whom it is for; of the run that was made, nothing is left, nor of one that
    a broken test has left."""
    ahead = at(DAY).add(years=tested.YEARS)
    echoes.client.put_run("feeder", "parity_echo__test", Window(ahead, ahead.add(days=1)))

    test = tried(echoes, monkeypatch)

    assert (test.window, len(test.heard_by), test.refused) == (DAY, 6, {})
    assert kept(echoes) == {"feeder": test}
    assert runs(echoes) == ["scheduled__last"]


def test_a_task_that_the_inventory_does_not_know_is_found(
    echoes: Echoes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would set its state; nothing is kept or left."""
    changed(echoes, "feeder", "waiter", "consumer", "started", without="last")

    with pytest.raises(EchoUntested, match="Airflow and the inventory differ in last"):
        tried(echoes, monkeypatch)
    assert kept(echoes) == {}
    assert runs(echoes) == ["scheduled__last"]


def test_a_failure_leaves_no_run_behind(echoes: Echoes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is that fails."""

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("cut off")

    monkeypatch.setattr(EchoClient, "put_states", broken)

    with pytest.raises(OSError, match="cut off"):
        tried(echoes, monkeypatch)
    assert runs(echoes) == ["scheduled__last"]


def test_a_dag_that_nobody_waits_for_needs_no_test(echoes: Echoes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, and so is a DAG without a mirror."""
    changed(echoes, "feeder", without="start")

    with pytest.raises(NothingListens, match="nothing in Airflow listens to feeder"):
        tried(echoes, monkeypatch)
    with pytest.raises(NoSuchUnit):
        tried(echoes, monkeypatch, "nowhere")


def test_another_date_is_found(echoes: Echoes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of the mirror that are not Airflow's would be told at dates that nobody asks about."""
    units = feeder()
    for _, attributes in units:
        attributes["schedule"] = {"cron": "0 7 * * *", "start": "2024-03-01"}
    echoes.declare(*units)

    with pytest.raises(EchoUntested, match="the echo of feeder was not tested"):
        tried(echoes, monkeypatch)
    assert kept(echoes) == {}
