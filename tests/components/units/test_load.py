"""What loading the definitions costs: each mirror is asked once, however many others look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.components.units.dbt_unit import DbtUnit
from dagster_defs.components.units.project_units import ProjectUnits
from dagster_defs.parity import Side
from tests.components.conftest import Project


@pytest.mark.parametrize("count", [2, 5])
def test_each_unit_is_asked_once(
    project: Project, dbt_unit: Callable[..., tuple[str, dict[str, Any]]], mocker: MockerFixture, count: int
) -> None:
    """Keys and selections of a mirror are found out once for each load, and so is what is broken."""
    for number in range(count):
        project.declare(f"unit_{number}", dbt_unit(unit=f"own.dbt_{number}"))
    project.declare("airflow", ("AirflowEstate", {}))
    parts = mocker.spy(DbtUnit, "make_parts")
    selections = mocker.spy(DbtWorkspace, "select")
    settled = mocker.spy(ProjectUnits, "settle")

    project.load()

    assert parts.call_count == count
    assert selections.call_count == count * len(Side)
    assert settled.call_count == 1
