"""What an operator's class name alone says about running it as it is in Dagster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dagster_defs.inventory.document import Dag, Task

# Markers are not needed in Dagster: what they do for other tasks is done without them.
MARKERS = {
    "EmptyOperator": "it does nothing",
    "DummyOperator": "it does nothing",
    "LatestOnlyOperator": "it only says which tasks run, and Airflow decides that again where one of them does: only "
    "where all tasks after it are LegacyTasks",
    "ExternalTaskMarker": "it only says where clearing goes on",
}
# Those of them that neither run nor decide anything.
DOES_NOTHING = MARKERS.keys() - {"LatestOnlyOperator"}
# `legacy_dags/handover/run_task.py` refuses these.
NEED_SERVERS = {
    "TriggerDagRunOperator": "it asks Airflow's scheduler for a run of another DAG",
    "ExternalTaskSensor": "it reads another DAG's tasks from Airflow's metadata database",
    "HITLOperator": "it waits for a person's answer in Airflow's UI",
    "SubDagOperator": "it needs Airflow's scheduler",
}
# Parts of the names of classes that decide which downstream tasks run.
DECIDING = ("Branch", "ShortCircuit", "LatestOnly")
# Trigger rules that hold whatever is skipped upstream, and those that hold if one task upstream is not.
DESPITE_SKIPS = frozenset({"none_failed", "all_done", "always"})
WITH_ONE_SUCCESS = frozenset({"none_failed_min_one_success", "one_success", "one_done"})
# The major versions of Airflow that the engine of `LegacyTask` knows.
ENGINES = ("2", "3")
# Trigger rules that may hold after a failure; in Dagster nothing runs after a failed step.
AFTER_A_FAILURE = frozenset(
    {
        *("all_done", "all_done_min_one_success", "all_done_setup_success", "all_failed", "always", "dummy"),
        *("none_skipped", "one_done", "one_failed", "one_success"),
    }
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


def deciders_above(dag: Dag) -> Mapping[str, frozenset[str]]:
    """By task, the upstream tasks whose operator decides whether it runs. If its trigger rule holds whatever is skipped
    above it, only its direct upstream decides, and short circuits."""
    tasks = {task.task_id: task for task in dag.tasks if isinstance(task, Task)}
    by_rules: dict[str, frozenset[str]] = {}
    cut_off: dict[str, frozenset[str]] = {}
    for task in sorted(tasks.values(), key=lambda task: len(dag.above(task.task_id))):
        upstream = [tasks[name] for name in task.upstream if name in tasks]
        direct = frozenset(above.task_id for above in upstream if _decides(above))
        passed_on = [by_rules.get(above.task_id, frozenset()) for above in upstream]
        is_joined = task.trigger_rule in WITH_ONE_SUCCESS and not all(passed_on)
        by_rules[task.task_id] = (
            direct if is_joined or task.trigger_rule in DESPITE_SKIPS else direct.union(*passed_on)
        )
        cut_off[task.task_id] = frozenset(above.task_id for above in upstream if _cuts_off(above)).union(
            *(cut_off.get(above.task_id, frozenset()) for above in upstream)
        )
    return {name: by_rules[name] | cut_off[name] for name in tasks}


def _decides(task: Task) -> bool:
    return _is_one_of(task, DECIDING)


def _cuts_off(task: Task) -> bool:
    """Whether it skips everything below it, whatever the trigger rules there, as a short circuit does by default."""
    return _is_one_of(task, ("ShortCircuit",)) and bool(
        task.settings.get("ignore_downstream_trigger_rules", True)
    )


def _is_one_of(task: Task, words: Sequence[str]) -> bool:
    kinds = (name.rpartition(".")[2] for name in task.classes)
    return any(word in kind for kind in kinds for word in words)


def why_version(airflow_version: str) -> str:
    """Why no operator of this Airflow version runs as it is; empty if it does, or if the version is not known."""
    if airflow_version.split(".")[0] in ("", *ENGINES):
        return ""
    return f"the inventory is of Airflow {airflow_version}, and operators run as they are in 2.7 to 2.11 and 3 only"
