"""What a real Airflow makes of the legacy DAGs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.estate import AIRFLOW_PYTHON, ROOT

pytestmark = pytest.mark.airflow

SCHEDULES = {
    "taxi_ingest": "0 0 1 * *",
    "taxi_daily": "0 6 * * *",
    "taxi_hourly": "0 * * * *",
    "taxi_weekly": "0 7 * * 1",
    "taxi_borough_manhattan": "30 6 * * *",
    "taxi_borough_queens": "30 6 * * *",
    "taxi_borough_brooklyn": "30 6 * * *",
}


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
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    return describe


@pytest.fixture(scope="module")
def airflow_view(described: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return described()


def test_the_dags_import_and_nothing_else(airflow_view: dict[str, Any]) -> None:
    """Airflow finds the DAGs without an import error; include/, handover/ and proxied_state/ are no DAGs."""
    assert airflow_view["errors"] == {}
    assert set(airflow_view["dags"]) == {*SCHEDULES, "taxi_adhoc"}


def test_the_schedules_are_new_yorks(airflow_view: dict[str, Any]) -> None:
    """Every schedule goes by New York's clock and catches up, one run at a time."""
    dags = airflow_view["dags"]

    assert {dag_id: dags[dag_id]["schedule"] for dag_id in SCHEDULES} == SCHEDULES
    assert {dag["timezone"] for dag in dags.values()} == {"America/New_York"}
    assert all(dags[dag_id]["catchup"] and dags[dag_id]["max_active_runs"] == 1 for dag_id in SCHEDULES)


def test_the_default_calendar_is_what_is_generated(airflow_view: dict[str, Any]) -> None:
    """Each generated month has its ingest and each of its days its run, none more."""
    daily, ingest = airflow_view["dags"]["taxi_daily"], airflow_view["dags"]["taxi_ingest"]

    assert (ingest["runs"], ingest["first"][:7], ingest["last"][:7]) == (6, "2023-11", "2024-04")
    assert (daily["runs"], daily["first"][:10], daily["last"][:10]) == (182, "2023-11-01", "2024-04-30")
    hourly, weekly = airflow_view["dags"]["taxi_hourly"], airflow_view["dags"]["taxi_weekly"]
    # An hour twice and an hour never: as many hours as days times 24.
    assert (hourly["runs"], hourly["first"], hourly["last"]) == (
        182 * 24,
        "2023-11-01T04:00:00+00:00",
        "2024-05-01T03:00:00+00:00",
    )
    assert (weekly["runs"], weekly["first"][:10], weekly["last"][:10]) == (26, "2023-11-06", "2024-04-29")


def test_a_short_calendar_ends_by_itself(described: Callable[..., dict[str, Any]]) -> None:
    """With a first and a last day there is one run for each of them, and the whole month is ingested."""
    dags = described(TAXI_FIRST_DAY="2024-03-09", TAXI_LAST_DAY="2024-03-11")["dags"]

    assert (dags["taxi_daily"]["runs"], dags["taxi_daily"]["first"], dags["taxi_daily"]["last"]) == (
        3,
        "2024-03-09T11:00:00+00:00",
        "2024-03-11T10:00:00+00:00",
    )
    assert (dags["taxi_ingest"]["runs"], dags["taxi_ingest"]["first"][:7]) == (1, "2024-03")
    assert (dags["taxi_hourly"]["runs"], dags["taxi_weekly"]["runs"]) == (3 * 24 - 1, 1)


def test_nothing_runs_the_manual_dag(airflow_view: dict[str, Any]) -> None:
    """taxi_adhoc has no schedule; what it builds is a param, with a default that can be run."""
    manual = airflow_view["dags"]["taxi_adhoc"]

    assert (manual["schedule"], manual["runs"]) == ("None", 0)
    assert manual["params"] == {"select": "daily_metrics", "full_refresh": False}


def test_the_tasks_run_in_order(airflow_view: dict[str, Any]) -> None:
    """Zones come before days, days before their export; zones are loaded before trips."""
    order = {
        task_id: task["downstream"]
        for dag_id in ("taxi_ingest", "taxi_daily", "taxi_weekly")
        for task_id, task in airflow_view["dags"][dag_id]["tasks"].items()
    }

    assert order == {
        "dbt_zones": ["dbt_daily"],
        "dbt_daily": ["export_daily"],
        "export_daily": [],
        "load_zones": ["load_trips"],
        "load_trips": [],
        "wait_for_daily": ["dbt_snapshot"],
        "dbt_snapshot": ["dbt_weekly"],
        "dbt_weekly": ["dbt_test"],
        "dbt_test": [],
    }


def test_a_week_waits_for_its_sunday(airflow_view: dict[str, Any]) -> None:
    """The sensor waits for the daily run that begins 25 hours earlier: the day that the week's variables name."""
    sensor = airflow_view["dags"]["taxi_weekly"]["tasks"]["wait_for_daily"]

    assert sensor["waits_for"] == ["taxi_daily", "dbt_daily", 25]
    assert sensor["pool"] == "default_pool"
    new_york = ZoneInfo("America/New_York")
    for monday in (datetime(2023, 11, 6, 7, tzinfo=new_york), datetime(2024, 3, 11, 7, tzinfo=new_york)):
        sunday = (monday.astimezone(timezone.utc) - timedelta(hours=25)).astimezone(new_york)
        assert (sunday.weekday(), sunday.hour) == (6, 6)


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
    others = {
        f"{dag_id}.{task_id}": task["command"]
        for dag_id, dag in airflow_view["dags"].items()
        for task_id, task in dag["tasks"].items()
        if task["command"] and dag_id != "taxi_daily"
    }
    assert others == {
        "taxi_hourly.dbt_hourly": (
            "dbt run --select tag:hourly "
            "--event-time-start {{ data_interval_start.strftime('%Y-%m-%dT%H:%M:%S') }} "
            "--event-time-end {{ data_interval_end.strftime('%Y-%m-%dT%H:%M:%S') }}"
        ),
        "taxi_weekly.dbt_snapshot": "dbt snapshot --select zones_snapshot",
        "taxi_weekly.dbt_weekly": (
            """dbt run --select tag:weekly --vars '{"start_date": "{{ yesterday_ds }}", "end_date": "{{ ds }}"}'"""
        ),
        "taxi_weekly.dbt_test": "dbt test --select tag:weekly || true",
        "taxi_borough_manhattan.dbt_borough": "dbt run --select borough_manhattan",
        "taxi_borough_queens.dbt_borough": "dbt run --select borough_queens",
        "taxi_borough_brooklyn.dbt_borough": "dbt run --select borough_brooklyn",
        "taxi_adhoc.dbt_build": (
            "dbt build --select {{ params.select }}{{ ' --full-refresh' if params.full_refresh else '' }}"
        ),
    }


def test_the_dags_are_kept_as_real_ones(airflow_view: dict[str, Any]) -> None:
    """Every task has an owner, retries and a failure callback; what writes DuckDB shares a pool."""
    for dag_id, dag in airflow_view["dags"].items():
        assert dag["documented"]
        assert dag["tags"]
        for task in dag["tasks"].values():
            assert task["owner"] == "data-platform"
            assert task["retries"] == (0 if dag_id == "taxi_adhoc" else 2)
            assert task["has_callback"]
    runs_dbt = [
        task for dag in airflow_view["dags"].values() for task in dag["tasks"].values() if task["command"]
    ]
    assert {task["pool"] for task in runs_dbt} == {"duckdb"}
    assert airflow_view["dags"]["taxi_daily"]["tasks"]["export_daily"]["pool"] == "duckdb"
