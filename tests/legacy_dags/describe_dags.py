"""Run by Airflow's Python: writes what Airflow makes of the DAGs folder to stdout, as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.configuration import conf
from airflow.models.dagbag import DagBag


def _describe(dag: Any) -> dict[str, Any]:
    # A DAG without a schedule has no runs of its own.
    scheduled = dag.timetable.can_be_scheduled
    runs = list(dag.iter_dagrun_infos_between(dag.start_date, dag.end_date)) if scheduled else []
    return {
        "schedule": dag.timetable.summary,
        "timezone": str(dag.timezone),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "documented": bool(dag.doc_md),
        "runs": len(runs),
        "first": runs[0].data_interval.start.isoformat() if runs else None,
        "last": runs[-1].data_interval.start.isoformat() if runs else None,
        "params": dag.params.dump(),
        "tasks": {
            task.task_id: {
                "type": task.task_type,
                "downstream": sorted(task.downstream_task_ids),
                "command": getattr(task, "bash_command", None),
                "op_kwargs": getattr(task, "op_kwargs", None),
                "waits_for": _waits_for(task),
                "pool": task.pool,
                "owner": task.owner,
                "retries": task.retries,
                "has_callback": bool(task.on_failure_callback),
            }
            for task in dag.tasks
        },
    }


def _waits_for(task: Any) -> list[Any] | None:
    """The unit that a sensor waits for, and by how many hours its logical date is earlier."""
    if task.task_type != "ExternalTaskSensor":
        return None
    return [task.external_dag_id, task.external_task_id, task.execution_delta.total_seconds() / 3600]


def main() -> None:
    bag = DagBag(conf.get("core", "dags_folder"), include_examples=False)
    described = {dag_id: _describe(dag) for dag_id, dag in bag.dags.items()}
    # Airflow logs to stdout as well: the answer is the last line.
    sys.stdout.write("\n" + json.dumps({"errors": bag.import_errors, "dags": described}) + "\n")


if __name__ == "__main__":
    main()
