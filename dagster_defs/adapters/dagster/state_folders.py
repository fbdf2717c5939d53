"""The folders in which Dagster keeps the state of components, inside the project."""

from __future__ import annotations

from pathlib import Path


def make_state_folders(root: Path) -> None:
    """Dagster makes them when definitions load, which fails where the project is read-only."""
    import dagster as dg
    from dagster.components.utils.project_paths import get_local_state_path

    from dagster_defs.adapters.dagster.component_tree import EstateTree

    for component in EstateTree.for_project(root).get_all_components(of_type=dg.Component):  # type: ignore[type-abstract]  # a base class is fine here
        if isinstance(component, dg.StateBackedComponent):
            get_local_state_path(component.defs_state_config.key, root)
