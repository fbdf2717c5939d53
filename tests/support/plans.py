"""Plans of moves that have something to do."""

from __future__ import annotations

from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import UnitHistory
from dagster_defs.lifecycle.moves import Planned, PlannedMove, plan


def planned(
    unit: Unit, move: PlannedMove, stage: Stage, history: UnitHistory, *, end_runs: bool = False
) -> Planned:
    """As `plan`, of a move that is not done already."""
    found = plan(unit, move, stage, history, end_runs=end_runs)
    assert isinstance(found, Planned)
    assert found.steps
    return found
