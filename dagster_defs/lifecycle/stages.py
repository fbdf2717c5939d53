"""The moves of a unit, and where each leads from each stage."""

from __future__ import annotations

from collections.abc import Mapping

from dagster_defs.lifecycle.units import Stage
from dagster_defs.older_python import StrEnum


class Move(StrEnum):
    """What a person can do to a unit."""

    __hash__ = str.__hash__  # Enum's own takes five times as long

    SHADOW = "shadow"
    CUTOVER = "cutover"
    ROLLBACK = "rollback"
    HOLD = "hold"
    RELEASE = "release"
    RETIRE = "retire"
    BACKFILL = "backfill"
    MEND = "mend"  # corrects a drifted mark; begun by `parity resume`


TRANSITIONS: Mapping[tuple[Stage, Move], Stage] = {
    (Stage.OBSERVED, Move.SHADOW): Stage.SHADOWED,
    (Stage.SHADOWED, Move.CUTOVER): Stage.CUT_OVER,
    (Stage.CUT_OVER, Move.ROLLBACK): Stage.SHADOWED,
    (Stage.CUT_OVER, Move.RETIRE): Stage.RETIRED,
    **{
        (stage, move): stage
        for stage in (Stage.OBSERVED, Stage.SHADOWED, Stage.CUT_OVER)
        for move in (Move.HOLD, Move.RELEASE)
    },
    **{(stage, Move.BACKFILL): stage for stage in (Stage.CUT_OVER, Stage.RETIRED)},
    **{(stage, Move.MEND): stage for stage in Stage},
}

# The stage of a unit for which nothing is left to do in a move.
ARRIVED: Mapping[Move, frozenset[Stage]] = {
    Move.SHADOW: frozenset({Stage.SHADOWED}),
    Move.CUTOVER: frozenset({Stage.CUT_OVER}),
    Move.ROLLBACK: frozenset({Stage.SHADOWED, Stage.OBSERVED}),
    Move.HOLD: frozenset(),
    Move.RELEASE: frozenset(),
    Move.RETIRE: frozenset({Stage.RETIRED}),
    Move.BACKFILL: frozenset(),
    Move.MEND: frozenset(),
}

# What a person would do next with a unit that has no blockers.
NEXT: Mapping[Stage, Move] = {
    Stage.OBSERVED: Move.SHADOW,
    Stage.SHADOWED: Move.CUTOVER,
    Stage.CUT_OVER: Move.RETIRE,
}


def moves_from(stage: Stage) -> list[Move]:
    """The moves that a person requests by name."""
    return [move for (from_, move) in TRANSITIONS if from_ is stage and move is not Move.MEND]
