"""Which units of a status are shown, and which of them need somebody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.lifecycle import Owner, Stage, Unit, UnitState
from dagster_defs.lifecycle.broken import Fault
from dagster_defs.lifecycle.conditions import Condition, ConditionKind
from dagster_defs.lifecycle.status import Shown, Status
from dagster_defs.parity import Verdict

UNITS = [Unit(dag, task) for dag in ("orders", "stock") for task in ("load", "build", "check")]
OWNERS = ["team:shop", "team:books", "ada@example.com"]
some_units = st.frozensets(st.sampled_from(UNITS))


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    there = sorted(draw(some_units))
    marked = st.sampled_from([None, *Owner])
    return Status(
        tuple(UnitState(unit, draw(st.sampled_from(Stage)), draw(marked)) for unit in there),
        conditions={
            unit: Condition(draw(st.sampled_from(ConditionKind)), next=f"next {unit}") for unit in there
        },
        verdicts={unit: frozenset(draw(st.sets(st.sampled_from(Verdict)))) for unit in there},
        owners={unit: tuple(draw(st.sets(st.sampled_from(OWNERS)))) for unit in there},
        drifted=tuple(draw(some_units)),
        not_in_airflow=tuple(draw(some_units)),
        broken=(Fault("no such model", tuple(map(str, draw(some_units)))),),
    )


shown = st.builds(
    Shown,
    units=st.none() | some_units,
    stages=st.frozensets(st.sampled_from(Stage)),
    owner=st.none() | st.sampled_from(Owner),
    team=st.sampled_from(["", "shop", *OWNERS]),
    verdicts=st.frozensets(st.sampled_from(Verdict)),
    failing=st.booleans(),
)


@given(statuses(), shown)
def test_a_unit_is_shown_if_all_of_it_holds(status: Status, asked: Shown) -> None:
    """Each choice leaves out what it names, none adds or reorders, and what is next is a shown unit's."""
    found = status.only(asked)

    def holds(state: UnitState) -> bool:
        assert status.conditions is not None
        kept, owners = status.verdicts[state.unit], status.owners[state.unit]
        needs_somebody = (
            kept - {Verdict.MATCH}
            or state.unit in {*status.drifted, *status.not_in_airflow}
            or str(state.unit) in status.broken[0].units
            or status.conditions[state.unit].kind is ConditionKind.HALF_DONE
        )
        return bool(
            (asked.units is None or state.unit in asked.units)
            and (not asked.stages or state.stage in asked.stages)
            and asked.owner in (None, state.owner)
            and asked.team in ("", *owners, *(owner.removeprefix("team:") for owner in owners))
            and (not asked.verdicts or kept.intersection(asked.verdicts))
            and (needs_somebody or not asked.failing)
        )

    assert found.states == tuple(state for state in status.states if holds(state))
    assert found.of == len(status.states)
    assert found.broken == status.broken
    if found.next_command:
        assert found.next_command.removeprefix("next ") in {str(state.unit) for state in found.states}


@given(statuses())
def test_asking_for_nothing_shows_everything(status: Status) -> None:
    """Without units and without a condition, the status is the whole one."""
    assert status.only(Shown()).states == status.states
