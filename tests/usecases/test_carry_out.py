"""Moves with a real ledger and real marks: killed after each step, and finished or undone by the next command."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.adapters.store.proxied_state import read_marks, write_mark
from dagster_defs.errors import (
    AirflowRefuses,
    AirflowUnclear,
    AirflowUnreachable,
    DagsterRefuses,
    DagsterUnreachable,
    LedgerUnwritable,
    MoveOvertaken,
    StepFailed,
)
from dagster_defs.lifecycle import Owner, Stage, Unit
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.moves import Begun, Planned, Step, mend, resume, undo
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.parity import Side
from dagster_defs.usecases.move.carry_out import Mover, Patience
from tests.support.model_world import UNIT, ModelWorld
from tests.support.plans import planned

AT_ONCE = Patience(0, 0, 0, 0, 0)
FORK = multiprocessing.get_context("fork")
STAGES: dict[Begun, Stage] = {
    Move.SHADOW: Stage.OBSERVED,
    Move.CUTOVER: Stage.SHADOWED,
    Move.ROLLBACK: Stage.CUT_OVER,
    Move.RETIRE: Stage.CUT_OVER,
}


@dataclass
class WorldOnDisk(ModelWorld):
    """The model's orchestrators, and marks in files: Airflow serves what they say at once."""

    folder: Path = Path()

    def marked(self, unit: Unit) -> bool:  # always readable
        return read_marks(self.folder).get(unit, False)

    def mark(self, unit: Unit, owner: Owner) -> None:
        write_mark(self.folder, unit, proxied=owner is Owner.DAGSTER)

    def served_by(self, unit: Unit) -> Owner:
        return Owner.DAGSTER if self.marked(unit) else Owner.AIRFLOW


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> WorldOnDisk:
    return WorldOnDisk(folder=tmp_path)


def at(stage: Stage, ledger: Ledger, world: WorldOnDisk) -> None:
    """The unit has come this far by moves that went well."""
    for move, from_ in STAGES.items():
        if from_ is stage:
            return
        intent = Entry(
            move, datetime(2024, 3, 9, tzinfo=timezone.utc), "ada@ops", UNIT, move, Kind.INTENDED, from_
        )
        ledger.append(intent)
        ledger.append(replace(intent, kind=Kind.DONE))
        if move is Move.CUTOVER:
            world.mark(UNIT, Owner.DAGSTER)


def take(found: Planned, ledger: Ledger, world: ModelWorld, operator: str = "bob@ops") -> list[Step]:
    return list(Mover(ledger, world, operator, patience=AT_ONCE).apply(found))


def die_after(steps: int, found: Planned, ledger: Ledger, world: ModelWorld) -> None:
    """In a process of its own, which ends right after so many steps without any tidying up."""
    victim = FORK.Process(target=_die_after, args=(steps, found, ledger, world))
    victim.start()
    victim.join(timeout=300)
    assert victim.exitcode == 9


def _die_after(steps: int, found: Planned, ledger: Ledger, world: ModelWorld) -> None:
    taking = Mover(ledger, world, "ada@ops", patience=AT_ONCE).apply(found)
    for _ in range(steps):
        next(taking)
    os._exit(9)


def every_step() -> Iterator[tuple[Begun, bool, int]]:
    """Each move, with and without ending runs, and how many of its steps were taken."""
    for move, stage in STAGES.items():
        for end_runs in (False, True) if move is Move.ROLLBACK else (False,):
            steps = planned(
                UNIT, move, stage, Ledger(Path("/nonexistent")).history(UNIT), end_runs=end_runs
            ).steps
            yield from ((move, end_runs, taken) for taken in range(1, len(steps) + 1))


@pytest.mark.parametrize("way", ["resume", "rollback"])
@pytest.mark.parametrize(("move", "end_runs", "taken"), list(every_step()))
def test_killed_after_a_step(
    ledger: Ledger, world: WorldOnDisk, move: Begun, end_runs: bool, taken: int, way: str
) -> None:
    """A move that is killed after whichever step is finished by `resume` and undone by `rollback`: nothing else."""
    stage = STAGES[move]
    at(stage, ledger, world)
    plan = planned(UNIT, move, stage, ledger.history(UNIT), end_runs=end_runs)
    die_after(taken, plan, ledger, world)

    open_move = ledger.history(UNIT).open
    over = taken == len(plan.steps)
    assert (open_move is None) is over
    if open_move:
        take(resume(open_move) if way == "resume" else undo(open_move), ledger, world, "eve@ops")

    undone = way == "rollback" and move is not Move.ROLLBACK and not over
    history = ledger.history(UNIT)
    assert history.open is None
    assert history.stage is (stage if undone else TRANSITIONS[stage, move])
    assert world.marked(UNIT) is (history.stage in (Stage.CUT_OVER, Stage.RETIRED))


@pytest.mark.parametrize("taken", range(1, 7))
def test_killed_while_it_is_undone(ledger: Ledger, world: WorldOnDisk, taken: int) -> None:
    """Undoing can be killed too: `resume` then goes on backwards, never forwards again."""
    at(Stage.SHADOWED, ledger, world)
    die_after(5, planned(UNIT, Move.CUTOVER, Stage.SHADOWED, ledger.history(UNIT)), ledger, world)
    assert world.marked(UNIT)
    half = ledger.history(UNIT).open
    assert half
    back = undo(half)
    die_after(min(taken, len(back.steps)), back, ledger, world)

    open_move = ledger.history(UNIT).open
    if open_move:
        assert open_move.back
        take(resume(open_move), ledger, world)

    assert ledger.history(UNIT).stage is Stage.SHADOWED
    assert not world.marked(UNIT)


@pytest.mark.parametrize("way", ["resume", "rollback"])
@pytest.mark.parametrize("stage", [Stage.SHADOWED, Stage.CUT_OVER])
@pytest.mark.parametrize("taken", range(1, 7))
def test_killed_while_a_mark_is_put_right(
    ledger: Ledger, world: WorldOnDisk, stage: Stage, taken: int, way: str
) -> None:
    """A mark that has drifted is put right by a move that is in the ledger, and that can be killed like any other."""
    at(stage, ledger, world)
    world.mark(UNIT, Owner.AIRFLOW if stage is Stage.CUT_OVER else Owner.DAGSTER)
    mending = mend(UNIT, stage)
    die_after(min(taken, len(mending.steps)), mending, ledger, world)

    open_move = ledger.history(UNIT).open
    undone = open_move is not None and way == "rollback" and stage is Stage.CUT_OVER
    if open_move:
        take(resume(open_move) if way == "resume" else undo(open_move), ledger, world, "eve@ops")

    history = ledger.history(UNIT)
    assert (history.stage, history.open) == (Stage.SHADOWED if undone else stage, None)
    assert history.entries[-1].move is (Move.ROLLBACK if undone else Move.MEND)
    assert history.entries[-1].kind is Kind.DONE
    assert world.marked(UNIT) is (stage is Stage.CUT_OVER and not undone)


def test_a_paused_dag_is_not_switched_on_by_a_retirement(ledger: Ledger, world: WorldOnDisk) -> None:
    """What the intent of a retirement found paused stays paused, also when somebody undoes it."""
    at(Stage.CUT_OVER, ledger, world)
    world.paused = True
    world.waiting.add(0)

    with pytest.raises(StepFailed, match="Airflow still runs"):
        take(planned(UNIT, Move.RETIRE, Stage.CUT_OVER, ledger.history(UNIT)), ledger, world)
    open_move = ledger.history(UNIT).open
    assert open_move
    assert open_move.intent.paused
    assert world.paused
    take(undo(open_move), ledger, world)

    assert world.paused
    assert ledger.history(UNIT).stage is Stage.CUT_OVER


def test_taking_all_steps_twice_changes_nothing(ledger: Ledger, world: WorldOnDisk) -> None:
    """A step whose fact holds already leaves the mark's file as it is, to the byte and the time."""
    at(Stage.SHADOWED, ledger, world)
    die_after(5, planned(UNIT, Move.CUTOVER, Stage.SHADOWED, ledger.history(UNIT)), ledger, world)
    file = world.folder / "taxi_daily.yaml"
    before = file.stat()

    open_move = ledger.history(UNIT).open
    assert open_move
    take(resume(open_move), ledger, world)

    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.stat().st_ino == before.st_ino


def test_a_plan_of_yesterday_is_refused(ledger: Ledger, world: WorldOnDisk) -> None:
    """Who resumes a move that somebody else has finished meanwhile is told so, and changes nothing."""
    at(Stage.SHADOWED, ledger, world)
    die_after(3, planned(UNIT, Move.CUTOVER, Stage.SHADOWED, ledger.history(UNIT)), ledger, world)
    open_move = ledger.history(UNIT).open
    assert open_move
    mine, theirs = undo(open_move), resume(open_move)
    take(theirs, ledger, world)

    with pytest.raises(MoveOvertaken, match="half-done move is over"):
        take(mine, ledger, world)
    assert world.marked(UNIT)


def test_a_fact_that_does_not_come_stops_the_move(ledger: Ledger, world: WorldOnDisk) -> None:
    """Without the job in Dagster nothing is marked; the error has the step, the fact and both ways on."""
    at(Stage.SHADOWED, ledger, world)
    world.defined.remove(Side.LEGACY)

    with pytest.raises(
        StepFailed, match=r"cutover of .* stopped at `Dagster has loaded.*no code location"
    ) as caught:
        take(planned(UNIT, Move.CUTOVER, Stage.SHADOWED, ledger.history(UNIT)), ledger, world)

    assert "parity resume taxi_daily.dbt_daily --apply, or undo it: parity rollback" in str(caught.value)
    assert not world.marked(UNIT)
    assert ledger.history(UNIT).open


@pytest.mark.parametrize(
    "error",
    [AirflowUnreachable("http://airflow", "refused"), DagsterUnreachable("http://dagster", "refused")],
)
def test_a_server_that_is_down_stops_the_move(
    ledger: Ledger, world: WorldOnDisk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A server that does not answer in time is the fact at which the move stops, half-done."""
    at(Stage.SHADOWED, ledger, world)

    def down(*_: object) -> str:
        raise error

    monkeypatch.setattr(world, "missing_definitions", down)
    with pytest.raises(StepFailed, match="refused"):
        take(planned(UNIT, Move.CUTOVER, Stage.SHADOWED, ledger.history(UNIT)), ledger, world)


@pytest.mark.parametrize(
    "error",
    [
        AirflowRefuses("http://airflow", "403", lasting=True),
        AirflowUnclear("http://airflow", "no next window", lasting=True),
        DagsterRefuses("http://dagster", "401", lasting=True),
    ],
)
def test_a_refusal_that_lasts_stops_the_move_at_once(
    ledger: Ledger, world: WorldOnDisk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What a server would only say again is not waited for, however patient the step is."""
    at(Stage.SHADOWED, ledger, world)
    looks = 0

    def refuse(*_: object) -> str:
        nonlocal looks
        looks += 1
        raise error

    monkeypatch.setattr(world, "missing_definitions", refuse)
    plan = planned(UNIT, Move.CUTOVER, Stage.SHADOWED, ledger.history(UNIT))
    with pytest.raises(StepFailed, match=str(error)[:20]):
        list(Mover(ledger, world, "ada@ops", patience=Patience(definitions=3600)).apply(plan))

    assert looks == 1


def test_a_long_step_says_what_it_waits_for(
    ledger: Ledger, world: WorldOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is said again and again until it is gone, and a step that is done at once says nothing."""
    at(Stage.SHADOWED, ledger, world)
    reasons = ["the code location is loading"] * 3 + [""]
    monkeypatch.setattr("dagster_defs.usecases.move.carry_out.PAUSE", 0.01)
    monkeypatch.setattr(world, "missing_definitions", lambda *_: reasons.pop(0) if reasons else "")
    said: list[str] = []
    plan = planned(UNIT, Move.CUTOVER, Stage.SHADOWED, ledger.history(UNIT))
    list(Mover(ledger, world, "ada@ops", say=said.append, say_seconds=0).apply(plan))

    assert len(said) == 3
    assert all("the code location is loading" in line and str(UNIT) in line for line in said)


def test_a_dagster_that_cannot_end_runs_stops_the_move(
    ledger: Ledger, world: WorldOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback that shall end runs and cannot says so, with the way on."""
    at(Stage.CUT_OVER, ledger, world)

    def down(*_: object, **__: object) -> None:
        raise DagsterUnreachable("http://dagster", "refused")

    monkeypatch.setattr(world, "end_runs", down)
    with pytest.raises(StepFailed, match=r"refused.*parity resume"):
        take(planned(UNIT, Move.ROLLBACK, Stage.CUT_OVER, ledger.history(UNIT), end_runs=True), ledger, world)


@pytest.mark.parametrize("end_runs", [False, True])
def test_the_mark_goes_back_while_dagster_is_down(
    ledger: Ledger, world: WorldOnDisk, monkeypatch: pytest.MonkeyPatch, end_runs: bool
) -> None:
    """A rollback while Dagster does not answer gives Airflow the next task, and stays half-done: a run of Dagster's may
    still write. The error says both, and the way on; afterwards `resume` ends it."""
    at(Stage.CUT_OVER, ledger, world)

    def down(*_: object, **asked: bool) -> list[str]:
        if asked.get("stray"):
            return []  # as the real one answers where a server is down
        raise DagsterUnreachable("http://dagster", "refused")

    with monkeypatch.context() as outage:
        outage.setattr(world, "live_runs", down)
        outage.setattr(world, "end_runs", down)
        plan = planned(UNIT, Move.ROLLBACK, Stage.CUT_OVER, ledger.history(UNIT), end_runs=end_runs)
        with pytest.raises(StepFailed) as caught:
            take(plan, ledger, world)

    message = str(caught.value)
    for said in (
        "The mark is back: a task that starts now belongs to Airflow",
        "do not clear any task of a window that Dagster may have begun",
        f"parity resume {UNIT} --apply",
    ):
        assert said in message
    assert "or undo it" not in message
    assert not world.marked(UNIT)
    open_move = ledger.history(UNIT).open
    assert open_move
    take(resume(open_move), ledger, world)
    assert ledger.history(UNIT).stage is Stage.SHADOWED


def test_a_full_disk_stops_before_the_mark(
    ledger: Ledger, world: WorldOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the intent cannot be written, nothing else is."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    at(Stage.SHADOWED, ledger, world)
    before = ledger.path.read_bytes()
    monkeypatch.setattr("dagster_defs.adapters.store.ledger.os.write", full)

    with pytest.raises(LedgerUnwritable, match="No space left"):
        take(planned(UNIT, Move.CUTOVER, Stage.SHADOWED, ledger.history(UNIT)), ledger, world)

    assert ledger.path.read_bytes() == before
    assert not world.marked(UNIT)
