"""The names of tags and metadata on runs, assets and events, for everything that writes or reads them.

`legacy_dags/handover/names.py` repeats some of them; tests keep the two in step.
"""

from __future__ import annotations

# On assets, jobs and runs: the unit or DAG that they belong to.
UNIT, SIDE = "parity/unit", "parity/side"

# On assets: the unit's stage and owner when the definitions were loaded.
STAGE, OWNER = "parity/stage", "parity/owner"

# On the job of a whole DAG, once it is retired; on a requested run: its entry in the ledger.
DAG, BACKFILL = "parity/dag", "parity/backfill"

# On a run that Airflow's proxy launched, and on what a run has written.
WINDOW_START, WINDOW_END = "parity/window_start", "parity/window_end"
AIRFLOW_TRY = "parity/airflow_try"
AIRFLOW_TASK_INSTANCE = "parity/airflow_task_instance"
AIRFLOW_MAP_INDEX, AIRFLOW_ROUND = "parity/airflow_map_index", "parity/airflow_round"
AIRFLOW_UPSTREAM, LAUNCH = "parity/airflow_upstream", "parity/launch_id"

# On such a run: the position in the ledger of the mark that the task obeyed.
POSITION = "parity/position"

# On a run of a retired DAG that waited for others: since when, by Airflow's sensor, as JSON.
WAITED = "parity/waited"

# On a run of a retired DAG without a clock: what has started it, by a key that is its own; and what Airflow was told of
# the run in its queue that this one stands for.
STARTED_BY, TOLD_AIRFLOW = "parity/started_by", "parity/told_airflow"
# On a run of a retired DAG that something in Airflow waits for: its id, and what Airflow was told of it, in words. Runs
# that re-execute it inherit the tag.
ECHOED = "parity/echoed"
# On the job of such a DAG if a sensor starts it: by whom, in words.
TRIGGERED = "parity/triggered_by"

# On the job that ends a window which has waited in vain: the DAG.
IN_VAIN = "parity/waited_in_vain"

# On a run of one unit's job that was refused before it did anything: the error's name.
REFUSED = "parity/refused"
# On a run that was ended because its process was gone: the unit that was at work.
LOST = "parity/lost"

# Dagster's own: what a run is about and where it comes from.
PARTITION = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
MAX_RETRIES = "dagster/max_retries"
PARENT_RUN, ROOT_RUN = "dagster/parent_run_id", "dagster/root_run_id"

# On a job: the format of its partition keys.
TIMEZONE, KEY_FORMAT = "parity/timezone", "parity/key_format"

# On a job: the version of this package. On a run that Airflow's proxy launched: that of Airflow's half.
VERSION, HANDOVER_VERSION = "parity/version", "parity/handover_version"

# On the job of a unit without a clock, instead of a format: what starts its runs. On what a run of it has written: the
# run of Airflow's that it is about, as JSON. On a verdict about such a run: when legacy's run began.
EVENT, OCCASION, OCCURRED = "parity/event", "parity/occasion", "parity/occurred"

# On a candidate run: the position in the event log of the legacy write that it stands beside.
LEGACY_EVENT = "parity/legacy_event"

# On what a candidate run has written: why its rows may be a copy of legacy's.
BASELINE = "parity/baseline"

# On an event that reports what Airflow did: when the task began and ended.
BEGAN, ENDED = "parity/legacy_began", "parity/legacy_ended"
# On such an event, for people: Airflow's run with its link, its id and try, and how the task ended.
SHOWN_RUN, SHOWN_RUN_ID, SHOWN_TRY, SHOWN_STATE = "Airflow run", "Airflow run id", "Try", "State"
# On an observation: the unit whose run wrote an asset that another unit's mirror defines.
WRITTEN_BY = "parity/written_by"

# From dagster_airlift.constants, which takes a second to import.
AIRFLOW_DAG = "dagster-airlift/airflow-dag-id"
AIRFLOW_RUN = "dagster-airlift/airflow-dag-run-id"
AIRFLOW_TASK = "dagster-airlift/airflow-task-id"
TASK_MAPPING = "dagster-airlift/task-mapping"

# On a check of a unit: the output that it compares. On a verdict on a window: the whole check, to be read back.
OUTPUT, CHECK = "parity/output", "parity/check"
# On a container or a pod, not on a run: its window, what it does, for which run, and which try has made it.
CONTAINER_WINDOW, CONTAINER_WORK = "parity/window", "parity/work"
CONTAINER_RUN, CONTAINER_TRY = "parity/run", "parity/try"
# On the observation that opens a tick of the observer: a digest of the cursor that it began with.
TICK = "parity/told_from"
# On what an operator that Dagster ran has written: how Airflow's engine says that its task ended. On a run that
# Airflow's proxy launched: the same, and the other tasks that it skips, as JSON, for the proxy to pass on, if it can.
AIRFLOW_STATE = "parity/airflow_state"
SKIPPED_INDICES = "parity/airflow_skipped_indices"
AIRFLOW_SKIPS, PASSES_ON_SKIPS = "parity/airflow_skips", "parity/airflow_passes_on_skips"
# The value of the last one, of a proxy for one instance of a mapped task.
PASSES_ON_EACH = "each"
