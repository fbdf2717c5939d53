"""What a real Airflow makes of the legacy DAGs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).resolve().parents[2]
AIRFLOW_PYTHON = ROOT / ".venv-airflow" / "bin" / "python"


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Describes the DAGs folder as Airflow sees it, with these settings and without Dagster's environment."""
    home = tmp_path_factory.mktemp("airflow")

    def describe(**settings: str) -> dict[str, Any]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "AIRFLOW"))
        }
        done = subprocess.run(
            [str(AIRFLOW_PYTHON), str(Path(__file__).with_name("describe_dags.py"))],
            env={
                **kept,
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "legacy_dags"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                # An empty folder: no unit is proxied, whatever the estate's own state is.
                "PARITY_PROXIED_STATE": str(home),
                **settings,
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    return describe


@pytest.fixture(scope="module")
def airflow_view(described: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return described()


def test_both_dags_import_and_nothing_else(airflow_view: dict[str, Any]) -> None:
    """Airflow finds two DAGs without an import error; include/, handover/ and proxied_state/ are no DAGs."""
    assert airflow_view["errors"] == {}
    assert set(airflow_view["dags"]) == {"taxi_ingest", "taxi_daily"}


def test_the_schedules_are_new_yorks(airflow_view: dict[str, Any]) -> None:
    """Days start at six in the morning and months at midnight, by New York's clock, and both catch up."""
    dags = airflow_view["dags"]

    assert dags["taxi_daily"]["schedule"] == "0 6 * * *"
    assert dags["taxi_ingest"]["schedule"] == "0 0 1 * *"
    assert {dag["timezone"] for dag in dags.values()} == {"America/New_York"}
    assert all(dag["catchup"] and dag["max_active_runs"] == 1 for dag in dags.values())


def test_the_default_calendar_is_what_is_generated(airflow_view: dict[str, Any]) -> None:
    """Each generated month has its ingest and each of its days its run, none more."""
    daily, ingest = airflow_view["dags"]["taxi_daily"], airflow_view["dags"]["taxi_ingest"]

    assert (ingest["runs"], ingest["first"][:7], ingest["last"][:7]) == (6, "2023-11", "2024-04")
    assert (daily["runs"], daily["first"][:10], daily["last"][:10]) == (182, "2023-11-01", "2024-04-30")


def test_a_short_calendar_ends_by_itself(described: Callable[..., dict[str, Any]]) -> None:
    """With a first and a last day there is one run for each of them, and the whole month is ingested."""
    dags = described(TAXI_FIRST_DAY="2024-03-09", TAXI_LAST_DAY="2024-03-11")["dags"]

    assert (dags["taxi_daily"]["runs"], dags["taxi_daily"]["first"], dags["taxi_daily"]["last"]) == (
        3,
        "2024-03-09T11:00:00+00:00",
        "2024-03-11T10:00:00+00:00",
    )
    assert (dags["taxi_ingest"]["runs"], dags["taxi_ingest"]["first"][:7]) == (1, "2024-03")


def test_the_tasks_run_in_order(airflow_view: dict[str, Any]) -> None:
    """Zones come before days, days before their export; zones are loaded before trips."""
    order = {
        task_id: task["downstream"]
        for dag in airflow_view["dags"].values()
        for task_id, task in dag["tasks"].items()
    }

    assert order == {
        "dbt_zones": ["dbt_daily"],
        "dbt_daily": ["export_daily"],
        "export_daily": [],
        "load_zones": ["load_trips"],
        "load_trips": [],
    }


def test_the_commands_are_the_teams(airflow_view: dict[str, Any]) -> None:
    """The text of commands and arguments is the contract that the mirror is proved against."""
    daily, ingest = (airflow_view["dags"][dag_id]["tasks"] for dag_id in ("taxi_daily", "taxi_ingest"))

    assert daily["dbt_zones"]["command"] == "dbt build --select tag:zones"
    assert daily["dbt_daily"]["command"] == (
        "dbt build --select tag:daily --vars "
        """'{"min_date": "{{ data_interval_start | ds }}", "max_date": "{{ data_interval_end | ds }}"}'"""
    )
    assert daily["export_daily"]["op_kwargs"] == {
        "day": "{{ data_interval_start | ds }}",
        "next_day": "{{ data_interval_end | ds }}",
        "side": "legacy",
    }
    assert ingest["load_trips"]["op_kwargs"] == {
        "month": "{{ data_interval_start.strftime('%Y-%m') }}",
        "side": "legacy",
    }


def test_the_dags_are_kept_as_real_ones(airflow_view: dict[str, Any]) -> None:
    """Every task has an owner, retries and a failure callback; what writes DuckDB shares a pool."""
    for dag in airflow_view["dags"].values():
        assert dag["documented"]
        assert dag["tags"]
        for task in dag["tasks"].values():
            assert task["owner"] == "data-platform"
            assert task["retries"] == 2
            assert task["has_callback"]
    assert {task["pool"] for task in airflow_view["dags"]["taxi_daily"]["tasks"].values()} == {"duckdb"}
