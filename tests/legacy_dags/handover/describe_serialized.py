"""Run by Airflow's Python: what Airflow stores of each task of some DAGs.

Input on stdin: the DAGs' ids. Output: for each one `tasks`, as they are serialized, and `tags`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.configuration import conf
from airflow.models.dagbag import DagBag
from airflow.serialization.serialized_objects import SerializedDAG


def _plain(task: dict[str, Any]) -> dict[str, Any]:
    task = dict(task.get("__var", task))
    if "partial_kwargs" in task:
        partial = dict(task["partial_kwargs"])
        task["doc_md"] = partial.pop("doc_md", None)
        task["partial_kwargs"] = partial
    task.setdefault("doc_md", None)
    return task


def main() -> None:
    bag = DagBag(conf.get("core", "dags_folder"), include_examples=False)
    told = {}
    for dag_id in json.load(sys.stdin):
        stored = SerializedDAG.to_dict(bag.dags[dag_id])["dag"]
        tasks = [_plain(task) for task in stored["tasks"]]
        told[dag_id] = {
            "tasks": {task["task_id"]: task for task in tasks},
            "tags": sorted(bag.dags[dag_id].tags),
        }
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
