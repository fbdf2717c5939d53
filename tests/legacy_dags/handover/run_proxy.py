"""Run by Airflow's Python: executes proxied tasks against a Dagster, as a worker would, and tells how they ended.

Input on stdin: `{"url", "cases": [{"dag_id", "task_id", "start", "end", and what _execute has defaults for}, …]}`;
without a url DAGSTER_URL is not set. Output: a JSON list of `{"error": type and message, or null}` on the last line of
stdout, and what was logged. There is no database: `run_tasks.py` is for what needs one.
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
from airflow.utils.types import DagRunType
from handover.facts import facts
from handover.names import task_instance_name
from handover.proxy import ProxyToDagster


def _instant(text: str) -> Any:
    return pendulum.instance(datetime.fromisoformat(text)).in_timezone("UTC")


def _execute(case: dict[str, Any]) -> dict[str, str | None]:
    with DAG(case["dag_id"], schedule=None, start_date=pendulum.datetime(2024, 1, 1)):
        task = BashOperator(task_id=case["task_id"], bash_command="exit 1", retries=2)
    proxy = ProxyToDagster.build_from_task(task)
    proxy.patience = case.get("patience", 0)
    run_id = case.get("run_id", f"scheduled__{case['start']}")
    instance = SimpleNamespace(
        dag_id=case["dag_id"],
        task_id=case["task_id"],
        run_id=run_id,
        try_number=case.get("try_number", 1),
        map_index=case.get("map_index", -1),
        max_tries=case.get("max_tries", 2),
    )
    context = {
        "dag_run": SimpleNamespace(
            id=7,
            run_id=run_id,
            dag_id=case["dag_id"],
            run_type=DagRunType.from_run_id(run_id),
            logical_date=_instant(case["start"]),
            conf=object() if case.get("odd_conf") else case.get("conf"),
            get_task_instances=lambda: [
                SimpleNamespace(task_id=case["task_id"], **one) for one in case.get("instances", ())
            ],
        ),
        "task": proxy,
        "task_instance": instance,
        "ti": instance,
        # Airflow's own name for it; nothing may be decided by it.
        "logical_date": _instant("1999-01-01T00:00:00+00:00"),
        "data_interval_start": _instant(case["start"]),
        "data_interval_end": _instant(case["end"]),
    }
    try:
        if case.get("kill"):
            # As after `execute` has been told to end: it knows who asks, and nothing else is certain.
            killed = proxy._try()
            killed._task_instance = task_instance_name(case["dag_id"], run_id, case["task_id"])
            killed._launching = case.get("launching", False)
            proxy.on_kill()
        else:
            proxy.execute(context)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"error": None}


def main() -> None:
    asked = json.load(sys.stdin)
    facts.KILL_SECONDS = 1.0  # what is waited for here ends at once, or never
    if asked["url"]:
        os.environ["DAGSTER_URL"] = asked["url"]
    outcomes = [_execute(case) for case in asked["cases"]]
    # Airflow logs to stdout as well: the answer is the last line.
    sys.stdout.write("\n" + json.dumps(outcomes) + "\n")


if __name__ == "__main__":
    main()
