"""The code location as Dagster loads it, and as `dg` sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dagster_defs.lifecycle import Unit
from tests.support.estate import Estate

LOAD_WITHOUT_NETWORK = """
import json, os, socket, sys
assert not [name for name in os.environ if name != "LC_CTYPE"], os.environ  # Python itself sets that one

def refuse(*_, **__):
    raise AssertionError("something asks the network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
sys.path.insert(0, sys.argv[1])
from dagster_defs.definitions import defs
loaded = defs()
print(json.dumps({
    "assets": sorted(key.to_user_string() for key in loaded.resolve_asset_graph().get_all_asset_keys()),
    "jobs": sorted(job.name for job in loaded.resolve_all_job_defs()),
    "sensors": [sensor.name for sensor in loaded.sensors],
}))
"""
MODELS = ("stg_zones", "stg_trips", "location_metrics", "daily_metrics")


def test_definitions_load_with_nothing_around_them(estate: Estate, tmp_path: Path) -> None:
    """Definitions load with an empty environment, from any folder, without asking the network for anything."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD_WITHOUT_NETWORK, str(estate.root)],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert {*MODELS, *(f"shadow/{model}" for model in MODELS)} <= set(loaded["assets"])
    assert {"taxi_daily__dbt_daily", "shadow__taxi_daily__dbt_daily"} <= set(loaded["jobs"])
    assert loaded["sensors"] == [
        "airflow_observer",
        "airflow_shadow",
        "airflow_schedules",
        "airflow_echoes",
        "airflow_lost_runs",
    ]
    assert list(tmp_path.iterdir()) == []


def test_dg_finds_the_definitions_sound(estate: Estate) -> None:
    """`dg check defs` and `dg check yaml` exit 0 on the project."""
    for command in (["check", "defs"], ["check", "yaml"]):
        done = estate.program("dg", *command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_dg_lists_every_model(estate: Estate) -> None:
    """`dg list defs` exits 0 and names every model on both sides."""
    done = estate.program("dg", "list", "defs", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    for model in MODELS:
        assert f'"{model}"' in done.stdout
        assert f'"shadow/{model}"' in done.stdout


def test_every_unit_has_a_job_on_both_sides(estate: Estate) -> None:
    """A unit's jobs are named by its DAG and task, the candidate's with `shadow__` before it; one that has something to
    compare has a third, `compare__`. Each DAG has one of its own, for when it is retired, and one that waits for other
    DAGs has another, which ends a window that was not started."""
    units = {unit.replace(".", "__") for unit in estate.units}
    assert "taxi_daily__dbt_daily" in units
    jobs = {job.name for job in estate.definitions.resolve_all_job_defs() if not job.name.startswith("__")}

    comparing = {job.removeprefix("compare__") for job in jobs if job.startswith("compare__")}
    dags = {Unit.parse(unit).dag_id for unit in estate.units}
    of_units = units | {f"shadow__{unit}" for unit in units} | {f"compare__{unit}" for unit in comparing}
    assert jobs == of_units | dags | {"waited__taxi_weekly"}
    # Views and tests leave nothing behind that could be compared.
    assert units - comparing == {"taxi_daily__dbt_zones", "taxi_weekly__dbt_test"}


def test_a_job_says_how_its_partition_keys_are_written(estate: Estate) -> None:
    """The tags of a unit's job carry the zone and the format of its keys, which is all that a proxy needs."""
    tags = estate.definitions.resolve_job_def("taxi_daily__dbt_daily").tags

    assert (tags["parity/timezone"], tags["parity/key_format"]) == ("America/New_York", "%Y-%m-%d")
    assert tags["parity/unit"] == "taxi_daily.dbt_daily"
