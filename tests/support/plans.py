"""Plans of moves that have something to do."""

from __future__ import annotations

from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.histories import UnitHistory
from dagster_defs.lifecycle.moves import Planned, PlannedMove, plan


def planned(
    unit: Unit, move: PlannedMove, stage: Stage, history: UnitHistory, *, end_runs: bool = False
) -> Planned:
    """As `plan`, for a move that is not done yet."""
    planned = plan(unit, move, stage, history, end_runs=end_runs)
    assert isinstance(planned, Planned)
    assert planned.steps
    return planned
