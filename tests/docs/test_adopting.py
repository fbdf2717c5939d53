"""docs/adopting.md is a complete reference of the component types."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

import dagster_defs.components
from dagster_defs.components.units.compared_model import ComparedModel
from dagster_defs.components.units.dbt_program import DbtProgram
from dagster_defs.components.units.outputs import NoOutputs, OutputWarehouse, UnitOutput
from dagster_defs.components.units.python_unit import ExternalAsset
from dagster_defs.components.units.unit_schedule import UnitSchedule
from dagster_defs.components.units.waits_for import WaitsFor
from tests.support.documents import document

TYPES = [getattr(dagster_defs.components, name) for name in dagster_defs.components.__all__]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_attribute_of_a_component_is_documented(kind: Any) -> None:
    """Each attribute of the type's YAML has a row in its section, and there is no other row."""
    section = document("docs/adopting.md").section(f"### `{kind.__name__}`")
    assert _rows(section) == _attributes(kind)


def test_the_outputs_are_documented() -> None:
    """Each attribute of an output has a row."""
    assert _rows(document("docs/adopting.md").section("### `outputs`")) == _attributes(UnitOutput)


def test_the_schedule_is_documented() -> None:
    """Each attribute of `schedule` has a row."""
    assert _rows(document("docs/adopting.md").section("### `schedule`")) == _attributes(UnitSchedule)


@pytest.mark.parametrize(
    "kind",
    [ComparedModel, DbtProgram, ExternalAsset, NoOutputs, OutputWarehouse, WaitsFor],
    ids=lambda kind: kind.__name__,
)
def test_small_records_are_named(kind: Any) -> None:
    """The attributes of the small records stand somewhere in the text."""
    text = document("docs/adopting.md").text
    assert all(f"`{name}`" in text for name in _attributes(kind))


def _rows(section: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))


def _attributes(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}
