"""What a move would change: an ordered list of steps. `explained` reads them, `usecases/move/carry_out.py` takes them.

Each step names the fact that it brings about; taking it when that fact already holds changes nothing. So an
interrupted move is finished by taking all steps again. The order ensures that no window is ever without an owner or
has two: Dagster before Airflow on the way in, Airflow before Dagster on the way back (decision 14).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from typing_extensions import assert_never

from dagster_defs.errors import LedgerVersion, MoveImpossible, MoveInProgress
from dagster_defs.lifecycle.histories import UnitHistory, cutover_of, hold_of
from dagster_defs.lifecycle.ledger import SCHEMA, Kind, OpenMove
from dagster_defs.lifecycle.stages import ARRIVED, TRANSITIONS, Move, moves_from
from dagster_defs.lifecycle.units import Owner, Stage, Unit
from dagster_defs.parity import Side
from dagster_defs.windows import instant_text

PlannedMove = Literal[Move.SHADOW, Move.CUTOVER, Move.ROLLBACK, Move.RETIRE, Move.HOLD, Move.RELEASE]
Begun = Literal[Move.SHADOW, Move.CUTOVER, Move.ROLLBACK, Move.RETIRE]  # the moves of more than one step
Opened = Begun | Literal[Move.MEND]


@dataclass(frozen=True, slots=True)
class Record:
    """An entry of this kind is in the ledger."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class CheckDefinitions:
    """Dagster is up and has loaded the unit's job for that side."""

    side: Side


@dataclass(frozen=True, slots=True)
class AwaitNoLiveRun:
    """This orchestrator is not running the unit."""

    owner: Owner


@dataclass(frozen=True, slots=True)
class AwaitNoStrayRun:
    """No Dagster run of the unit continues without an Airflow task that waits for it."""


@dataclass(frozen=True, slots=True)
class EndRuns:
    """Dagster's live runs of the unit have been told to end; `stray`: only those that no task is waiting for."""

    stray: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """`proxied_state/` says that the next task to start belongs to this orchestrator."""

    owner: Owner


@dataclass(frozen=True, slots=True)
class AwaitServed:
    """The next try of Airflow's task is the owner's: the task is a proxy, or has a switch that obeys the mark."""

    owner: Owner


@dataclass(frozen=True, slots=True)
class CheckSchedule:
    """Dagster has the job of the unit's DAG, and whatever starts it for each window is switched on. A person starts
    that of a DAG without a clock."""


@dataclass(frozen=True, slots=True)
class AwaitRest:
    """Airflow's DAG is paused, none of its runs is still running, and Airflow says which window would come next, if the
    DAG has windows."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Airflow's DAG is not paused."""


Step = (
    Record
    | CheckDefinitions
    | CheckSchedule
    | AwaitNoLiveRun
    | AwaitNoStrayRun
    | AwaitRest
    | Wake
    | EndRuns
    | Mark
    | AwaitServed
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A move that has steps to take. `finishes`: the open move that this one continues or undoes; an `intended` among
    the steps begins a move of its own after it. `since`: for a rollback, when the unit was cut over."""

    unit: Unit
    move: Move
    from_: Stage
    to: Stage
    steps: tuple[Step, ...]
    finishes: OpenMove | None = None
    since: datetime | None = None

    def as_json(self) -> Mapping[str, Any]:
        return {
            "unit": str(self.unit),
            "move": self.move.value,
            "from": self.from_.value,
            "to": self.to.value,
            "already": "",
            "steps": list(explained(self)),
        }


@dataclass(frozen=True, slots=True)
class Done:
    """A move with nothing left to do. `said`: `already cut_over`."""

    unit: Unit
    move: Move
    stage: Stage
    said: str

    def as_json(self) -> Mapping[str, Any]:
        """In the form of a proposal without steps or blockers."""
        return {
            "unit": str(self.unit),
            "move": self.move.value,
            "from": self.stage.value,
            "to": self.stage.value,
            "already": self.said,
            "steps": [],
            "blockers": [],
        }


def plan(
    unit: Unit, move: PlannedMove, stage: Stage, history: UnitHistory, *, end_runs: bool = False
) -> Done | Planned:
    """The steps of a move, or what is left of them.

    `end_runs`: a rollback ends Dagster's live runs instead of waiting for them. Raises MoveInProgress if another
    move is open, MoveImpossible if none leads this way.
    """
    if move is Move.HOLD or move is Move.RELEASE:
        return _holding(unit, move, stage, history)
    if history.open is not None:
        if move is Move.ROLLBACK:
            undoing = undo(history.open, end_runs=end_runs)
            return undoing if undoing.to is stage else replace(undoing, since=_since(history))
        raise in_progress(history.open, half_done=True)
    if stage in ARRIVED[move]:
        return Done(unit, move, stage, f"already {stage}")
    if (stage, move) not in TRANSITIONS:
        raise MoveImpossible(str(unit), move.value, stage.value, [each.value for each in moves_from(stage)])
    steps = (Record(Kind.INTENDED), *_between(move, end_runs=end_runs), Record(Kind.DONE))
    since = _since(history) if move is Move.ROLLBACK else None
    return Planned(unit, move, stage, TRANSITIONS[stage, move], steps, since=since)


def _since(history: UnitHistory) -> datetime | None:
    cutover = cutover_of(history)
    return cutover.at if cutover else None


def resume(open_move: OpenMove, *, end_runs: bool = False) -> Planned:
    """The steps that finish the open move, or the undoing of it that has begun."""
    if open_move.back:
        return undo(open_move, end_runs=end_runs)
    intent = open_move.intent
    move = _begun(open_move)
    between = (
        _mending(intent.stage, end_runs=end_runs) if move is Move.MEND else _between(move, end_runs=end_runs)
    )
    steps = (*between, Record(Kind.DONE))
    return Planned(
        intent.unit, intent.move, intent.stage, TRANSITIONS[intent.stage, intent.move], steps, open_move
    )


def undo(open_move: OpenMove, *, end_runs: bool = False) -> Planned:
    """The steps that bring the unit back to where the open move began.

    A rollback is finished instead, and so is the mending of a mark that should be Airflow's or of a retired unit: there
    is no other way back. If the mark was to be Dagster's, the mending is given up and a whole rollback follows.
    """
    intent, move = open_move.intent, _begun(open_move)
    if move is Move.MEND and intent.stage is Stage.CUT_OVER:
        between = _between(Move.ROLLBACK, end_runs=end_runs)
        steps = (Record(Kind.UNDONE), Record(Kind.INTENDED), *between, Record(Kind.DONE))
        return Planned(intent.unit, Move.ROLLBACK, intent.stage, Stage.SHADOWED, steps, open_move)
    if move is Move.ROLLBACK or move is Move.MEND:
        return resume(OpenMove(intent), end_runs=end_runs)
    turn = () if open_move.back else (Record(Kind.TURNED_BACK),)
    back = () if intent.paused else _back(move, end_runs=end_runs)
    steps = (*turn, *back, Record(Kind.UNDONE))
    return Planned(intent.unit, Move.ROLLBACK, intent.stage, intent.stage, steps, open_move)


def mend(unit: Unit, stage: Stage, *, end_runs: bool = False) -> Planned:
    """The steps that make the mark, and so Airflow, agree with the ledger again: a move with an entry like any other,
    which waits for live runs like the move that set the stage."""
    steps = (Record(Kind.INTENDED), *_mending(stage, end_runs=end_runs), Record(Kind.DONE))
    return Planned(unit, Move.MEND, stage, stage, steps)


def record_rehearsal(unit: Unit, stage: Stage) -> Planned:
    """Records that the unit's rollback was rehearsed elsewhere."""
    return Planned(unit, Move.ROLLBACK, stage, stage, (Record(Kind.REHEARSED),))


def explained(plan: Planned) -> Iterator[str]:
    """Each step in words, as a fact that will hold."""
    for step in plan.steps:
        yield in_words(step, plan.unit)


def in_words(step: Step, unit: Unit) -> str:
    match step:
        case Record(kind):
            return f"the ledger says: {kind.value.replace('_', ' ')}"
        case CheckDefinitions(side):
            return f"Dagster has loaded the unit's {'candidate ' if side is Side.CANDIDATE else ''}job"
        case CheckSchedule():
            text = f"Dagster has loaded the job of {unit.dag_id} and starts it for each window"
            return f"{text}, or a person does if the DAG has no clock"
        case AwaitRest():
            return f"Airflow has paused {unit.dag_id} between two of its runs"
        case Wake():
            return f"Airflow runs {unit.dag_id} again"
        case AwaitNoLiveRun(owner):
            return f"no {owner.value.title()} run of the unit is under way"
        case AwaitNoStrayRun():
            return "no Dagster run of the unit goes on without Airflow's task"
        case EndRuns(stray):
            which = "runs of the unit without Airflow's task" if stray else "live runs of the unit"
            return f"Dagster's {which} have been told to end"
        case Mark(owner):
            says = "marks" if owner is Owner.DAGSTER else "does not mark"
            whose = f"a task that starts now belongs to {owner.value.title()}"
            return f"{unit.dag_id}.yaml {says} {unit.task_id} as proxied: {whose}"
        case AwaitServed(owner):
            return f"Airflow's next try is {'handed to Dagster' if owner is Owner.DAGSTER else 'its own'}"
        case _:
            assert_never(step)


def while_it_waits(plan: Planned, step: Step) -> str:
    """What already holds if a plan stops at this step, and what that means, in words; empty if nothing has changed that
    a person must know about."""
    if Mark(Owner.AIRFLOW) not in plan.steps[: plan.steps.index(step)]:
        return ""
    mine = "The mark is back: a task that starts now belongs to Airflow"
    if step in (EndRuns(stray=False), AwaitNoLiveRun(Owner.DAGSTER)):
        return (
            f"{mine}. Only Dagster can say that none of its runs is still writing. Until it has, do not clear any task "
            "of a window that Dagster may have begun"
        )
    return mine


def in_progress(open_move: OpenMove, *, half_done: bool) -> MoveInProgress:
    intent = open_move.intent
    since = instant_text(intent.at, "seconds")
    return MoveInProgress(str(intent.unit), str(open_move), intent.operator, since, half_done=half_done)


def _between(move: Begun, *, end_runs: bool) -> tuple[Step, ...]:
    """The steps between the intent and the end of a move."""
    match move:
        case Move.SHADOW:
            return (CheckDefinitions(Side.CANDIDATE),)
        case Move.CUTOVER:
            return (
                CheckDefinitions(Side.LEGACY),
                AwaitNoLiveRun(Owner.AIRFLOW),
                Mark(Owner.DAGSTER),
                AwaitServed(Owner.DAGSTER),
            )
        case Move.ROLLBACK:
            # Stray runs first: otherwise Airflow's own task would start beside one for the same window.
            strays = (EndRuns(stray=True),) if end_runs else ()
            live = (EndRuns(stray=False),) if end_runs else ()
            return (
                *strays,
                AwaitNoStrayRun(),
                Mark(Owner.AIRFLOW),
                AwaitServed(Owner.AIRFLOW),
                *live,
                AwaitNoLiveRun(Owner.DAGSTER),
            )
        case Move.RETIRE:
            # Dagster's schedule waits for the final ledger entry: until then nobody starts a window.
            return (
                CheckDefinitions(Side.LEGACY),
                CheckSchedule(),
                AwaitNoStrayRun(),
                AwaitRest(),
                AwaitNoLiveRun(Owner.DAGSTER),
            )
        case _:
            assert_never(move)


def _mending(stage: Stage, *, end_runs: bool) -> tuple[Step, ...]:
    if stage is Stage.RETIRED:
        # Its task stays a proxy for as long as Airflow has it: its own operator would write beside Dagster.
        return (Mark(Owner.DAGSTER),)
    return _between(Move.CUTOVER if stage is Stage.CUT_OVER else Move.ROLLBACK, end_runs=end_runs)


def _back(move: Opened, *, end_runs: bool) -> tuple[Step, ...]:
    """The steps that undo those of a move that was begun."""
    match move:
        case Move.CUTOVER:
            return _between(Move.ROLLBACK, end_runs=end_runs)
        case Move.RETIRE:
            return (Wake(),)
        case Move.SHADOW | Move.ROLLBACK | Move.MEND:
            return ()
        case _:
            assert_never(move)


def _holding(
    unit: Unit, move: Literal[Move.HOLD, Move.RELEASE], stage: Stage, history: UnitHistory
) -> Done | Planned:
    if (stage, move) not in TRANSITIONS:
        raise MoveImpossible(str(unit), move.value, stage.value, [each.value for each in moves_from(stage)])
    held = hold_of(history) is not None
    if held is (move is Move.HOLD):
        return Done(unit, move, stage, "already held" if held else "not held")
    kind = Kind.HELD if move is Move.HOLD else Kind.RELEASED
    return Planned(unit, move, stage, stage, (Record(kind),))


def _begun(open_move: OpenMove) -> Opened:
    """The open move, as one that this version can finish. Raises LedgerVersion otherwise."""
    move = open_move.move
    match move:
        case Move.SHADOW | Move.CUTOVER | Move.ROLLBACK | Move.RETIRE | Move.MEND:
            return move
        case _:
            raise LedgerVersion(f"the open move of {open_move.intent.unit}", f"a {move}", SCHEMA)
