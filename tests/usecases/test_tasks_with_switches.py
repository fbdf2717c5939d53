"""What a move sees of tasks with switches, whose operator tells nothing about who has run them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pendulum
import pytest

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.dagster.api import DagsterClient
from dagster_defs.adapters.store.files import FileStore
from dagster_defs.lifecycle import Owner, Unit
from dagster_defs.usecases.move.live import ENROLLED
from dagster_defs.usecases.move.orchestrators import LiveOrchestrators
from tests.support.fake_dagster import FakeDagster, Job
from tests.support.fakes import FakeAirflow

UNIT = Unit("taxi_daily", "dbt_daily")
NOW = datetime(2024, 3, 25, tzinfo=timezone.utc)
AT = pendulum.datetime(2024, 3, 11, 10)


@pytest.fixture
def world(airflow: FakeAirflow, dagster_server: FakeDagster, tmp_path: Path) -> LiveOrchestrators:
    dagster_server.jobs = [Job("taxi_daily__dbt_daily")]
    address = AirflowAddress(airflow.url, "admin", "admin")
    return LiveOrchestrators(FileStore(tmp_path), AirflowClient(address), DagsterClient(dagster_server.url))


@pytest.mark.parametrize("known_by", ["documentation", "tag"])
def test_a_task_with_a_switch_follows_its_mark_at_once(
    world: LiveOrchestrators, airflow: FakeAirflow, known_by: str
) -> None:
    """Airflow goes on serving the task's own operator. An Airflow that tells no documentation tells the DAG's tag."""
    if known_by == "tag":
        airflow.docs, airflow.dag_tags = None, {"taxi_daily": ["parity: enrolled"]}
    else:
        assert airflow.docs is not None
        airflow.docs["taxi_daily", "dbt_daily"] = f"Builds.\n\nRuns in Airflow, or in Dagster: {ENROLLED}."

    owners = []
    for owner in (Owner.DAGSTER, Owner.AIRFLOW):
        world.mark(UNIT, owner)
        owners.append(world.served_by(UNIT))

    assert owners == [Owner.DAGSTER, Owner.AIRFLOW]


@pytest.mark.parametrize(
    ("told", "made", "is_airflows"),
    [
        ("dagster", AT, False),
        ("airflow", AT, True),
        ("dagster", AT.subtract(minutes=1), True),  # of the try before
        (None, AT, True),  # it has not asked yet, or has no switch
    ],
)
def test_a_try_with_a_switch_tells_whose_it_is(
    world: LiveOrchestrators,
    airflow: FakeAirflow,
    told: str | None,
    made: pendulum.DateTime,
    is_airflows: bool,
) -> None:
    """What the switch has found out is in the try's XCom; until then the try counts as Airflow's."""
    airflow.finish("taxi_daily", "dbt_daily", "now", AT, state="running")
    airflow.xcoms_at = made.isoformat()
    if told:
        airflow.xcoms["taxi_daily", "now", "dbt_daily"] = {"parity_owner": told}

    assert bool(world.live_runs(UNIT, Owner.AIRFLOW)) is is_airflows


def test_durations_of_tries_that_dagster_made_are_not_airflows(
    world: LiveOrchestrators, airflow: FakeAirflow
) -> None:
    """Seven of Airflow's own, oldest first, whatever lies between."""
    for number in range(12):
        airflow.finish("taxi_daily", "dbt_daily", f"run_{number}", AT.add(days=number))
        airflow.tasks[-1]["duration"] = float(number)
        if number % 3 == 0:
            airflow.xcoms["taxi_daily", f"run_{number}", "dbt_daily"] = {"parity_owner": "dagster"}

    assert world.reader.live(UNIT, NOW).legacy_seconds == (2, 4, 5, 7, 8, 10, 11)
