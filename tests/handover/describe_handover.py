"""Run by Airflow's Python: what the proxy calls things, and which operator each task of the estate has."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

from airflow.configuration import conf
from airflow.models.dagbag import DagBag
from handover import proxy


def main() -> None:
    units = json.load(sys.stdin)
    bag = DagBag(conf.get("core", "dags_folder"), include_examples=False)
    answer = {
        "jobs": {f"{dag_id}.{task_id}": proxy.job_name(dag_id, task_id) for dag_id, task_id in units},
        "tags": {
            "timezone": proxy.TIMEZONE_TAG,
            "key_format": proxy.KEY_FORMAT_TAG,
            "window_start": proxy.WINDOW_START_TAG,
            "window_end": proxy.WINDOW_END_TAG,
        },
        "errors": bag.import_errors,
        "operators": {
            f"{dag_id}.{task.task_id}": type(task).__name__
            for dag_id, dag in bag.dags.items()
            for task in dag.tasks
        },
        "downstream": {
            f"{dag_id}.{task.task_id}": sorted(task.downstream_task_ids)
            for dag_id, dag in bag.dags.items()
            for task in dag.tasks
        },
        "settings": {
            f"{dag_id}.{task.task_id}": [task.retries, task.pool, task.owner, bool(task.on_failure_callback)]
            for dag_id, dag in bag.dags.items()
            for task in dag.tasks
        },
        "dagster_is_importable": find_spec("dagster") is not None,
        "dagster_defs_is_importable": find_spec("dagster_defs") is not None,
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
