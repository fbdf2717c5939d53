"""`--wait`: the first run after a move is found, and followed to its end."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pendulum
import pytest

from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.moves import Planned
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.move import next_run
from dagster_defs.usecases.move.next_run import follow_next
from tests.support.fake_dagster import FakeDagster
from tests.support.fakes import FakeAirflow

UNIT = Unit("taxi_daily", "dbt_daily")
SINCE = datetime(2024, 3, 11, 10, tzinfo=timezone.utc)
AFTER = pendulum.datetime(2024, 3, 11, 10, 5)


@pytest.fixture
def said(
    airflow: FakeAirflow, dagster_server: FakeDagster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What the command has told of; both servers are there, and looked at without pauses."""
    monkeypatch.setenv("AIRFLOW_URL", airflow.url)
    monkeypatch.setenv("AIRFLOW_USER", "admin")
    monkeypatch.setenv("AIRFLOW_PASSWORD", "admin")
    monkeypatch.setenv("DAGSTER_URL", dagster_server.url)
    monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path))
    monkeypatch.setattr(next_run, "PAUSE", 0.01)
    return []


def moved(move: Move, from_: Stage) -> Planned:
    return Planned(UNIT, move, from_, TRANSITIONS[from_, move], ())


@pytest.mark.parametrize(
    ("move", "from_"), [(Move.CUTOVER, Stage.SHADOWED), (Move.ROLLBACK, Stage.CUT_OVER)], ids=str
)
def test_airflows_next_task_is_followed(
    said: list[str], airflow: FakeAirflow, move: Move, from_: Stage
) -> None:
    """After a cutover or a rollback it is Airflow's first task that begins after the move: not one of before, and
    not the ones that follow it."""
    airflow.finish("taxi_daily", "dbt_daily", "before", AFTER.subtract(hours=1))
    airflow.finish("taxi_daily", "dbt_daily", "later", AFTER.add(hours=1), state="failed")
    airflow.finish("taxi_daily", "dbt_zones", "first", AFTER, state="failed")
    airflow.finish("taxi_daily", "dbt_daily", "first", AFTER, state="running")

    def end(lists: int) -> None:
        if lists == 4:
            airflow.finish("taxi_daily", "dbt_daily", "first", AFTER, try_number=1)

    airflow.meanwhile = end

    assert follow_next(Settings.from_process(), moved(move, from_), SINCE, said.append) == {
        "unit": str(UNIT), "run": "first", "state": "success",
    }  # fmt: skip
    assert said == [
        f"{UNIT}: waiting for its next run",
        f"{UNIT}: Airflow's first: running, try 1",
        f"{UNIT}: Airflow's first: success, try 1",
    ]


def test_a_task_that_is_retried_is_not_over(said: list[str], airflow: FakeAirflow) -> None:
    """A failed try that Airflow will repeat is waited for; the last one counts."""
    airflow.finish("taxi_daily", "dbt_daily", "first", AFTER, state="up_for_retry")

    def end(lists: int) -> None:
        if lists == 3:
            airflow.finish(
                "taxi_daily", "dbt_daily", "first", AFTER.add(minutes=1), state="failed", try_number=2
            )

    airflow.meanwhile = end

    assert (
        follow_next(Settings.from_process(), moved(Move.CUTOVER, Stage.SHADOWED), SINCE, said.append)["state"]
        == "failed"
    )


@pytest.mark.parametrize(
    ("move", "from_", "tags"),
    [
        (Move.SHADOW, Stage.OBSERVED, {"parity_unit": str(UNIT), "parity_side": "candidate"}),
        (Move.RETIRE, Stage.CUT_OVER, {"parity_dag": "taxi_daily"}),
    ],
    ids=["candidate", "dag"],
)
def test_dagsters_next_run_is_followed(
    said: list[str], dagster_server: FakeDagster, move: Move, from_: Stage, tags: dict[str, str]
) -> None:
    """After `shadow` it is the candidate's first run, after a retirement the DAG's: the oldest one since the move."""
    for run_id, began in (("latest", 7200), ("next", 60), ("before", -60)):
        dagster_server.list_run(run_id, "FAILURE" if run_id == "next" else "SUCCESS", 9, **tags)
        dagster_server.listed[-1]["startTime"] = SINCE.timestamp() + began

    outcome = follow_next(Settings.from_process(), moved(move, from_), SINCE, said.append)

    assert outcome == {"unit": str(UNIT), "run": "next", "state": "failure"}
    assert f"{UNIT}: Dagster run {dagster_server.url}/runs/next: failure" in said


def test_a_server_that_is_away_is_asked_again(said: list[str], dagster_server: FakeDagster) -> None:
    """A login page, or no answer, is told once and does not end the waiting."""
    dagster_server.login_page = True
    dagster_server.list_run("next", "SUCCESS", 9, parity_dag="taxi_daily")
    dagster_server.listed[-1]["startTime"] = SINCE.timestamp() + 60

    def say(text: str) -> None:
        said.append(text)
        dagster_server.login_page = len(said) < 2

    assert (
        follow_next(Settings.from_process(), moved(Move.RETIRE, Stage.CUT_OVER), SINCE, say)["state"]
        == "success"
    )
    assert f"Dagster at {dagster_server.url} gave an unexpected answer" in said[1]
