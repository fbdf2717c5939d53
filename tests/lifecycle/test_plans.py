"""Plans of moves: the state machine is data, and an open move is finished or undone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from dagster_defs.errors import LedgerVersion, MoveImpossible, MoveInProgress
from dagster_defs.lifecycle import Owner, Stage, Unit, moves
from dagster_defs.lifecycle.histories import UnitHistory, Unmoved
from dagster_defs.lifecycle.ledger import Entry, Kind, OpenMove
from dagster_defs.lifecycle.moves import (
    AwaitNoLiveRun,
    AwaitNoStrayRun,
    AwaitRest,
    AwaitServed,
    CheckDefinitions,
    CheckSchedule,
    Done,
    EndRuns,
    Mark,
    PlannedMove,
    Record,
    Wake,
    explained,
    mend,
    plan,
    resume,
)
from dagster_defs.lifecycle.stages import ARRIVED, TRANSITIONS, Move, moves_from
from dagster_defs.parity import Side
from tests.support.histories import history_at
from tests.support.plans import planned

UNIT = Unit("taxi_daily", "dbt_daily")
NOTHING = Unmoved(UNIT)
MOVES: list[PlannedMove] = [
    Move.SHADOW,
    Move.CUTOVER,
    Move.ROLLBACK,
    Move.RETIRE,
    Move.HOLD,
    Move.RELEASE,
]


def intent(move: Move, stage: Stage) -> Entry:
    at = datetime(2024, 3, 9, 22, tzinfo=timezone.utc)
    return Entry("a1", at, "ada@ops", UNIT, move, Kind.INTENDED, stage)


def history(stage: Stage, open_move: OpenMove | None = None) -> UnitHistory:
    return history_at(UNIT, stage, open_move)


def test_dagster_comes_before_airflow_on_the_way_in() -> None:
    """A cutover marks the unit only when Dagster can run it and Airflow does not, and ends when Airflow serves
    the proxy."""
    assert planned(UNIT, Move.CUTOVER, Stage.SHADOWED, NOTHING).steps == (
        Record(Kind.INTENDED),
        CheckDefinitions(Side.LEGACY),
        AwaitNoLiveRun(Owner.AIRFLOW),
        Mark(Owner.DAGSTER),
        AwaitServed(Owner.DAGSTER),
        Record(Kind.DONE),
    )


def test_airflow_comes_before_dagster_on_the_way_back() -> None:
    """A rollback gives Airflow the next task as soon as nothing writes behind its back, and only then sees to
    Dagster's live run."""
    waits = planned(UNIT, Move.ROLLBACK, Stage.CUT_OVER, NOTHING).steps
    ends = planned(UNIT, Move.ROLLBACK, Stage.CUT_OVER, NOTHING, end_runs=True).steps

    assert waits == (
        Record(Kind.INTENDED),
        AwaitNoStrayRun(),
        Mark(Owner.AIRFLOW),
        AwaitServed(Owner.AIRFLOW),
        AwaitNoLiveRun(Owner.DAGSTER),
        Record(Kind.DONE),
    )
    assert [step for step in ends if step not in waits] == [EndRuns(stray=True), EndRuns(stray=False)]


def test_dagster_begins_when_airflow_rests() -> None:
    """A retirement ends, and Dagster's schedule begins, only when Airflow's DAG is paused and no run is left."""
    assert planned(UNIT, Move.RETIRE, Stage.CUT_OVER, NOTHING).steps == (
        Record(Kind.INTENDED),
        CheckDefinitions(Side.LEGACY),
        CheckSchedule(),
        AwaitNoStrayRun(),
        AwaitRest(),
        AwaitNoLiveRun(Owner.DAGSTER),
        Record(Kind.DONE),
    )


def test_a_half_done_retirement_is_undone() -> None:
    """A rollback of an open retirement lets Airflow run the DAG again, and takes back no mark."""
    half = history(Stage.CUT_OVER, OpenMove(intent(Move.RETIRE, Stage.CUT_OVER)))

    undoing = planned(UNIT, Move.ROLLBACK, Stage.CUT_OVER, half)

    assert undoing.steps == (Record(Kind.TURNED_BACK), Wake(), Record(Kind.UNDONE))
    assert undoing.to is Stage.CUT_OVER


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("move", MOVES)
def test_a_move_goes_where_the_table_says(stage: Stage, move: PlannedMove) -> None:
    """From each stage a move is planned, is done already, or is refused with the moves that there are."""
    if stage in ARRIVED[move] or (move is Move.RELEASE and (stage, move) in TRANSITIONS):
        nothing = plan(UNIT, move, stage, NOTHING)
        assert isinstance(nothing, Done)
        assert nothing.said in (f"already {stage}", "not held")
    elif (stage, move) in TRANSITIONS:
        found = planned(UNIT, move, stage, NOTHING)
        assert (found.from_, found.to) == (stage, TRANSITIONS[stage, move])
    else:
        possible = ", ".join(moves_from(stage)) or "nothing"
        with pytest.raises(MoveImpossible, match=f"it is {stage}. Possible moves: {possible}"):
            planned(UNIT, move, stage, NOTHING)


def test_there_is_no_way_back_from_retired() -> None:
    """From retired there is nothing but to run windows again; no other stage is a dead end."""
    assert [stage for stage in Stage if set(moves_from(stage)) <= {Move.BACKFILL}] == [Stage.RETIRED]


def test_a_hold_is_held_once() -> None:
    """A unit that is held already is not held again, and one that is not is not released."""
    held = replace(NOTHING, held=intent(Move.HOLD, Stage.SHADOWED))

    assert planned(UNIT, Move.HOLD, Stage.SHADOWED, NOTHING).steps == (Record(Kind.HELD),)
    assert plan(UNIT, Move.HOLD, Stage.SHADOWED, held) == Done(
        UNIT, Move.HOLD, Stage.SHADOWED, "already held"
    )
    assert planned(UNIT, Move.RELEASE, Stage.SHADOWED, held).steps == (Record(Kind.RELEASED),)


@pytest.mark.parametrize("move", [Move.SHADOW, Move.CUTOVER])
def test_an_open_move_stands_in_the_way(move: PlannedMove) -> None:
    """While a move is half-done no other one begins; the error says who has begun it and what to do."""
    half = history(Stage.SHADOWED, OpenMove(intent(Move.CUTOVER, Stage.SHADOWED)))

    with pytest.raises(MoveInProgress, match=r"middle of cutover, begun by ada@ops.*parity resume"):
        planned(UNIT, move, Stage.SHADOWED, half)


def test_a_half_done_move_can_be_held() -> None:
    """Holding changes no mark, so it does not wait for the move that is open."""
    half = history(Stage.SHADOWED, OpenMove(intent(Move.CUTOVER, Stage.SHADOWED)))

    assert planned(UNIT, Move.HOLD, Stage.SHADOWED, half).steps == (Record(Kind.HELD),)


def test_resuming_takes_all_steps_but_the_first() -> None:
    """What is left of a move is the same steps without its intent."""
    begun = OpenMove(intent(Move.CUTOVER, Stage.SHADOWED))

    assert resume(begun).steps == planned(UNIT, Move.CUTOVER, Stage.SHADOWED, NOTHING).steps[1:]
    assert resume(begun).finishes == begun


def test_a_half_done_cutover_is_undone() -> None:
    """A rollback of an open cutover says so in the ledger first, and then goes all the way back."""
    half = history(Stage.SHADOWED, OpenMove(intent(Move.CUTOVER, Stage.SHADOWED)))

    undoing = planned(UNIT, Move.ROLLBACK, Stage.SHADOWED, half)

    assert undoing.to is Stage.SHADOWED
    assert undoing.steps == (
        Record(Kind.TURNED_BACK),
        AwaitNoStrayRun(),
        Mark(Owner.AIRFLOW),
        AwaitServed(Owner.AIRFLOW),
        AwaitNoLiveRun(Owner.DAGSTER),
        Record(Kind.UNDONE),
    )


def test_resuming_what_was_turned_back_goes_back() -> None:
    """Somebody who began to undo a move gets that finished, not the move."""
    turned = OpenMove(intent(Move.CUTOVER, Stage.SHADOWED), back=True)

    assert resume(turned).steps[:2] == (AwaitNoStrayRun(), Mark(Owner.AIRFLOW))
    assert resume(turned).steps[-1] == Record(Kind.UNDONE)


def test_a_half_done_rollback_is_finished_by_either() -> None:
    """Nobody turns a rollback back: resuming it and rolling back again are the same."""
    begun = OpenMove(intent(Move.ROLLBACK, Stage.CUT_OVER))

    again = planned(UNIT, Move.ROLLBACK, Stage.CUT_OVER, history(Stage.CUT_OVER, begun))

    assert again.steps == resume(begun).steps
    assert again.steps[-1] == Record(Kind.DONE)


def test_a_half_done_shadow_is_undone_without_a_mark() -> None:
    """Shadowing touches no mark, so neither does undoing it."""
    half = history(Stage.OBSERVED, OpenMove(intent(Move.SHADOW, Stage.OBSERVED)))

    assert planned(UNIT, Move.ROLLBACK, Stage.OBSERVED, half).steps == (
        Record(Kind.TURNED_BACK),
        Record(Kind.UNDONE),
    )


def test_an_open_move_of_a_later_version_is_refused() -> None:
    """What this version cannot finish it does not touch."""
    with pytest.raises(LedgerVersion, match="a backfill"):
        resume(OpenMove(intent(Move.BACKFILL, Stage.CUT_OVER)))


@pytest.mark.parametrize(
    ("stage", "move"),
    [(Stage.OBSERVED, Move.ROLLBACK), (Stage.SHADOWED, Move.ROLLBACK), (Stage.CUT_OVER, Move.CUTOVER)],
)
def test_mending_waits_as_the_move_does(stage: Stage, move: moves.Begun) -> None:
    """A mark that has drifted is put back to what the ledger says, between two entries, and with every wait of the
    move that set it."""
    for end_runs in (False, True):
        mending = mend(UNIT, stage, end_runs=end_runs)

        assert mending.steps == (
            Record(Kind.INTENDED),
            *moves._between(move, end_runs=end_runs),
            Record(Kind.DONE),
        )
        assert (mending.from_, mending.to, mending.move) == (stage, stage, Move.MEND)


def test_a_half_done_mending_goes_on_or_back() -> None:
    """Resuming finishes it. A rollback of one that gives the task to Dagster gives it to Airflow; one that gives it to
    Airflow is the way back already."""
    to_dagster, to_airflow = (
        OpenMove(intent(Move.MEND, stage)) for stage in (Stage.CUT_OVER, Stage.SHADOWED)
    )

    assert resume(to_dagster).steps == mend(UNIT, Stage.CUT_OVER).steps[1:]
    for back in (False, True):  # begun by an older version, its undoing is given up too
        undoing = moves.undo(replace(to_dagster, back=back))
        assert undoing.steps == (
            Record(Kind.UNDONE),
            *planned(UNIT, Move.ROLLBACK, Stage.CUT_OVER, NOTHING).steps,
        )
        assert (undoing.move, undoing.to) == (Move.ROLLBACK, Stage.SHADOWED)
    assert moves.undo(to_airflow).steps == mend(UNIT, Stage.SHADOWED).steps[1:]
    assert (to_dagster.backwards, to_airflow.backwards) == (False, True)


def test_a_dag_that_was_paused_stays_so() -> None:
    """Undoing a retirement that began with a paused DAG switches nothing on."""
    half = OpenMove(replace(intent(Move.RETIRE, Stage.CUT_OVER), paused=True))

    assert moves.undo(half).steps == (Record(Kind.TURNED_BACK), Record(Kind.UNDONE))


def test_every_step_is_said_in_words() -> None:
    """The explanation of a plan has a sentence for each of its steps, none of them twice."""
    found = planned(UNIT, Move.ROLLBACK, Stage.CUT_OVER, NOTHING, end_runs=True)

    said = list(explained(found))
    assert len(set(said)) == len(found.steps)
    assert said[3] == (
        "taxi_daily.yaml does not mark dbt_daily as proxied: a task that starts now belongs to Airflow"
    )
    assert found.as_json()["steps"] == said
