"""Moves, crashes and runs in every order: never two owners of a window, never a window without one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from dagster_defs.lifecycle import Owner, Stage, moves
from dagster_defs.lifecycle.ledger import Kind
from dagster_defs.lifecycle.moves import (
    AwaitNoLiveRun,
    CheckDefinitions,
    Mark,
    PlannedMove,
    Step,
)
from dagster_defs.lifecycle.stages import Move
from dagster_defs.parity import Side
from dagster_defs.usecases.move.carry_out import Mover
from tests.support.model_world import UNIT
from tests.support.moving_estate import AT_ONCE, Estate
from tests.support.plans import planned

EXAMPLES = settings(max_examples=2000, stateful_step_count=25, deadline=None)


@pytest.mark.thorough
def test_every_interleaving_is_legal() -> None:
    """Thousands of walks through moves, crashes and runs break none of the laws."""
    run_state_machine_as_test(Estate, settings=EXAMPLES)


@pytest.mark.parametrize(
    ("move", "wrong", "law"),
    [
        (
            Move.CUTOVER,
            (Mark(Owner.DAGSTER), CheckDefinitions(Side.LEGACY)),
            "a window without an owner",
        ),
        (Move.ROLLBACK, (Mark(Owner.AIRFLOW),), "two write one window"),
        (Move.ROLLBACK, (Mark(Owner.AIRFLOW), AwaitNoLiveRun(Owner.DAGSTER)), "two write one window"),
        (Move.ROLLBACK, (AwaitNoLiveRun(Owner.DAGSTER),), "AssertionError"),
        (Move.RETIRE, (CheckDefinitions(Side.LEGACY),), "AssertionError"),
    ],
    ids=["airflow-first", "nobody-waits", "nobody-waits-first", "no-mark", "no-rest"],
)
def test_the_model_finds_a_wrong_order(
    monkeypatch: pytest.MonkeyPatch, move: PlannedMove, wrong: tuple[Step, ...], law: str
) -> None:
    """A move whose steps are in another order, or too few, breaks a law: the model has teeth."""
    right = moves._between

    def between(of: moves.Begun, *, end_runs: bool) -> tuple[Step, ...]:
        return wrong if of is move else right(of, end_runs=end_runs)

    monkeypatch.setattr(moves, "_between", between)
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Estate, settings=settings(EXAMPLES, phases=[Phase.generate]))
    assert law in repr(caught.value)


def mended_beside_a_stray_run() -> Estate:
    """A shadowed unit whose mark somebody has set: Dagster runs a window, its task is killed and cleared, and then the
    mark is put right. Airflow starts what it may."""
    estate = Estate()
    estate.came_this_far(Stage.SHADOWED, killed=False)
    estate.run_everything()
    estate.world.defined = set(Side)
    estate.drift()
    estate.become_due(and_start=True)
    estate.kill(and_clear=True)
    estate.resume("ada@ops", 7, end_runs=False)
    estate.start()
    return estate


def test_mending_waits_for_a_stray_run() -> None:
    """A drifted mark is not put right beside a Dagster run whose task is gone; when that is over, it is."""
    estate = mended_beside_a_stray_run()

    estate.no_window_has_two_owners()
    assert estate.world.proxied
    estate.run_everything()
    estate.resume("bob@ops", 7, end_runs=False)
    estate.parse()
    estate.resume("bob@ops", 7, end_runs=False)
    assert not estate.drifted
    assert not estate.world.proxied
    estate.teardown()


@pytest.mark.parametrize(
    "wrong",
    [(Mark(Owner.AIRFLOW),), (Mark(Owner.AIRFLOW), AwaitNoLiveRun(Owner.DAGSTER))],
    ids=["nobody-waits", "nobody-waits-first"],
)
def test_a_mending_that_waits_for_nobody_breaks_a_law(
    monkeypatch: pytest.MonkeyPatch, wrong: tuple[Step, ...]
) -> None:
    """The same walk with fewer waits has two who write one window."""
    monkeypatch.setattr(moves, "_mending", lambda stage, end_runs: wrong)

    with pytest.raises(AssertionError, match="two write one window"):
        mended_beside_a_stray_run().no_window_has_two_owners()


@pytest.mark.parametrize("steps", range(5))
@pytest.mark.parametrize("begun_by_an_older_version", [False, True])
def test_one_rollback_of_a_half_done_mending_is_enough(steps: int, begun_by_an_older_version: bool) -> None:
    """However far the mending of a unit that is cut over has come, one rollback leaves it shadowed and with Airflow."""
    estate = Estate()
    estate.came_this_far(Stage.CUT_OVER, killed=False)
    estate.run_everything()
    estate.drift()
    estate.parse()
    estate.begin("ada@ops", moves.mend(UNIT, Stage.CUT_OVER))
    estate.go("ada@ops", 1 + steps)
    if "ada@ops" in estate.busy:
        estate.busy.pop("ada@ops").close()  # type: ignore[attr-defined]  # a generator, which is what taking() gives
    if begun_by_an_older_version and (half := estate.ledger.history(UNIT).open):
        estate.ledger.append(replace(half.intent, kind=Kind.TURNED_BACK))

    plan = planned(UNIT, Move.ROLLBACK, estate.stage, estate.ledger.history(UNIT))
    for step in Mover(estate.ledger, estate.world, "bob@ops", patience=AT_ONCE).apply(plan):
        if isinstance(step, Mark):
            estate.parse()

    assert estate.stage is Stage.SHADOWED
    assert not estate.world.proxied
    assert not estate.drifted
    assert len({entry.id for entry in estate.ledger.entries if entry.kind is Kind.DONE}) == 3
    estate.teardown()
