"""Names that Airflow and Dagster share: of jobs, and of the tags that travel with a run.

`dagster_defs/lifecycle/tags.py` and `dagster_defs/components/runs/run_window.py` carry the same ones; a test holds
them together.
"""

from __future__ import annotations

# Of a job: how its partition keys are written.
TIMEZONE_TAG = "parity/timezone"
KEY_FORMAT_TAG = "parity/key_format"

# Of a run: what it is about.
PARTITION_TAG = "dagster/partition"
WINDOW_START_TAG = "parity/window_start"
WINDOW_END_TAG = "parity/window_end"

# Of a run: who has asked for it. The first three are Airlift's own.
DAG_TAG = "dagster-airlift/airflow-dag-id"
DAG_RUN_TAG = "dagster-airlift/airflow-dag-run-id"
TASK_TAG = "dagster-airlift/airflow-task-id"
MAP_INDEX_TAG = "parity/airflow_map_index"
TRY_TAG = "parity/airflow_try"
# The four names in one value: runs are found by one indexed look-up, however many a DAG or a day has.
TASK_INSTANCE_TAG = "parity/airflow_task_instance"
# Which clearing of the task a run belongs to: retries share it, a cleared task has a new one.
ROUND_TAG = "parity/airflow_round"
# When the tasks before this one had ended.
UPSTREAM_TAG = "parity/airflow_upstream"
# One for each launch: a launch whose answer was lost is found by it.
LAUNCH_TAG = "parity/launch_id"

# Of a run that Dagster's side has refused before it did anything.
REFUSED_TAG = "parity/refused"

# Of a run that somebody has executed again from another one: Dagster copies all other tags to it.
PARENT_RUN_TAG = "dagster/parent_run_id"
ROOT_RUN_TAG = "dagster/root_run_id"

# Dagster shall not try a failed run again by itself: Airflow does.
MAX_RETRIES_TAG = "dagster/max_retries"


def job_name(dag_id: str, task_id: str) -> str:
    """The name of the unit's job in Dagster: only letters, digits and underscores are allowed there."""
    return "__".join(
        "".join(char if char.isascii() and char.isalnum() else "_" for char in name)
        for name in (dag_id, task_id)
    )


def task_instance_name(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Readable; the separate tags tell apart what reads alike."""
    mapped = f"[{map_index}]" if map_index >= 0 else ""
    return f"{dag_id}.{task_id}{mapped} {run_id}"
