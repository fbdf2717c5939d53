"""The whole project as definitions."""

from pathlib import Path

import dagster as dg

from dagster_defs.adapters.dagster.mirrors import declares_nothing


def load_project(path_within_project: Path) -> dg.Definitions:
    """Everything below defs/; nothing where it declares nothing yet, which Dagster itself takes for an error."""
    tree = dg.ComponentTree.for_project(path_within_project)
    if declares_nothing(tree.defs_module_path):
        return dg.Definitions()
    return dg.load_from_defs_folder(path_within_project=path_within_project)
