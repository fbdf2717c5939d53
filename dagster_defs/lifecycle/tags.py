"""Names by which runs, assets and events are told apart: tags and metadata, for all that write or read them.

`legacy_dags/handover/names.py` carries some of them too; tests hold the two together.
"""

from __future__ import annotations

# Of assets, jobs and runs: whose they are.
UNIT, SIDE = "parity/unit", "parity/side"

# Of assets: where their unit stood when the definitions were loaded, and whose its windows were.
STAGE, OWNER = "parity/stage", "parity/owner"

# Of the job that runs a whole DAG, once that is retired; of a run that somebody wanted: its entry in the ledger.
DAG, BACKFILL = "parity/dag", "parity/backfill"

# Of a run that Airflow's proxy launched, and of what a run has written.
WINDOW_START, WINDOW_END = "parity/window_start", "parity/window_end"
AIRFLOW_TRY = "parity/airflow_try"
AIRFLOW_TASK_INSTANCE = "parity/airflow_task_instance"
AIRFLOW_MAP_INDEX, AIRFLOW_ROUND = "parity/airflow_map_index", "parity/airflow_round"
AIRFLOW_UPSTREAM, LAUNCH = "parity/airflow_upstream", "parity/launch_id"

# Of a run of one unit's job that was refused before it did anything: the error's name.
REFUSED = "parity/refused"

# Dagster's own: what a run is about, where it comes from.
PARTITION = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
MAX_RETRIES = "dagster/max_retries"
PARENT_RUN, ROOT_RUN = "dagster/parent_run_id", "dagster/root_run_id"

# Of a job: how its partition keys are written.
TIMEZONE, KEY_FORMAT = "parity/timezone", "parity/key_format"

# Of a candidate run: the place in the event log of the legacy write that it stands beside.
LEGACY_EVENT = "parity/legacy_event"

# Of what a candidate run has written: why its rows may be a copy of legacy's.
BASELINE = "parity/baseline"

# Of an event that tells what Airflow did: when the task began and ended.
BEGAN, ENDED = "parity/legacy_began", "parity/legacy_ended"
# Of such an event, for a person to read: Airflow's run with its link, its id and try, and how the task ended.
SHOWN_RUN, SHOWN_RUN_ID, SHOWN_TRY, SHOWN_STATE = "Airflow run", "Airflow run id", "Try", "State"
# Of an observation: the unit whose run wrote an asset that another unit's mirror defines.
WRITTEN_BY = "parity/written_by"

# dagster_airlift.constants, where importing them costs a second.
AIRFLOW_DAG = "dagster-airlift/airflow-dag-id"
AIRFLOW_RUN = "dagster-airlift/airflow-dag-run-id"
AIRFLOW_TASK = "dagster-airlift/airflow-task-id"
TASK_MAPPING = "dagster-airlift/task-mapping"
