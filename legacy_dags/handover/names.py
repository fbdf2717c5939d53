"""Names that Airflow and Dagster share: of jobs, and of the tags that travel with a run.

`dagster_defs/lifecycle/tags.py` and `dagster_defs/components/runs/run_window.py` carry the same ones; a test holds
them together.
"""

from __future__ import annotations

# On a job: how its partition keys are formatted.
TIMEZONE_TAG = "parity/timezone"
KEY_FORMAT_TAG = "parity/key_format"
# Instead of these two, on the job of a unit whose DAG has no clock.
EVENT_TAG = "parity/event"
# On a job, and on a run that a proxy launched: the version of Dagster's half, and of Airflow's.
VERSION_TAG = "parity/version"
HANDOVER_VERSION_TAG = "parity/handover_version"

# On a run: what it is about.
PARTITION_TAG = "dagster/partition"
WINDOW_START_TAG = "parity/window_start"
WINDOW_END_TAG = "parity/window_end"

# On a run: who requested it. The first three are Airlift's own.
DAG_TAG = "dagster-airlift/airflow-dag-id"
DAG_RUN_TAG = "dagster-airlift/airflow-dag-run-id"
TASK_TAG = "dagster-airlift/airflow-task-id"
# Always -1: the instances of a mapped task share a run.
MAP_INDEX_TAG = "parity/airflow_map_index"
TRY_TAG = "parity/airflow_try"
# The four names in one value, so that one indexed look-up finds the runs, however many a DAG or a day has.
TASK_INSTANCE_TAG = "parity/airflow_task_instance"
# Which round of the task a run belongs to: retries share it, and clearing the task starts a new one.
ROUND_TAG = "parity/airflow_round"
# When the tasks before this one had ended.
UPSTREAM_TAG = "parity/airflow_upstream"
# One per launch: it identifies a launch whose answer was lost.
LAUNCH_TAG = "parity/launch_id"

# The position of the mark that the try obeyed: a run that obeyed another one than is on record writes nothing.
POSITION_TAG = "parity/position"

# The proxy can pass on skips; and what the Dagster run says about them: the task's state, and the tasks that it skips.
PASSES_ON_SKIPS_TAG = "parity/airflow_passes_on_skips"
STATE_TAG = "parity/airflow_state"
SKIPS_TAG = "parity/airflow_skips"
# What a proxy for one instance of a mapped task says there instead, and what the run says to it: the indices skipped.
PASSES_ON_EACH = "each"
SKIPPED_INDICES_TAG = "parity/airflow_skipped_indices"

# Part of the class name of every proxy, Airlift's own among them.
PROXY = "ToDagster"

# Part of the documentation of every task with a switch, by which Airflow's REST API tells that it has one.
ENROLLED = "whose a window is, is asked when the task starts"
# The XCom by which a task with a switch tells whose its newest try was, and its two values.
OWNER_KEY, AIRFLOWS, DAGSTERS = "parity_owner", "airflow", "dagster"
# The XCom with the address of the run in Dagster.
RUN_KEY = "dagster_run"

# On a run that Dagster's side refused before it did anything.
REFUSED_TAG = "parity/refused"

# On a re-execution of another run: Dagster copies all other tags to it.
PARENT_RUN_TAG = "dagster/parent_run_id"
ROOT_RUN_TAG = "dagster/root_run_id"

# Dagster must not retry a failed run itself: Airflow does.
MAX_RETRIES_TAG = "dagster/max_retries"


def job_name(dag_id: str, task_id: str) -> str:
    """The name of the unit's job in Dagster, which allows only letters, digits and underscores."""
    return "__".join(
        "".join(char if char.isascii() and char.isalnum() else "_" for char in name)
        for name in (dag_id, task_id)
    )


def op_name(job: str) -> str:
    """The only op of a unit's job, which takes the run's occasion as its config."""
    return f"run__{job}"


def task_instance_name(dag_id: str, run_id: str, task_id: str) -> str:
    """A readable value; the separate tags distinguish what looks the same in it."""
    return f"{dag_id}.{task_id} {run_id}"
