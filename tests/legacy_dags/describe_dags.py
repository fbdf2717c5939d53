"""Run by Airflow's Python: writes what Airflow makes of the DAGs folder to stdout, as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.configuration import conf
from airflow.models.dagbag import DagBag


def _describe(dag: Any) -> dict[str, Any]:
    runs = list(dag.iter_dagrun_infos_between(dag.start_date, dag.end_date))
    return {
        "schedule": dag.timetable.summary,
        "timezone": str(dag.timezone),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "documented": bool(dag.doc_md),
        "runs": len(runs),
        "first": runs[0].data_interval.start.isoformat(),
        "last": runs[-1].data_interval.start.isoformat(),
        "tasks": {
            task.task_id: {
                "type": task.task_type,
                "downstream": sorted(task.downstream_task_ids),
                "command": getattr(task, "bash_command", None),
                "op_kwargs": getattr(task, "op_kwargs", None),
                "pool": task.pool,
                "owner": task.owner,
                "retries": task.retries,
                "has_callback": bool(task.on_failure_callback),
            }
            for task in dag.tasks
        },
    }


def main() -> None:
    bag = DagBag(conf.get("core", "dags_folder"), include_examples=False)
    described = {dag_id: _describe(dag) for dag_id, dag in bag.dags.items()}
    # Airflow logs to stdout as well: the answer is the last line.
    sys.stdout.write("\n" + json.dumps({"errors": bag.import_errors, "dags": described}) + "\n")


if __name__ == "__main__":
    main()
