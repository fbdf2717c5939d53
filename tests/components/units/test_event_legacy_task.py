"""A real Airflow operator of a DAG without a clock, run by Dagster on the occasion of one of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pendulum
import pytest

from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.windows import Occasion
from tests.components.conftest import Project
from tests.support.estate import AIRFLOW_PYTHON, Estate
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to

pytestmark = pytest.mark.airflow

DAG_FILE = """
import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("asked", schedule=None, start_date=pendulum.datetime(2024, 1, 1), params={"who": "nobody", "how": "well"}):
    BashOperator(
        task_id="first",
        bash_command="echo {{ dag_run.conf['days'] }} {{ params.who }} {{ params.how }} {{ run_id }} {{ ds }}",
    ) >> BashOperator(task_id="second", bash_command="echo again {{ ti.xcom_pull('first') }}")
"""
AT = pendulum.datetime(2024, 3, 9, 12)
ASKED = Occasion(f"manual__{AT.isoformat()}", AT, AT, AT, conf={"days": 3, "who": "Ada"})


def declared(task_id: str) -> tuple[str, dict[str, Any]]:
    return "LegacyTask", {
        "unit": f"asked.{task_id}",
        "schedule": {"event": "manual"},
        "airflow": {"dags_folder": "dags", "dag_file": "asked.py"},
        "shadow": "never",
        "because": "it sends mails",
    }


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("asked")
    (root / "dags").mkdir()
    (root / "dags" / "asked.py").write_text(DAG_FILE)
    (root / "legacy_dags").mkdir()
    settings = {
        "PARITY_TASK_STORE": str(root / "store"),
        "PARITY_PROXIED_STATE": str(root / "owned"),
        "PARITY_AIRFLOW_PYTHON": str(AIRFLOW_PYTHON),
        "AIRFLOW_HOME": str(root / "home"),
    }
    with instance_for_test() as instance:
        yield Project(Estate(root, instance, more_settings=settings))


def run(place: Project, task_id: str) -> list[str]:
    """What the operator has said in a run for the occasion."""
    config = {"ops": {f"run__asked__{task_id}": {"config": {"occasion": ASKED.as_json()}}}}
    job = place.estate.definitions.resolve_job_def(f"asked__{task_id}")
    with place.estate.entered():
        result = job.execute_in_process(instance=place.estate.instance, run_config=config)
    logged: list[dg.EventLogEntry] = list(place.estate.instance.all_logs(result.run_id))
    return [entry.user_message for entry in logged]


def test_airflows_engine_renders_the_run(place: Project) -> None:
    """Conf, params that the conf overrides, run id and dates are those of the run; a second task of the same run sees
    the first one's XCom."""
    place.declare("own", declared("first"), declared("second"))
    place.load()
    for task_id in ("first", "second"):
        bring_to(place.estate.root / "owned", Unit("asked", task_id), Stage.RETIRED)

    message = f"3 Ada well {ASKED.run_id} 2024-03-09"
    assert any(message in line for line in run(place, "first"))
    assert any(f"again {message}" in line for line in run(place, "second"))
