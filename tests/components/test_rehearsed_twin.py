"""A rehearsal loads a mirror twice: once to read it, once to run its candidate job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from dagster_defs.adapters.dbt import workspaces
from dagster_defs.components.units.unit import UnitComponent
from tests.components.conftest import Project
from tests.support.trees import component_tree

Declared = tuple[str, dict[str, Any]]


def tree_of(project: Project) -> dg.ComponentTree:
    return component_tree(project.defs_folder, project.estate.root)


@pytest.mark.parametrize(("mirrors", "broken"), [(1, False), (2, True)])
def test_a_mirror_of_an_earlier_load_is_no_second_one(
    project: Project,
    dbt_unit: Callable[..., Declared],
    monkeypatch: pytest.MonkeyPatch,
    mirrors: int,
    broken: bool,
) -> None:
    """It stands in the place of its twin of the later load; two in the YAML are still two."""
    monkeypatch.setattr(workspaces, "_WORKSPACES", {})
    for number in range(mirrors):
        project.declare(f"own{number}", dbt_unit())
    with project.estate.entered():
        earlier = tree_of(project).get_all_components(of_type=UnitComponent)[0]
        context = tree_of(project).load_context
        if broken:
            with pytest.raises(Exception, match="mirrors are declared for it"):
                earlier.building_defs(context)
        else:
            job = earlier.building_defs(context).resolve_job_def("shadow__own__dbt")
            assert job.name == "shadow__own__dbt"
