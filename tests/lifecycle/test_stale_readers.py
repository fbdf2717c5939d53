"""Moves, crashes and runs in every order, with readers of the record who see an old one, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from dagster_defs.lifecycle import Stage, moves, ownership
from dagster_defs.lifecycle.moves import Mark
from dagster_defs.lifecycle.stages import Move
from dagster_defs.parity import Side
from dagster_defs.usecases.move.carry_out import Mover
from tests.support.model_world import UNIT
from tests.support.moving_estate import AT_ONCE, Estate
from tests.support.stale_world import COPIED, DAGSTERS, SHARED, WORKERS, StaleWorld

READER = st.sampled_from((*WORKERS, DAGSTERS))
AGE = st.one_of(st.none(), st.integers(0, 9))


class StaleEstate(Estate):
    """Each reader's sight of the record may go, or grow as old as anything, and come back at any moment."""

    kind = SHARED
    world: StaleWorld

    def make_world(self) -> StaleWorld:
        return StaleWorld(defined=set(), kind=self.kind, ledger=self.ledger)

    @rule(worker=st.sampled_from(WORKERS))
    def take_turns(self, worker: str) -> None:
        """The next tries are this worker's."""
        self.world.worker = worker

    @rule(reader=READER, age=AGE)
    def grow_old(self, reader: str, age: int | None) -> None:
        self.world.spoil(reader, age)

    @rule()
    def be_fresh_again(self) -> None:
        self.world.refresh()

    @precondition(lambda self: self.world.waiting and not self.world.paused)
    @rule()
    def ask_and_be_given_up(self) -> None:
        """A worker that has asked is slow, and Airflow gives its try up: the launch arrives some time later."""
        told = self.world.read(self.world.worker)
        if told is not None and told.proxied:
            self.world.held.append((min(self.world.waiting), told.position))

    @precondition(lambda self: self.world.held)
    @rule()
    def arrive(self) -> None:
        self.world.arrive()

    @invariant()
    def an_answer_holds(self) -> None:
        assert not self.world.turned_away, "who has an answer is turned away"

    def teardown(self) -> None:
        """Once all see the record, every window gets written."""
        self.world.refresh()
        self.world.held.clear()
        super().teardown()


class CopiedEstate(StaleEstate):
    kind = COPIED


EXAMPLES = settings(max_examples=2000, stateful_step_count=30, deadline=None)


@pytest.mark.thorough
def test_no_reader_makes_a_second_writer() -> None:
    """2,000 walks of 30 rules: never two who write one window, and none that nobody has written at the end."""
    run_state_machine_as_test(StaleEstate, settings=EXAMPLES)


def test_no_reader_makes_a_second_writer_in_short() -> None:
    """The same laws on fewer walks."""
    run_state_machine_as_test(StaleEstate, settings=settings(EXAMPLES, max_examples=100))


def broken_law(machine: type[StaleEstate]) -> str:
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(machine, settings=settings(EXAMPLES, phases=[Phase.generate]))
    return repr(caught.value)


def test_copies_break_a_law() -> None:
    """Where each reader has a copy of its own, the walks find it: the model has teeth."""
    assert any(law in broken_law(CopiedEstate) for law in ("two write one window", "is turned away"))


def moved(estate: StaleEstate, move: moves.Begun) -> None:
    """To its end, with nothing in its way."""
    found = moves.plan(UNIT, move, estate.stage, estate.ledger.history(UNIT), end_runs=False)
    assert not isinstance(found, moves.Done)
    for step in Mover(estate.ledger, estate.world, "ada@ops", patience=AT_ONCE).apply(found):
        if isinstance(step, Mark):
            estate.parse()
    assert estate.ledger.history(UNIT).open is None


def old(estate: StaleEstate, *readers: str) -> None:
    """They see the record as it was before the last mark."""
    for reader in readers:
        estate.world.spoil(reader, 1)


def a_try(estate: StaleEstate, worker: str) -> None:
    estate.world.worker = worker
    estate.start()


def cut_over(estate: StaleEstate) -> None:
    estate.run_everything()
    moved(estate, Move.CUTOVER)
    estate.world.become_due()


def rolled_back(estate: StaleEstate) -> None:
    cut_over(estate)
    estate.run_everything()
    moved(estate, Move.ROLLBACK)
    estate.world.become_due()


def retired(estate: StaleEstate) -> None:
    cut_over(estate)
    estate.run_everything()
    moved(estate, Move.RETIRE)
    estate.world.become_due()


def dagsters_copy_is_old(estate: StaleEstate) -> None:
    cut_over(estate)
    old(estate, DAGSTERS)
    a_try(estate, "a")


def a_try_moves_to_an_old_worker(estate: StaleEstate) -> None:
    cut_over(estate)
    a_try(estate, "a")
    old(estate, "b")
    estate.world.clear(max(estate.world.live, default=0))
    a_try(estate, "b")


def a_try_moves_to_a_failed_mount(estate: StaleEstate) -> None:
    cut_over(estate)
    a_try(estate, "a")
    estate.world.spoil("b", None)
    estate.world.clear(max(estate.world.live, default=0))
    a_try(estate, "b")


def airflows_copy_is_old(estate: StaleEstate) -> None:
    rolled_back(estate)
    old(estate, "a")
    a_try(estate, "a")


def a_worker_and_dagster_are_old(estate: StaleEstate) -> None:
    rolled_back(estate)
    old(estate, "a", DAGSTERS)
    a_try(estate, "a")
    estate.world.clear(max(estate.world.waiting | estate.world.live.keys()))
    a_try(estate, "b")


def the_schedules_copy_is_old(estate: StaleEstate) -> None:
    retired(estate)
    estate.world.spoil(DAGSTERS, 0)  # the last mark is that of the cutover
    estate.schedule()


# The rows of the table that was measured on synced folders: what happened, and which law it breaks.
ROWS: dict[Callable[[StaleEstate], None], str] = {
    dagsters_copy_is_old: "is turned away",
    a_try_moves_to_an_old_worker: "two write one window",
    a_try_moves_to_a_failed_mount: "two write one window",
    airflows_copy_is_old: "is turned away",
    a_worker_and_dagster_are_old: "two write one window",
    the_schedules_copy_is_old: "is turned away",
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_each_row_of_the_table(row: Callable[[StaleEstate], None]) -> None:
    """With copies its law is broken; with one record, which somebody may not reach, none is, and all is written."""

    def walk(machine: type[StaleEstate]) -> StaleEstate:
        estate = machine()
        estate.world.defined = set(Side)
        estate.came_this_far(Stage.SHADOWED, killed=False)
        row(estate)
        return estate

    def hold(estate: StaleEstate) -> None:
        estate.no_window_has_two_owners()
        estate.an_answer_holds()

    with pytest.raises(AssertionError, match=ROWS[row]):
        hold(walk(CopiedEstate))
    shared = walk(StaleEstate)
    hold(shared)
    shared.teardown()


def late_launch(estate: StaleEstate) -> None:
    """A try asks and is given up; the unit goes back, and is cut over again. Right before the mark Airflow's task
    starts the window; right after it, the launch arrives."""
    estate.world.defined = set(Side)
    estate.came_this_far(Stage.SHADOWED, killed=False)
    cut_over(estate)
    estate.ask_and_be_given_up()
    moved(estate, Move.ROLLBACK)
    estate.plan("bob@ops", Move.CUTOVER, end_runs=False, steps=3)
    a_try(estate, "b")
    estate.go("bob@ops", 1)
    assert estate.world.proxied, "the mark is set, and the move waits for Airflow's task"
    estate.arrive()


def test_fencing_stops_a_late_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mark is not the one on record. Without fencing it would write beside Airflow's task."""
    fenced = StaleEstate()
    late_launch(fenced)
    fenced.no_window_has_two_owners()
    fenced.teardown()  # which finishes or undoes the move, and writes every window

    def trusting(*_: Any) -> None:
        """Whatever mark a task has obeyed."""

    monkeypatch.setattr(ownership, "_refuse_stale_mark", trusting)
    unfenced = StaleEstate()
    late_launch(unfenced)
    with pytest.raises(AssertionError, match="two write one window"):
        unfenced.no_window_has_two_owners()
