"""Plans are carried out: by a command, or by a sensor that rolls back by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from dagster_defs.adapters.processes.waiting import say_seconds
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.errors import DagsterUnreachable, ParityError
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.gates import Proposal, soak_end
from dagster_defs.lifecycle.ledger import UnitHistory
from dagster_defs.lifecycle.moves import Plan, in_words, plan, resume
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.carry_out import Mover, Patience
from dagster_defs.usecases.move.orchestrators import LiveOrchestrators

# A sensor's tick is ended after a minute.
SENSOR_PATIENCE = Patience(definitions=5, served=40, live_runs=5, stray_runs=5, rest=5)
BY_ITSELF = ", by itself"  # at the end of who has made an automatic move


def carry_out(
    settings: Settings, proposals: Sequence[Proposal], *, reason: str = "", say: Callable[[str], None]
) -> Iterator[Plan]:
    """Takes the steps of each plan and gives it when it is done. `say` hears of each step.

    Units of one DAG go together, step by step: Airflow parses the DAG once for all of them, and a DAG that is retired
    begins in Dagster with the last step of its last unit.
    """
    for together in _by_dag(proposals):
        steps = [_mover(settings, one, reason, say).taking(one.plan) for one in together]
        most = max(len(one.plan.steps) for one in together)
        for turn in range(most):
            for one, taking in zip(together, steps, strict=True):
                found = one.plan
                if turn >= most - len(found.steps):  # who has fewer steps left begins later
                    step = next(taking)
                    say(f"{found.unit}: {in_words(step, found.unit)}")
        for one, taking in zip(together, steps, strict=True):
            next(taking, None)  # lets the unit go
            yield one.plan
    if any(one.plan.from_ is not one.plan.to for one in proposals):
        _load_anew(settings, proposals[0].plan.unit, say)


def _by_dag(proposals: Sequence[Proposal]) -> Iterator[list[Proposal]]:
    in_order = sorted(proposals, key=lambda one: one.plan.unit)
    for _, together in groupby(in_order, key=lambda one: one.plan.unit.dag_id):
        yield list(together)


def _mover(settings: Settings, proposal: Proposal, reason: str, say: Callable[[str], None]) -> Mover:
    forced = tuple(dict.fromkeys(blocker.gate.value for blocker in proposal.blockers))
    world = LiveOrchestrators.of(settings)
    ledger = Ledger(settings.proxied_state)
    return Mover(ledger, world, settings.operator, reason, forced, say=say, say_seconds=say_seconds())


def _load_anew(settings: Settings, unit: Unit, say: Callable[[str], None]) -> None:
    """So that the tags of the assets say the new stage; the move is done, whatever becomes of it."""
    try:
        LiveOrchestrators.of(settings).dagster.reload(unit.identifier)
        say("Dagster loads its definitions anew, for the tags of the assets")
    except DagsterUnreachable as error:
        say(f"Dagster shows the new stage when it loads its definitions next: {error}")


def auto_rollback(
    settings: Settings,
    unit: Unit,
    gates: GateSettings,
    reason: str,
    now: datetime,
    say: Callable[[str], None],
) -> bool:
    """Automatic rollback, bounded by a sensor's tick. Returns False if the unit is not soaking by the clock.

    Raises what applying the steps raises; `resume_auto_rollbacks` then finishes what has begun.
    """
    history = Ledger(settings.proxied_state).history(unit)
    end = soak_end(history, gates)
    if history.open is not None or history.stage is not Stage.CUT_OVER or end is None or now >= end:
        return False
    found = plan(unit, Move.ROLLBACK, Stage.CUT_OVER, history)
    _apply_unattended(settings, found, reason, say)
    return True


def resume_auto_rollbacks(
    settings: Settings, units: Iterable[Unit], say: Callable[[str], None]
) -> list[Unit]:
    """Go on with automatic rollbacks that stopped half-done, as at a server that was down; which ones are over now.

    What stops one of them is said, and stops no other. Raises what reading the ledger raises.
    """
    histories, finished = Ledger(settings.proxied_state).read().histories(), []
    for unit in units:
        try:
            open_move = histories.get(unit, UnitHistory(unit)).open
            if open_move is None or open_move.move is not Move.ROLLBACK:
                continue
            if open_move.intent.operator.endswith(BY_ITSELF):
                _apply_unattended(settings, resume(open_move), open_move.intent.reason, say)
                finished.append(unit)
        except ParityError as error:
            say(f"{unit}: {error}")
    return finished


def _apply_unattended(settings: Settings, found: Plan, reason: str, say: Callable[[str], None]) -> None:
    operator = f"{settings.operator}{BY_ITSELF}"
    ledger, world = Ledger(settings.proxied_state), LiveOrchestrators.of(settings)
    mover = Mover(ledger, world, operator, reason, patience=SENSOR_PATIENCE)
    for step in mover.taking(found):
        say(f"{found.unit}: {in_words(step, found.unit)}")
