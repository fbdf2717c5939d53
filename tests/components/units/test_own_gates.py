"""A unit's own gates in its YAML."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.components.units.gates import Gates
from dagster_defs.components.units.unit import UnitComponent
from dagster_defs.components.units.unit_schedule import UnitSchedule
from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle.settings import Gate, GateSettings


def unit(**gates: Any) -> UnitComponent:
    schedule = UnitSchedule("0 6 * * *", "2024-01-01")
    return UnitComponent("taxi_daily.dbt_daily", schedule, gates=Gates(**gates))


def test_a_unit_has_the_usual_gates() -> None:
    """Without a word in its YAML a unit has the project's own bounds."""
    assert UnitComponent("d.t", UnitSchedule("@daily", "2024-01-01")).gate_settings == GateSettings()


def test_a_unit_has_its_own_bounds() -> None:
    """What the YAML says counts, and what it leaves out is as for every unit."""
    assert unit(windows=3, without=["rehearsed"], undetermined=["ordering"]).gate_settings == GateSettings(
        windows=3, without=(Gate.REHEARSED,), undetermined=("ordering",)
    )


@pytest.mark.parametrize("said", [True, False])
def test_a_unit_may_go_back_by_itself(said: bool) -> None:
    """Whether a failing run rolls a soaking unit back is said in its YAML; without a word it does not."""
    assert unit(rollback_on_failure=said).gate_settings.rollback_on_failure is said
    assert unit().gate_settings.rollback_on_failure is False


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({"windows": -1}, "`gates.windows` is -1"),
        ({"without": ["weather"]}, "`gates.without` names weather. Known names: mirror, held, marks"),
        ({"undetermined": ["mood"]}, "`gates.undetermined` names mood. Known names: windows, variables"),
    ],
    ids=["negative", "no-gate", "no-facet"],
)
def test_a_bound_that_cannot_be_is_refused(gates: dict[str, Any], message: str) -> None:
    """A number below zero, and a name that is no gate or no facet, is refused when the YAML is loaded."""
    with pytest.raises(BadUnit, match=rf"unit taxi_daily.dbt_daily: {message}"):
        unit(**gates).refuse_bad_limits()
