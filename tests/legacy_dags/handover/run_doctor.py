"""Run by Airflow's Python: what the DAG of `parity doctor` leaves, of a DAGs folder with the documented file.

Input on stdin: `{"units": [[DAG, task], …]}`. Output: the looks by task, as the last line of stdout.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from airflow.configuration import conf


def _dags(folder: str) -> Any:
    try:
        from airflow.dag_processing.dagbag import BundleDagBag
    except ImportError:
        from airflow.models.dagbag import DagBag

        return DagBag(folder, include_examples=False)
    return BundleDagBag(folder, bundle_name="dags", bundle_path=folder)


def main() -> None:
    asked = json.load(sys.stdin)
    bag = _dags(conf.get("core", "dags_folder"))
    assert not bag.import_errors, bag.import_errors
    context = {"dag_run": SimpleNamespace(conf=asked)}
    looks = {task.task_id: task.execute(context) for task in bag.dags["parity_doctor"].tasks}
    sys.stdout.write("\n" + json.dumps(looks) + "\n")


if __name__ == "__main__":
    main()
