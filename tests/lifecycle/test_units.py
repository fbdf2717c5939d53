"""Units, their names, their stage and their owner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle import Owner, Stage, Unit, UnitState, state_of

NAMES = st.text(alphabet="abzAZ09_-. äß", min_size=1, max_size=12)
UNIT = Unit("taxi_daily", "dbt_daily")


@given(dag_id=NAMES.filter(lambda name: "." not in name), task_id=NAMES)
def test_a_name_is_read_back(dag_id: str, task_id: str) -> None:
    """Whatever a task is called, also in a task group, its unit's name gives the same unit again."""
    unit = Unit(dag_id, task_id)

    assert Unit.parse(str(unit)) == unit


@given(dag_id=NAMES, task_id=NAMES)
def test_an_identifier_is_a_name_for_dagster(dag_id: str, task_id: str) -> None:
    """Job and op names have letters, digits and underscores only."""
    assert all(
        char.isascii() and (char.isalnum() or char == "_") for char in Unit(dag_id, task_id).identifier
    )


@pytest.mark.parametrize("text", ["", "dag", ".task", "dag.", "."])
def test_a_name_needs_both_parts(text: str) -> None:
    """A name without a DAG or without a task is refused, and the error says how to write one."""
    with pytest.raises(BadUnit, match=r"dag_id\.task_id\. Write for example"):
        Unit.parse(text)


@pytest.mark.parametrize(
    ("stage", "owner"),
    [
        (Stage.OBSERVED, Owner.AIRFLOW),
        (Stage.SHADOWED, Owner.AIRFLOW),
        (Stage.CUT_OVER, Owner.DAGSTER),
        (Stage.RETIRED, Owner.DAGSTER),
    ],
)
def test_the_owner_follows_from_the_stage(stage: Stage, owner: Owner) -> None:
    """Airflow owns a unit until it is cut over; every stage has an owner."""
    assert UnitState(UNIT, stage).owner is owner


@pytest.mark.parametrize(
    ("proxied", "stage"),
    [
        ({}, Stage.OBSERVED),
        ({UNIT: False}, Stage.OBSERVED),
        ({UNIT: True}, Stage.CUT_OVER),
        ({Unit("taxi_daily", "other"): True}, Stage.OBSERVED),
    ],
)
def test_a_mark_decides_the_stage(proxied: dict[Unit, bool], stage: Stage) -> None:
    """A unit is cut over if, and only if, its own mark says so."""
    assert state_of(UNIT, proxied).stage is stage


@pytest.mark.parametrize(
    ("recorded", "marked", "owner"),
    [
        (Stage.SHADOWED, False, Owner.AIRFLOW),
        (Stage.SHADOWED, True, Owner.DAGSTER),
        (Stage.CUT_OVER, True, Owner.DAGSTER),
        (Stage.CUT_OVER, False, Owner.AIRFLOW),
        (Stage.RETIRED, False, Owner.DAGSTER),
    ],
)
def test_the_ledger_has_the_stage_and_the_mark_the_owner(recorded: Stage, marked: bool, owner: Owner) -> None:
    """The stage is what the ledger says; where the mark says another thing, as in the middle of a move, it names
    the owner, because Airflow does what the mark says."""
    state = state_of(UNIT, {UNIT: marked}, recorded=recorded)

    assert (state.stage, state.owner) == (recorded, owner)
