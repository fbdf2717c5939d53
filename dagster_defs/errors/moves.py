"""Moves of units, and the ledger that records them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from dagster_defs.errors.base import ParityError, UsageError

_VERBS = {"cutover": "cut over", "rollback": "roll back"}


class LedgerUnreadable(ParityError):
    """`where`: the file and the line. `unit`: the unit that the line is about; empty if that cannot be determined."""

    def __init__(self, where: str, reason: str, unit: str = "") -> None:
        self.where, self.reason, self.unit = where, reason, unit
        what = f"the ledger of {unit}" if unit else "the ledger"
        others = " Other units are not affected." if unit else ""
        super().__init__(
            f"cannot read {what}, {where}: {reason}. Nothing was done.{others} Restore the ledger's last good copy; "
            "it must never be edited by hand"
        )


class LedgerVersion(ParityError):
    def __init__(self, where: str, found: str, wanted: str) -> None:
        self.where, self.found, self.wanted = where, found, wanted
        super().__init__(
            f"the ledger, {where}, has format {found!r}, but this version reads {wanted!r}. Nothing was done. Use the "
            "version of parity that wrote it"
        )


class LedgerUnwritable(ParityError):
    """`where`: the file or folder."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(
            f"cannot write {where}: {reason}. It is unchanged. Free some space or grant write permission, then try "
            "again"
        )


class MoveInProgress(ParityError):
    """`half_done`: whoever began the move is no longer working on it."""

    def __init__(self, unit: str, move: str, operator: str, since: str, *, half_done: bool) -> None:
        self.unit, self.move, self.operator, self.since, self.half_done = (
            unit,
            move,
            operator,
            since,
            half_done,
        )
        what = f"{unit} is in the middle of {move}, begun by {operator} at {since}"
        remedy = (
            f"Finish it: parity resume {unit} --apply, or undo it: parity rollback {unit} --apply"
            if half_done
            else "It is still running. Look again: parity status"
        )
        super().__init__(f"{what}. {remedy}")


class MoveOvertaken(ParityError):
    """`what`: the unit's latest entry in the ledger."""

    def __init__(self, unit: str, what: str) -> None:
        self.unit, self.what = unit, what
        super().__init__(f"{unit} has been moved in the meantime: {what}. Look: parity status")


class MoveImpossible(UsageError):
    """`possible`: the moves that the stage allows."""

    def __init__(self, unit: str, move: str, stage: str, possible: Sequence[str]) -> None:
        self.unit, self.move, self.stage, self.possible = unit, move, stage, tuple(possible)
        super().__init__(
            f"cannot {_VERBS.get(move, move)} {unit}: it is {stage}. Possible moves: {', '.join(possible) or 'none'}"
        )


class NotDagsterOwned(UsageError):
    def __init__(self, unit: str, stage: str) -> None:
        self.unit, self.stage = unit, stage
        super().__init__(
            f"cannot backfill {unit} in Dagster: it is {stage}, so Airflow owns its windows. Clear them in Airflow, or "
            f"cut the unit over first: parity cutover {unit}"
        )


class PartOfDag(UsageError):
    """`left`: units of the DAG that were not named."""

    def __init__(self, dag_id: str, left: Sequence[str]) -> None:
        self.dag_id, self.left = dag_id, tuple(left)
        super().__init__(
            f"cannot retire only a part of {dag_id}: Airflow would no longer run {', '.join(left)}. Retire the whole "
            f"DAG: parity retire {dag_id}"
        )


class HalfRetired(ParityError):
    def __init__(self, unit: str, retired: str) -> None:
        self.unit, self.retired = unit, retired
        super().__init__(
            f"cannot roll back {unit}: {retired} of the same DAG is retired already, and Airflow no longer runs the "
            f"DAG. Finish the move: parity resume {unit} --apply"
        )


class SourceLeftBehind(ParityError):
    """`units`: to be rolled back. `left`: by mapped task that would stay with Dagster, the readers of its XComs."""

    def __init__(self, units: Sequence[str], left: Mapping[str, Sequence[str]]) -> None:
        self.units, self.left = tuple(units), {source: tuple(readers) for source, readers in left.items()}
        sources, what = list(left), "; ".join(f"{source} by {', '.join(left[source])}" for source in left)
        super().__init__(
            f"cannot roll back {', '.join(units)} without {', '.join(sources)}: the XComs of a mapped task are read in "
            f"Airflow ({what}), which would find none while Dagster runs it. Roll them back together: "
            f"parity rollback {' '.join([*units, *sources])} --apply"
        )


class ReasonMissing(UsageError):
    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} needs a reason, which is kept in the ledger. Give one: --reason TEXT")


class GateClosed(ParityError):
    """`blockers`: each with its remedy."""

    exit_code: ClassVar[int] = 3

    def __init__(self, move: str, unit: str, blockers: Sequence[str]) -> None:
        self.move, self.unit, self.blockers = move, unit, tuple(blockers)
        super().__init__(
            f"cannot {_VERBS.get(move, move)} {unit}:\n" + "\n".join(f"  - {blocker}" for blocker in blockers)
        )


class StepFailed(ParityError):
    """A step did not achieve its effect; the move is half-done. `fact` is what is true instead, `so_far` is what the
    earlier steps have changed."""

    def __init__(self, unit: str, move: str, step: str, fact: str, so_far: str = "") -> None:
        self.unit, self.move, self.step, self.fact, self.so_far = unit, move, step, fact, so_far
        changed = f" {so_far}." if so_far else ""
        undo = "" if move == "rollback" else f", or undo it: parity rollback {unit} --apply"
        super().__init__(
            f"{move} of {unit} stopped at `{step}`: {fact}.{changed} "
            f"Once that is resolved, finish it: parity resume {unit} --apply{undo}"
        )
