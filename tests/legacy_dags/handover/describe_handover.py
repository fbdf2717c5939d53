"""Run by Airflow's Python: what the proxy calls things, and which operator each task of the estate has."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import Any

from airflow.configuration import conf
from airflow.models.dagbag import DagBag
from airflow.models.expandinput import NotFullyPopulated
from airflow.serialization.serialized_objects import SerializedDAG
from handover import install, names, owners


def _instances(task: Any) -> list[Any] | None:
    """The operator of a mapped task and how many instances the DAG file gives it; None for any other task."""
    if not hasattr(task, "partial_kwargs"):
        return None
    try:
        return [task.operator_name, task.get_parse_time_mapped_ti_count()]
    except NotFullyPopulated:
        return [task.operator_name, None]


def main() -> None:
    units = json.load(sys.stdin)
    bag = DagBag(conf.get("core", "dags_folder"), include_examples=False)
    answer = {
        "jobs": {f"{dag_id}.{task_id}": names.job_name(dag_id, task_id) for dag_id, task_id in units},
        "tags": {
            "timezone": names.TIMEZONE_TAG,
            "key_format": names.KEY_FORMAT_TAG,
            "event": names.EVENT_TAG,
            "version": names.VERSION_TAG,
            "handover_version": names.HANDOVER_VERSION_TAG,
            "window_start": names.WINDOW_START_TAG,
            "window_end": names.WINDOW_END_TAG,
            "airflow_try": names.TRY_TAG,
            "airflow_task_instance": names.TASK_INSTANCE_TAG,
            "passes_on_skips": names.PASSES_ON_SKIPS_TAG,
            "airflow_state": names.STATE_TAG,
            "airflow_skips": names.SKIPS_TAG,
            "skipped_indices": names.SKIPPED_INDICES_TAG,
            "passes_on_each": names.PASSES_ON_EACH,
            "position": names.POSITION_TAG,
        },
        "words": {
            "enrolled": names.ENROLLED,
            "enrolled_tag": install.ENROLLED_TAG,
            "owner_key": names.OWNER_KEY,
            "run_key": names.RUN_KEY,
            "dagsters": names.DAGSTERS,
            "proxy": names.PROXY,
            "variable": owners.VARIABLE,
            "channels": owners.CHANNELS,
            "set_up": owners.SET_UP,
            "ledger": owners.LEDGER,
        },
        "errors": bag.import_errors,
        "operators": {
            f"{dag_id}.{task.task_id}": type(task).__name__
            for dag_id, dag in bag.dags.items()
            for task in dag.tasks
        },
        "mapped": {
            f"{dag_id}.{task.task_id}": _instances(task)
            for dag_id, dag in bag.dags.items()
            for task in dag.tasks
        },
        "downstream": {
            f"{dag_id}.{task.task_id}": sorted(task.downstream_task_ids)
            for dag_id, dag in bag.dags.items()
            for task in dag.tasks
        },
        "settings": {
            f"{dag_id}.{task.task_id}": [
                task.retries,
                task.pool,
                task.owner,
                bool(task.on_failure_callback),
                str(getattr(task.trigger_rule, "value", task.trigger_rule)),
                type(task.weight_rule).__name__,
                task.is_setup,
            ]
            for dag_id, dag in bag.dags.items()
            for task in dag.tasks
        },
        "groups": {
            dag_id: {
                group_id: sorted(group.children)
                for group_id, group in dag.task_group.get_task_group_dict().items()
                if group_id
            }
            for dag_id, dag in bag.dags.items()
        },
        "order": {dag_id: list(dag.task_dict) for dag_id, dag in bag.dags.items()},
        "deferrable": sorted(
            f"{dag_id}.{task.task_id}"
            for dag_id, dag in bag.dags.items()
            for task in dag.tasks
            if getattr(task, "deferrable", False)
        ),
        "serializable": [bool(SerializedDAG.to_dict(dag)) for dag in bag.dags.values()],
        "dag_tags": {dag_id: sorted(dag.tags) for dag_id, dag in bag.dags.items()},
        "dagster_is_importable": find_spec("dagster") is not None,
        "dagster_defs_is_importable": find_spec("dagster_defs") is not None,
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
