"""What the last line of a DAG file does to the DAGs, as Airflow's own DagBag sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.airflow import client
from dagster_defs.adapters.store import channels, ledger, proxied_state
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.usecases.move import live
from tests.legacy_dags.handover.conftest import InAirflow

pytestmark = pytest.mark.airflow

UNITS = [
    Unit("taxi_daily", "dbt_daily"),
    Unit("taxi-daily.v2", "group.dbt daily"),
    Unit("Steuer_Täglich", "größe"),
    Unit("2024", "_x_"),
]
DAILY = "taxi_daily.dbt_daily"


@pytest.fixture(scope="module")
def unmarked(in_airflow: InAirflow) -> dict[str, Any]:
    described: dict[str, Any] = in_airflow("describe_handover.py", [[u.dag_id, u.task_id] for u in UNITS])
    return described


@pytest.fixture(scope="module")
def marked(in_airflow: InAirflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same with one unit marked as proxied and one marked as not."""
    folder = tmp_path_factory.mktemp("marks")
    write_mark(folder, Unit.parse(DAILY), proxied=True)
    write_mark(folder, Unit("taxi_daily", "dbt_zones"), proxied=False)
    described: dict[str, Any] = in_airflow("describe_handover.py", [], PARITY_PROXIED_STATE=str(folder))
    return described


def test_both_sides_name_a_job_alike(unmarked: dict[str, Any]) -> None:
    """The proxy and the mirror derive the same job name from a unit, whatever characters it has."""
    assert unmarked["jobs"] == {str(unit): unit.identifier for unit in UNITS}


def test_both_sides_name_the_tags_alike(unmarked: dict[str, Any]) -> None:
    """The tags that travel between proxy and run have one name on both sides."""
    assert unmarked["tags"] == {name: getattr(tags, name.upper()) for name in unmarked["tags"]}
    assert len(unmarked["tags"]) == 15


def test_both_sides_use_the_same_words(unmarked: dict[str, Any]) -> None:
    """By which a move knows a task with a switch, and the switch what a move has told it."""
    assert unmarked["words"] == {
        "enrolled": live.ENROLLED,
        "enrolled_tag": live.ENROLLED_TAG,
        "owner_key": client.OWNER_KEY,
        "run_key": client.RUN_KEY,
        "dagsters": client.DAGSTERS,
        "proxy": client.PROXY,
        "variable": channels.VARIABLE,
        "channels": list(channels.CHANNELS),
        "set_up": proxied_state.SET_UP,
        "ledger": ledger.NAME,
    }


def test_the_dags_need_no_dagster(unmarked: dict[str, Any]) -> None:
    """The DAGs parse, without an import error, where neither dagster nor dagster_defs can be imported."""
    assert unmarked["errors"] == {}
    assert unmarked["dagster_is_importable"] is False
    assert unmarked["dagster_defs_is_importable"] is False


def test_without_a_mark_nothing_changes(unmarked: dict[str, Any]) -> None:
    """No task is a proxy as long as no mark says so."""
    assert "ProxyToDagster" not in unmarked["operators"].values()
    assert (
        unmarked["operators"].items()
        >= {
            "taxi_ingest.load_zones": "PythonOperator",
            "taxi_ingest.load_trips": "PythonOperator",
            "taxi_daily.dbt_zones": "BashOperator",
            "taxi_daily.dbt_daily": "BashOperator",
            "taxi_daily.export_daily": "PythonOperator",
        }.items()
    )


def test_a_mark_replaces_just_its_task(unmarked: dict[str, Any], marked: dict[str, Any]) -> None:
    """Only the task that is marked as proxied becomes one; a mark that says no changes nothing."""
    assert marked["errors"] == {}
    assert marked["operators"] == {**unmarked["operators"], DAILY: "ProxyToDagster"}


def test_a_dag_keeps_its_shape(unmarked: dict[str, Any], marked: dict[str, Any]) -> None:
    """A proxy has its task's place in the DAG, and its retries, pool, owner and failure callback."""
    assert marked["downstream"] == unmarked["downstream"]
    assert marked["settings"] == unmarked["settings"]


def test_a_folder_that_is_not_there_is_no_mark(in_airflow: InAirflow, tmp_path: Path) -> None:
    """Without a folder of marks the DAGs are as they were."""
    described = in_airflow("describe_handover.py", [], PARITY_PROXIED_STATE=str(tmp_path / "none"))

    assert described["errors"] == {}
    assert "ProxyToDagster" not in described["operators"].values()
