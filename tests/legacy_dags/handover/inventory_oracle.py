"""Run by Airflow's Python on a folder: what Airflow itself answers, without the exporter, as JSON on the last line.

Arguments: the folder and the last day. Windows come from `iter_dagrun_infos_between`, from each DAG's own start. Texts
are there on Airflow 2 only: each task's `bash_command`, rendered by `TaskInstance.render_templates` for every tenth
window, on a copy of the task.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import tempfile
from typing import Any
from unittest.mock import MagicMock

folder, last_day = sys.argv[1:]
os.environ |= {
    "AIRFLOW_HOME": tempfile.mkdtemp(),
    "AIRFLOW__CORE__DAGS_FOLDER": folder,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
}

import pendulum  # noqa: E402 - after the settings, like all that imports Airflow

try:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:
    from airflow.models.dagbag import DagBag

    DagSerialization = None


def windows(dag: Any) -> list[list[str]]:
    scheduled = (
        DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)) if DagSerialization else dag
    )
    last = pendulum.parse(last_day)
    found = scheduled.iter_dagrun_infos_between(dag.start_date, min(last, dag.end_date or last))
    return [[info.data_interval.start.isoformat(), info.data_interval.end.isoformat()] for info in found]


def texts(dag: Any, start: str, end: str) -> dict[str, str]:
    from airflow.models import DagRun, TaskInstance
    from airflow.utils.types import DagRunType

    first, last = pendulum.parse(start), pendulum.parse(end)
    run = DagRun(
        dag_id=dag.dag_id, run_id=DagRun.generate_run_id(DagRunType.SCHEDULED, first), run_type=DagRunType.SCHEDULED,
        execution_date=first, data_interval=(first, last), external_trigger=False,
    )  # fmt: skip
    session = MagicMock()
    session.scalar.return_value = None
    found = {}
    for task in dag.tasks:
        ti = TaskInstance(task, run_id=run.run_id)
        ti.dag_run, ti.task = run, copy.copy(task)
        ti.render_templates(ti.get_template_context(session=session))
        found[task.task_id] = ti.task.bash_command
    return found


def main() -> None:
    extra = {} if DagSerialization else {"include_examples": False}
    answer = {}
    for dag in DagBag(folder, **extra).dags.values():
        known = [] if dag.dag_id.startswith("lord_howe") else windows(dag)
        rendered = {} if DagSerialization else {start: texts(dag, start, end) for start, end in known[::10]}
        answer[dag.dag_id] = {"windows": known, "texts": rendered}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
