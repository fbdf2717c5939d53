"""What operators with a field for each option of dbt would run."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.inventory import UnitReading
from tests.support.inventory_samples import read

PLAIN = "airflow_dbt.operators.dbt_operator"
IN_PYTHON = "airflow_dbt_python.operators.dbt"


def unit_of(operator: str, **given: Any) -> UnitReading:
    """A task whose fields are no templates, as those of airflow-dbt are."""
    return read({}, operator=operator, settings=given, given=sorted(given))


@pytest.mark.parametrize(
    ("operator", "given", "words"),
    [
        (f"{PLAIN}.DbtRunOperator", {"models": "orders stock"}, ["orders", "stock"]),
        (f"{PLAIN}.DbtRunOperator", {"select": "tag:daily", "dir": "/srv/dbt"}, ["tag:daily"]),
        (f"{PLAIN}.DbtTestOperator", {"data": True}, ["test_type:singular"]),
        (f"{PLAIN}.DbtTestOperator", {"schema": True}, ["test_type:generic"]),
        (f"{IN_PYTHON}.DbtTestOperator", {"singular": True}, ["test_type:singular"]),
        (f"{IN_PYTHON}.DbtRunOperator", {"select": ["+orders"], "threads": 4}, ["+orders"]),
    ],
)
def test_a_field_that_is_no_template_selects(operator: str, given: dict[str, Any], words: list[str]) -> None:
    """A selection does not vanish because Airflow does not render its field."""
    unit = unit_of(operator, **given)

    assert unit.determined, unit.reason
    assert [list(call.selection.select) for call in unit.invocations] == [words]


def test_options_are_as_on_the_command_line() -> None:
    """A flag, a value, and a list of values; what the sub-command does not have is not given to it."""
    operator = f"{IN_PYTHON}.DbtBuildOperator"
    unit = unit_of(
        operator, fail_fast=True, threads=8, resource_types=["model"], project_dir="/srv", print=None
    )

    assert unit.determined, unit.reason
    assert unit.invocations[0].selection.options == ("--resource-types", "model")
    assert unit.invocations[0].folder == "/srv"


def test_a_field_that_an_older_exporter_leaves_out_is_asked_for() -> None:
    """It may be the selection: nothing is claimed without it."""
    unit = read({}, operator=f"{PLAIN}.DbtRunOperator", given=["models"])

    assert not unit.determined
    assert "the inventory does not say what its `models` is: export it again" in unit.reason


def test_a_macro_is_called_by_either_name() -> None:
    """Cosmos and airflow-dbt-python name the field differently."""
    for operator, name in (
        (f"{IN_PYTHON}.DbtRunOperationOperator", "macro"),
        ("cosmos.x.DbtRunOperationY", "macro_name"),
    ):
        assert unit_of(operator, **{name: "grant"}).determined
