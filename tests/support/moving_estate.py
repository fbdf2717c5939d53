"""Two operators who move one unit, while an Airflow and a Dagster go on: a machine that walks through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Owner, Stage, moves
from dagster_defs.lifecycle.gates import GATES
from dagster_defs.lifecycle.histories import Retired
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.moves import Mark, Step
from dagster_defs.lifecycle.settings import Gate
from dagster_defs.lifecycle.stages import Move
from dagster_defs.parity import Side
from dagster_defs.usecases.move.carry_out import Mover, Patience
from tests.support.model_world import UNIT, MemoryLedger, ModelWorld

NIGHT = datetime(2024, 3, 9, 22, tzinfo=timezone.utc)
OPERATORS = ("ada@ops", "bob@ops")
OPERATOR, STEPS = st.sampled_from(OPERATORS), st.integers(0, 7)
BEGUN: list[moves.Begun] = [Move.SHADOW, Move.CUTOVER, Move.ROLLBACK, Move.RETIRE]
AT_ONCE = Patience(0, 0, 0, 0, 0)  # a fact that does not hold now leaves the move half-done


class Estate(RuleBasedStateMachine):
    """Two operators, and an Airflow and a Dagster that go on meanwhile. A step is one move of the machine."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryLedger()
        self.world = self.make_world()
        self.busy: dict[str, Iterator[Step]] = {}
        self.by_hand = False  # somebody has changed the mark, and nobody has put it right yet

    def make_world(self) -> ModelWorld:
        return ModelWorld(defined=set())

    @initialize(stage=st.sampled_from([Stage.CUT_OVER, Stage.SHADOWED, Stage.OBSERVED]), killed=st.booleans())
    def came_this_far(self, stage: Stage, killed: bool) -> None:
        """The moves that led here went well. A window is under way; `killed`: and its task is gone."""
        self.move_to(stage)
        self.world.become_due()
        self.start()
        if killed and stage is Stage.CUT_OVER:
            self.kill(and_clear=True)

    def move_to(self, stage: Stage) -> None:
        for move, side in ((Move.SHADOW, Side.CANDIDATE), (Move.CUTOVER, Side.LEGACY)):
            if self.stage is stage:
                return
            self.world.defined.add(side)
            intent = Entry(move.value, NIGHT, OPERATORS[0], UNIT, move, Kind.INTENDED, self.stage)
            self.ledger.append(intent)
            self.ledger.append(replace(intent, kind=Kind.DONE))
            self.world.proxied = self.stage is Stage.CUT_OVER
            self.world.parse()

    @property
    def stage(self) -> Stage:
        return self.ledger.history(UNIT).stage or Stage.OBSERVED

    def begin(self, operator: str, found: moves.Planned) -> None:
        self.busy[operator] = Mover(self.ledger, self.world, operator, patience=AT_ONCE).apply(found)

    def go(self, operator: str, steps: int) -> None:
        """So many steps of the operator's plan; none of them is left after the last, or after one that failed."""
        for _ in range(steps):
            try:
                next(self.busy[operator])
            except (StopIteration, ParityError):
                del self.busy[operator]
                return

    # operators

    @rule(operator=OPERATOR, move=st.sampled_from(BEGUN), end_runs=st.booleans(), steps=STEPS)
    def plan(self, operator: str, move: moves.Begun, end_runs: bool, steps: int) -> None:
        if operator in self.busy:
            return
        if self.drifted and Gate.MARKS in GATES[move]:
            return
        try:
            found = moves.plan(UNIT, move, self.stage, self.ledger.history(UNIT), end_runs=end_runs)
        except ParityError:
            return
        if isinstance(found, moves.Done):
            return
        self.begin(operator, found)
        self.go(operator, steps)

    @rule(operator=OPERATOR, steps=STEPS, end_runs=st.booleans())
    def resume(self, operator: str, steps: int, end_runs: bool) -> None:
        history = self.ledger.history(UNIT)
        if operator in self.busy:
            return
        if history.open:
            self.begin(operator, moves.resume(history.open))
        elif self.drifted and history.stage:
            self.begin(operator, moves.mend(UNIT, history.stage, end_runs=end_runs))
        else:
            return
        self.go(operator, steps)

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), steps=STEPS)
    def go_on(self, data: st.DataObject, steps: int) -> None:
        self.go(data.draw(st.sampled_from(sorted(self.busy))), steps)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        taking = self.busy.pop(data.draw(st.sampled_from(sorted(self.busy))))
        taking.close()  # type: ignore[attr-defined]  # a generator, which is what taking() gives

    # Where a task runs, or a command is under way, whoever flips a mark makes two owners by that alone.
    @precondition(
        lambda self: (
            not self.busy
            and not self.world.live
            and self.ledger.history(UNIT).stage is not None
            and self.ledger.history(UNIT).open is None
            and Side.LEGACY in self.world.defined
        )
    )
    @rule()
    def drift(self) -> None:
        """Somebody edits the file of marks, or puts an old one back."""
        self.world.proxied = not self.world.proxied
        self.by_hand = True

    @property
    def drifted(self) -> bool:
        history = self.ledger.history(UNIT)
        return history.open is None and self.world.proxied is not (
            history.stage in (Stage.CUT_OVER, Stage.RETIRED)
        )

    # the orchestrators

    @rule(side=st.sampled_from(Side))
    def deploy(self, side: Side) -> None:
        self.world.defined.add(side)

    @rule()
    def parse(self) -> None:
        self.world.parse()

    @rule(and_start=st.booleans())
    def become_due(self, and_start: bool) -> None:
        self.world.become_due()
        if and_start:
            self.world.start(self.world.windows - 1)

    @precondition(lambda self: self.world.startable())
    @rule()
    def start(self) -> None:
        for window in self.world.startable():
            self.world.start(window)

    @precondition(lambda self: self.stage is Stage.RETIRED)
    @rule()
    def schedule(self) -> None:
        history = self.ledger.history(UNIT)
        assert isinstance(history, Retired)
        assert history.begins
        self.world.start_by_schedule(history.begins)

    @precondition(lambda self: self.world.live)
    @rule(data=st.data(), well=st.booleans())
    def end(self, data: st.DataObject, well: bool) -> None:
        window = data.draw(st.sampled_from(sorted(self.world.live)))
        if well:
            self.world.finish(window)
        elif window not in self.world.ended:
            self.world.fail(window)

    @precondition(lambda self: Owner.DAGSTER in self.world.live.values())
    @rule(and_clear=st.booleans())
    def kill(self, and_clear: bool) -> None:
        self.world.kill(max(window for window, by in self.world.live.items() if by is Owner.DAGSTER))
        if and_clear and self.ledger.history(UNIT).open is None:
            self.clear()

    # Nobody clears a task in the middle of a move; before and afterwards everybody may.
    @precondition(
        lambda self: self.clearable() and not self.world.paused and self.ledger.history(UNIT).open is None
    )
    @rule()
    def clear(self) -> None:
        self.world.clear(self.clearable()[-1])

    def clearable(self) -> list[int]:
        return sorted((self.world.written.keys() - self.world.live.keys()) | self.world.stray)

    # laws

    @invariant()
    def no_window_has_two_owners(self) -> None:
        assert not self.world.doubled, "two write one window"

    @invariant()
    def no_window_is_without_an_owner(self) -> None:
        assert not self.world.lost, "a window without an owner"

    @invariant()
    def the_mark_says_what_the_ledger_says(self) -> None:
        history = self.ledger.history(UNIT)
        if history.open is None:
            self.by_hand = self.by_hand and self.drifted
            assert self.drifted is self.by_hand
            assert self.world.paused is (history.stage is Stage.RETIRED)

    def run_everything(self) -> None:
        """What is under way ends, and so does what Airflow starts next."""
        world = self.world
        for window in list(world.live):
            world.finish(window)
        for window in world.startable():
            world.start(window)
        for window in list(world.live):
            world.finish(window)

    def teardown(self) -> None:
        """Whatever has happened, the next command finishes it or undoes it, and every window gets written."""
        world = self.world
        for taking in self.busy.values():
            taking.close()  # type: ignore[attr-defined]  # a generator, which is what taking() gives
        world.defined = set(Side)
        self.run_everything()
        open_move = self.ledger.history(UNIT).open
        if open_move:
            back = len(self.ledger.entries) % 2
            found = moves.undo(open_move) if back else moves.resume(open_move)
            legal = {found.to}
            for step in Mover(self.ledger, world, "eve@ops", patience=AT_ONCE).apply(found):
                if isinstance(step, Mark):
                    world.parse()
            history = self.ledger.history(UNIT)
            assert history.open is None
            assert history.stage in legal
        history = self.ledger.history(UNIT)
        if self.drifted and history.stage:
            self.run_everything()
            for step in Mover(self.ledger, world, "eve@ops", patience=AT_ONCE).apply(
                moves.mend(UNIT, history.stage)
            ):
                if isinstance(step, Mark):
                    world.parse()
            assert not self.drifted
            assert self.ledger.entries[-1].move is Move.MEND
        if self.stage is Stage.RETIRED:
            self.schedule()
        self.run_everything()
        self.no_window_has_two_owners()
        self.no_window_is_without_an_owner()
        self.the_mark_says_what_the_ledger_says()
        assert world.written.keys() == set(range(world.windows))
        super().teardown()
