"""What an operator's class name alone says about running it as it is in Dagster."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_defs.inventory.document import Dag, Task

# Markers are not needed in Dagster: what they do for other tasks is done without them.
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
    "HITLOperator": "it waits for a person's answer in Airflow's UI",
    "SubDagOperator": "it needs Airflow's scheduler",
}
# Parts of the names of classes that decide which downstream tasks run.
DECIDING = ("Branch", "ShortCircuit", "LatestOnly")
# The major versions of Airflow that the engine of `LegacyTask` knows.
ENGINES = ("2", "3")
# Trigger rules that may hold after a failure; in Dagster nothing runs after a failed step.
AFTER_A_FAILURE = frozenset(
    {"all_done", "one_failed", "all_failed", "one_done", "always", "all_done_setup_success"}
)


def why_servers(classes: Sequence[str]) -> str:
    """Why an operator of these classes does not run without Airflow's servers; empty if it does."""
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
    """The names of upstream tasks, direct or not, whose operator decides which downstream tasks run."""
    above = dag.above(task_id)
    tasks = (task for task in dag.tasks if isinstance(task, Task) and task.task_id in above)
    return tuple(sorted(task.task_id for task in tasks if _decides(task)))


def _decides(task: Task) -> bool:
    kinds = (name.rpartition(".")[2] for name in task.classes)
    return any(word in kind for kind in kinds for word in DECIDING)


def why_version(airflow_version: str) -> str:
    """Why no operator of this Airflow version runs as it is; empty if it does, or if the version is not known."""
    if airflow_version.split(".")[0] in ("", *ENGINES):
        return ""
    return f"the inventory is of Airflow {airflow_version}, and operators run as they are in 2.7 to 2.11 and 3 only"
