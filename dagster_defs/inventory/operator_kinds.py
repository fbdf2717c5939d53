"""What an operator's class alone says of it, by the last part of its name, where Dagster runs it as it is."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_defs.inventory.document import Dag, Task

# What a marker is for other tasks is done without it.
MARKERS = {
    "EmptyOperator": "it does nothing",
    "DummyOperator": "it does nothing",
    "LatestOnlyOperator": "it only says which tasks run, and Airflow decides that again where one of them does: only "
    "where all tasks after it are LegacyTasks",
    "ExternalTaskMarker": "it only says where clearing goes on",
}
# `legacy_dags/handover/run_task.py` refuses these.
NEED_SERVERS = {
    "TriggerDagRunOperator": "it asks Airflow's scheduler for a run of another DAG",
    "ExternalTaskSensor": "it reads another DAG's tasks from Airflow's metadata database",
    "SubDagOperator": "it needs Airflow's scheduler",
}
# Parts of the names of classes that say which of the tasks below them run.
DECIDING = ("Branch", "ShortCircuit", "LatestOnly")
# Of Airflow 2, which the engine of `LegacyTask` knows.
ENGINE_OF = "2"
# Rules that may hold after a failure; after a step of Dagster's that has failed no other runs.
AFTER_A_FAILURE = frozenset(
    {"all_done", "one_failed", "all_failed", "one_done", "always", "all_done_setup_success"}
)


def why_servers(classes: Sequence[str]) -> str:
    """Why an operator of these classes does not run without Airflow's servers; empty if none of them says so."""
    kinds = (name.rpartition(".")[2] for name in classes)
    return next(
        (
            f"{kind} does not run without Airflow's servers: {NEED_SERVERS[kind]}"
            for kind in kinds
            if kind in NEED_SERVERS
        ),
        "",
    )


def deciders_above(dag: Dag, task_id: str) -> tuple[str, ...]:
    """The tasks above it, directly or not, whose operator says which tasks below run; by their names."""
    above = dag.above(task_id)
    tasks = (task for task in dag.tasks if isinstance(task, Task) and task.task_id in above)
    return tuple(sorted(task.task_id for task in tasks if _decides(task)))


def _decides(task: Task) -> bool:
    kinds = (name.rpartition(".")[2] for name in task.classes)
    return any(word in kind for kind in kinds for word in DECIDING)


def why_version(airflow_version: str) -> str:
    """Why no operator of this Airflow runs as it is; empty for one that does, or that nobody has named."""
    if airflow_version.split(".")[0] in ("", ENGINE_OF):
        return ""
    return f"the inventory is of Airflow {airflow_version}, and operators run as they are in Airflow 2.7 to 2.11 only"
