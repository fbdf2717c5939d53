"""Histories of a unit at each stage, for tests of what rests on them."""

from __future__ import annotations

from datetime import datetime, timezone

from typing_extensions import assert_never

from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.histories import Backfilled, CutOver, Observed, Retired, Shadowed, UnitHistory
from dagster_defs.lifecycle.ledger import Entry, Kind, OpenMove
from dagster_defs.lifecycle.stages import Move


def history_at(
    unit: Unit, stage: Stage, open_move: OpenMove | None = None, backfills: tuple[Backfilled, ...] = ()
) -> UnitHistory:
    """`backfills` are kept where the stage has any."""
    match stage:
        case Stage.OBSERVED:
            return Observed(unit, open=open_move)
        case Stage.SHADOWED:
            return Shadowed(unit, open=open_move)
        case Stage.CUT_OVER:
            return CutOver(unit, open=open_move, backfills=backfills)
        case Stage.RETIRED:
            at = datetime(2024, 3, 8, tzinfo=timezone.utc)
            end = Entry("r", at, "ada@ops", unit, Move.RETIRE, Kind.DONE, Stage.CUT_OVER)
            return Retired(unit, open=open_move, retirement=end)
        case _:
            assert_never(stage)
