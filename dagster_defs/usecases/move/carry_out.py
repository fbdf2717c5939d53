"""Takes the steps of a plan, and after each one waits for the fact that it should bring about."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol

from typing_extensions import assert_never

from dagster_defs.adapters.processes.waiting import Reminder
from dagster_defs.errors import MoveOvertaken, ServerFault, StepFailed
from dagster_defs.lifecycle import Owner, Unit
from dagster_defs.lifecycle.histories import UnitHistory
from dagster_defs.lifecycle.ledger import Begin, Entry, Kind
from dagster_defs.lifecycle.moves import (
    AwaitNoLiveRun,
    AwaitNoStrayRun,
    AwaitRest,
    AwaitServed,
    CheckDefinitions,
    CheckSchedule,
    EndRuns,
    Mark,
    Planned,
    Record,
    Step,
    Wake,
    explained,
    in_words,
    while_it_waits,
)
from dagster_defs.lifecycle.stages import Move
from dagster_defs.parity import Side

PAUSE = 0.5  # seconds between two polls of a fact


class Orchestrators(Protocol):
    """What a step reads or changes outside the ledger. Raises AirflowFault or DagsterFault if a server does
    not answer."""

    def marked(self, unit: Unit) -> bool | None:
        """Whether a task that starts now is handed to Dagster; None if its mark cannot be read."""
        ...

    def refuse_unmarkable(self, unit: Unit) -> None:
        """Raises a ParityError if the unit's mark could not be written, whatever its value."""
        ...

    def mark(self, unit: Unit, owner: Owner) -> None: ...

    def served_by(self, unit: Unit) -> Owner:
        """Whose the task's next try would be; it follows the mark within seconds, and at once for a task with a
        switch."""
        ...

    def missing_definitions(self, unit: Unit, side: Side) -> str:
        """Why Dagster could not run the unit's job; empty if it could."""
        ...

    def missing_schedule(self, unit: Unit) -> str:
        """Why Dagster would not start the windows of the unit's DAG; empty if it would."""
        ...

    def is_paused(self, unit: Unit) -> bool:
        """Whether the unit's DAG is paused in Airflow."""
        ...

    def rest(self, unit: Unit, *, may_wake: bool) -> str:
        """Pause the unit's DAG in Airflow between two runs; returns why it is not at rest yet, or an empty string.

        `may_wake`: whether the DAG may be unpaused for a run with tasks left, which is wrong if a person paused it.
        """
        ...

    def wake(self, unit: Unit) -> None:
        """Unpause the unit's DAG in Airflow."""
        ...

    def next_window(self, unit: Unit) -> datetime | None:
        """The start of the window that Airflow would run next if the DAG were not paused; None for a DAG without a
        clock."""
        ...

    def live_runs(self, unit: Unit, owner: Owner) -> Sequence[str]:
        """The unit's live runs on the legacy side, described for a person."""
        ...

    def stray_runs(self, unit: Unit) -> Sequence[str]:
        """Dagster's live runs of the unit that no Airflow task waits for, described for a person."""
        ...

    def end_runs(self, unit: Unit, *, stray: bool) -> None:
        """Terminate Dagster's live runs, or only the stray ones; they may take a while to end."""
        ...


class LedgerStore(Protocol):
    """What a move needs of the ledger."""

    def history(self, unit: Unit) -> UnitHistory: ...

    def append(self, entry: Entry) -> None: ...

    def moving(self, unit: Unit) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds to wait for each fact. Airflow took up to 18 s (measured) to serve a changed operator."""

    definitions: float = 30
    served: float = 120
    live_runs: float = 900
    stray_runs: float = 120
    rest: float = 7200


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Mover:
    """Carries out one person's command. `reason` and the `forced` gates go to the ledger.

    Every `say_seconds`, `say` is told what a step is still waiting for.
    """

    ledger: LedgerStore
    world: Orchestrators
    operator: str
    reason: str = ""
    forced: tuple[str, ...] = ()
    patience: Patience = field(default_factory=Patience)
    say: Callable[[str], None] = lambda line: None
    say_seconds: float = 5
    now: Callable[[], datetime] = _now

    def apply(self, plan: Planned) -> Iterator[Step]:
        """Take the steps one by one and yield each once its fact holds; stopping in between counts as a crash.

        Raises StepFailed if a fact does not hold in time, MoveInProgress or MoveOvertaken if somebody else was faster,
        LedgerUnwritable if the ledger or the mark cannot be written.
        """
        with self.ledger.moving(plan.unit):
            self._refuse_old(plan)
            if any(isinstance(step, Mark) for step in plan.steps):
                self.world.refuse_unmarkable(plan.unit)  # before the intent: nothing is left half-done
            intent = plan.finishes.intent if plan.finishes else None
            attempt = intent.id if intent else _new_id()
            for step in plan.steps:
                if intent and step == Record(
                    Kind.INTENDED
                ):  # the open move was finished: this one starts anew
                    intent, attempt = None, _new_id()
                self._take(step, plan, attempt, intent)
                yield step

    def _refuse_old(self, plan: Planned) -> None:
        """Raises MoveOvertaken: the plan was made before the unit was locked."""
        open_move = self.ledger.history(plan.unit).open
        if plan.finishes and (open_move is None or open_move.intent.id != plan.finishes.intent.id):
            raise MoveOvertaken(str(plan.unit), "the half-done move is over")

    def _take(self, step: Step, plan: Planned, attempt: str, intent: Entry | None) -> None:
        unit, world, patience = plan.unit, self.world, self.patience
        match step:
            case Record(kind):
                self.ledger.append(self._entry(kind, plan, attempt, intent))
            case CheckDefinitions(side):
                self._await(step, plan, patience.definitions, lambda: world.missing_definitions(unit, side))
            case CheckSchedule():
                self._await(step, plan, patience.definitions, lambda: world.missing_schedule(unit))
            case AwaitRest():
                open_move = self.ledger.history(unit).open
                may_wake = open_move is not None and not open_move.intent.paused
                self._await(step, plan, patience.rest, lambda: world.rest(unit, may_wake=may_wake))
            case Wake():
                self._await(step, plan, patience.definitions, lambda: _wake(world, unit))
            case AwaitNoLiveRun(owner):
                self._await(
                    step, plan, patience.live_runs, lambda: _under_way(world.live_runs(unit, owner), owner)
                )
            case AwaitNoStrayRun():
                self._await(
                    step, plan, patience.stray_runs, lambda: _under_way(world.stray_runs(unit), Owner.DAGSTER)
                )
            case EndRuns(stray):
                self._await(step, plan, patience.definitions, lambda: _end_runs(world, unit, stray))
            case Mark(owner):
                if world.marked(unit) is not (owner is Owner.DAGSTER):
                    world.mark(unit, owner)
            case AwaitServed(owner):
                self._await(step, plan, patience.served, lambda: _served(world.served_by(unit), owner))
            case _:
                assert_never(step)

    def _await(self, step: Step, plan: Planned, seconds: float, problem: Callable[[], str]) -> None:
        """Raises StepFailed after that many seconds, or at once for an answer that will not change."""
        until = time.monotonic() + seconds
        reminder = Reminder(self.say, self.say_seconds)
        while True:
            lasting = False
            try:
                fact = problem()
            except ServerFault as error:
                fact, lasting = str(error), error.lasting
            if not fact:
                return
            if lasting or time.monotonic() >= until:
                so_far = while_it_waits(plan, step)
                raise StepFailed(str(plan.unit), plan.move.value, in_words(step, plan.unit), fact, so_far)
            reminder.remind(f"{plan.unit}: waiting, {in_words(step, plan.unit)}: {fact}")
            time.sleep(PAUSE)

    def _entry(self, kind: Kind, plan: Planned, attempt: str, intent: Entry | None) -> Entry:
        begins = kind in (Kind.INTENDED, Kind.TURNED_BACK)
        takes_over = kind is Kind.DONE and plan.move is Move.RETIRE
        begin = self.world.next_window(plan.unit) if takes_over else None
        return Entry(
            id=attempt,
            at=self.now(),
            operator=self.operator,
            unit=plan.unit,
            move=intent.move if intent else plan.move,
            kind=kind,
            stage=intent.stage if intent else plan.from_,
            reason=self.reason if kind not in (Kind.DONE, Kind.UNDONE) else "",
            forced=self.forced if kind is Kind.INTENDED else (),
            steps=tuple(explained(plan)) if begins else (),
            windows=Begin(begin) if begin else None,
            paused=kind is Kind.INTENDED and plan.move is Move.RETIRE and self.world.is_paused(plan.unit),
        )


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


def _end_runs(world: Orchestrators, unit: Unit, stray: bool) -> str:
    world.end_runs(unit, stray=stray)
    return ""


def _wake(world: Orchestrators, unit: Unit) -> str:
    world.wake(unit)
    return ""


def _under_way(runs: Sequence[str], owner: Owner) -> str:
    return f"{owner.value.title()} still runs {', '.join(runs)}" if runs else ""


def _served(by: Owner, wanted: Owner) -> str:
    if by is wanted:
        return ""
    return (
        f"Airflow would still {'hand the task to Dagster' if by is Owner.DAGSTER else 'run the task itself'}"
    )
