"""The whole project as definitions."""

from pathlib import Path

import dagster as dg
from dagster._utils.warnings import suppress_dagster_warnings

from dagster_defs.adapters.dagster.component_tree import EstateTree
from dagster_defs.adapters.dagster.mirrors import declares_nothing
from dagster_defs.adapters.processes.collector import collector_paused


@suppress_dagster_warnings  # as `dagster.load_from_defs_folder`
def load_project(path_within_project: Path) -> dg.Definitions:
    """Everything in defs/. An empty defs/ is accepted, although Dagster itself treats it as an error."""
    tree = EstateTree.for_project(path_within_project)
    if declares_nothing(tree.defs_module_path):
        return dg.Definitions()
    with collector_paused():
        return tree.load()
