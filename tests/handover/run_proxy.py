"""Run by Airflow's Python: executes proxied tasks against a Dagster, as a worker would, and tells how they ended.

Input on stdin: `{"url": …, "cases": [{"dag_id", "task_id", "start", "end", "try_number"}, …]}`; without a url
DAGSTER_URL is not set. Output: a JSON list of `{"error": type and message, or null}` on the last line of stdout.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from dagster_airlift.in_airflow import proxying_to_dagster
from dagster_airlift.in_airflow.proxied_state import AirflowProxiedState, DagProxiedState
from handover.proxy import ProxyToDagster


def _instant(text: str) -> Any:
    return pendulum.instance(datetime.fromisoformat(text)).in_timezone("UTC")


def _execute(case: dict[str, Any]) -> dict[str, str | None]:
    with DAG(case["dag_id"], schedule=None, start_date=pendulum.datetime(2024, 1, 1)) as dag:
        BashOperator(task_id=case["task_id"], bash_command="exit 1")
    marks = {"tasks": [{"id": case["task_id"], "proxied": True}]}
    proxying_to_dagster(
        global_vars={"dag": dag},
        proxied_state=AirflowProxiedState({case["dag_id"]: DagProxiedState.from_dict(marks)}),
        build_from_task_fn=ProxyToDagster.build_from_task,
    )
    proxy = dag.get_task(case["task_id"])
    instance = SimpleNamespace(
        dag_id=case["dag_id"], task_id=case["task_id"], try_number=case.get("try_number", 1)
    )
    context = {
        "dag_run": SimpleNamespace(run_id="scheduled__x", dag_id=case["dag_id"]),
        "task": proxy,
        "task_instance": instance,
        "ti": instance,
        # Airflow's own name for it; nothing may be decided by it.
        "logical_date": _instant("1999-01-01T00:00:00+00:00"),
        "data_interval_start": _instant(case["start"]),
        "data_interval_end": _instant(case["end"]),
    }
    try:
        proxy.execute(context)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"error": None}


def main() -> None:
    asked = json.load(sys.stdin)
    if asked["url"]:
        os.environ["DAGSTER_URL"] = asked["url"]
    outcomes = [_execute(case) for case in asked["cases"]]
    # Airflow logs to stdout as well: the answer is the last line.
    sys.stdout.write("\n" + json.dumps(outcomes) + "\n")


if __name__ == "__main__":
    main()
