"""Candidates of operators whose upstream tasks ran in Airflow alone: real Airflow below, real Dagster above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pendulum
import pytest

from dagster_defs.adapters.airflow.task_store import Attempt, WindowStore
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.parity import Side
from dagster_defs.windows import Window
from tests.components.conftest import Project
from tests.support.estate import AIRFLOW_PYTHON, Estate
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test
from tests.support.target_project import failure, logged, states

pytestmark = pytest.mark.airflow

DAG_FILE = """
import os
from datetime import datetime, timezone
from airflow import DAG
from airflow.decorators import task
from airflow.operators.bash import BashOperator

with DAG("tea", schedule="0 6 * * *", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc)):
    @task
    def count():
        return {"orders": 1}

    @task.branch
    def decide(counted):
        return "regular"

    ways = [
        BashOperator(
            task_id=way,
            bash_command="echo orders; echo {{ ti.xcom_pull('count')['orders'] }} >> $OUT/" + way + ".csv",
        )
        for way in ("express", "regular")
    ]
    decide(count()) >> ways
"""
DAY, RUN = "2024-02-01", "scheduled__2024-02-01T06:00:00+00:00"
START = pendulum.datetime(2024, 2, 1, 6)
WINDOW = Window(START, START.add(days=1))


@dataclass
class Room:
    """The DAG's project, and an Airflow that has run it for a day."""

    project: Project
    airflow: FakeAirflow

    def candidate(self, task_id: str) -> dg.ExecuteInProcessResult:
        return self.project.estate.run(f"shadow__tea__{task_id}", (DAY, DAY), must_succeed=False)

    def written(self, task_id: str) -> str:
        return (self.project.estate.root / "shadow" / f"{task_id}.csv").read_text()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tea")
    for folder in ("dags", "legacy_dags", "shadow", "data"):
        (root / folder).mkdir()
    (root / "dags" / "tea.py").write_text(DAG_FILE)
    return root


@pytest.fixture
def room(root: Path, airflow: FakeAirflow) -> Iterator[Room]:
    """Airflow has counted five orders, taken the regular way and skipped the other one."""
    airflow.add_run("tea", RUN, str(WINDOW.start), str(WINDOW.end))
    for task_id, state in (
        ("count", "success"),
        ("decide", "success"),
        ("regular", "success"),
        ("express", "skipped"),
    ):
        airflow.finish("tea", task_id, RUN, WINDOW.end.add(minutes=1), state=state)
    airflow.xcoms["tea", RUN, "count"] = {"return_value": {"orders": 5}}
    airflow.xcoms["tea", RUN, "decide"] = {
        "return_value": "regular",
        "skipmixin_key": {"followed": ["regular"]},
    }
    settings = {
        "PARITY_TASK_STORE": str(root / "store"),
        "PARITY_PROXIED_STATE": str(root / "cut"),
        "PARITY_AIRFLOW_PYTHON": str(AIRFLOW_PYTHON),
        "OUT": str(root / "data"),
    }
    with instance_for_test() as instance:
        project = Project(Estate(root, instance, airflow_url=airflow.url, more_settings=settings))
        project.declare("own", *map(declared, ("express", "regular")))
        project.load()
        for task_id in ("express", "regular"):
            observed: dict[str, Any] = {
                tags.SHOWN_RUN_ID: RUN,
                tags.SHOWN_TRY: 1,
                tags.SHOWN_STATE: "success",
            }
            instance.report_runless_asset_event(
                dg.AssetMaterialization(task_id, partition=DAY, metadata=observed)
            )
        yield Room(project, airflow)
    for file in (root / "shadow").iterdir():
        file.unlink()


def declared(task_id: str) -> tuple[str, dict[str, object]]:
    return "LegacyTask", {
        "unit": f"tea.{task_id}",
        "schedule": {"cron": "0 6 * * *", "start": "2024-01-01"},
        "airflow": {"dags_folder": "dags", "dag_file": "tea.py"},
        "env": {"candidate": {"OUT": "{{ env.PARITY_TASK_STORE }}/../shadow"}},
        "outputs": [{"key": task_id, "file": f"{task_id}.csv"}],
    }


def test_a_candidate_reads_what_airflow_has(room: Room) -> None:
    """Below a branch that has no candidate the way that Airflow took is taken, with the XComs of Airflow's run."""
    taken, other = room.candidate("regular"), room.candidate("express")

    assert states(taken) == ["success"], logged(room.project.estate, taken)
    assert room.written("regular") == "5\n"
    assert states(other) == ["skipped"]


def test_its_own_side_comes_first(room: Room) -> None:
    """An XCom of a task that has a candidate is the candidate's, and one of a task that Dagster ran is in its store."""
    store = room.project.estate.root / "store"
    for side, orders in ((Side.LEGACY, 6), (Side.CANDIDATE, 7)):
        room.airflow.finish("tea", "count", RUN, WINDOW.end, operator="ProxyToDagster", try_number=2)
        room.airflow.xcoms["tea", RUN, "count"] = {}
        WindowStore.of(store, side, "tea", WINDOW).keep(
            Unit("tea", "count"), Attempt("run", 0, record(orders))
        )
        result = room.candidate("regular")

        assert room.written("regular").endswith(f"{orders}\n"), logged(room.project.estate, result)
    for side in Side:
        (WindowStore.of(store, side, "tea", WINDOW).folder / "count.json").unlink()


def record(orders: int) -> dict[str, object]:
    xcom = {"key": "return_value", "value": {"json": f'{{"orders": {orders}}}'}, "timestamp": str(WINDOW.end)}
    one = {"map_index": -1, "state": "success", "error": "", "until": None, "xcoms": [xcom]}
    return {"state": "success", "skips": [], "instances": [{**one, "task_map": [], "reschedules": []}]}


def test_what_the_api_does_not_tell_is_not_guessed(room: Room) -> None:
    """Airflow shows an object as a text: the candidate fails with the task's name, instead of taking it for one."""
    room.airflow.xcoms["tea", RUN, "count"] = {"return_value": {"orders": "builtins.tuple@version=1([5])"}}

    result = room.candidate("regular")

    assert "the XComs of count are not at hand" in failure(result)
    assert "XCom return_value of count, which is no plain JSON" in logged(room.project.estate, result)


def test_an_airflow_that_refuses_is_named(room: Room) -> None:
    """Without an answer the candidate goes on with what Dagster has, and says why there is no more."""
    room.airflow.login_page = True

    result = room.candidate("regular")

    assert not result.success
    assert "left behind is not at hand" in logged(room.project.estate, result)
