"""The whole project as definitions."""

import gc
from pathlib import Path

import dagster as dg
from dagster._utils.warnings import suppress_dagster_warnings

from dagster_defs.adapters.dagster.asked_job import asked_job
from dagster_defs.adapters.dagster.component_tree import EstateTree
from dagster_defs.adapters.dagster.forked_workers import fork_workers
from dagster_defs.adapters.dagster.job_graphs import keep_job_graphs_small
from dagster_defs.adapters.dagster.mirrors import declares_nothing
from dagster_defs.adapters.processes.collector import collector_paused
from dagster_defs.settings import Settings

PRELOADED = "dagster_defs.components.runs.preloaded"  # imported by the process that workers are forked from


@suppress_dagster_warnings  # as `dagster.load_from_defs_folder`
def load_project(path_within_project: Path, *, sole: bool = False) -> dg.Definitions:
    """Everything in defs/. An empty defs/ is accepted, although Dagster itself treats it as an error.

    `sole`: the location has no other definitions, which might need those of any unit. Then the worker of a run of one
    unit's job loads other units' assets as keys with partitions only.
    """
    tree = EstateTree.for_project(path_within_project)
    if Settings.from_process(tree.project_root).forks_workers:
        fork_workers(PRELOADED)
    if declares_nothing(tree.defs_module_path):
        return dg.Definitions()
    keep_job_graphs_small()
    with collector_paused():
        job = asked_job() if sole else None
        definitions = (job and _load_for(job, path_within_project)) or tree.load()
        if sole:
            gc.freeze()  # the definitions stay: the collector need not walk them again in this process
    return definitions


def _load_for(job: str, path_within_project: Path) -> dg.Definitions | None:
    """The definitions as far as a run of the job needs them; None if what the estate adds itself needs more."""
    tree = EstateTree.for_project(path_within_project)
    tree.job = job
    try:
        definitions = tree.load()
        definitions.get_repository_def().get_job(job)
    except Exception:  # whatever it is, loading everything says it, or does without
        return None
    return definitions
