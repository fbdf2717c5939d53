"""Carries out plans, for a command or for the sensor that rolls back automatically."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from dagster_defs.adapters.dagster.api import DagsterClient
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.adapters.processes.waiting import say_seconds
from dagster_defs.adapters.store.registry import open_store, store_reader
from dagster_defs.adapters.store.seam import Store, StoreReader
from dagster_defs.errors import DagsterFault, ParityError
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.gates import Proposal, soak_end
from dagster_defs.lifecycle.histories import CutOver
from dagster_defs.lifecycle.ledger import BY_ITSELF
from dagster_defs.lifecycle.moves import Planned, Step, in_words, plan, resume
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.carry_out import Mover, Patience
from dagster_defs.usecases.move.orchestrators import LiveOrchestrators
from dagster_defs.usecases.move.sources import sources_of

# Dagster kills a sensor's tick after a minute.
SENSOR_PATIENCE = Patience(definitions=5, served=40, live_runs=5, stray_runs=5, rest=5)


def carry_out(
    settings: Settings, proposals: Sequence[Proposal], *, reason: str = "", say: Callable[[str], None]
) -> Iterator[Planned]:
    """Take the steps of each plan and yield the plan when it is done. Each step is reported to `say`.

    Units of one DAG move together, step by step: Airflow then parses the DAG once for all of them, and a retired DAG
    starts in Dagster with the last step of its last unit.
    """
    store = open_store(settings)
    for together in _by_dag(proposals):
        steps = [_mover(settings, store, proposal, reason, say).apply(proposal.plan) for proposal in together]
        yield from _take_turns([proposal.plan for proposal in together], steps, say)
    if any(proposal.plan.from_ is not proposal.plan.to for proposal in proposals):
        _load_anew(settings, proposals[0].plan.unit, say)


def _take_turns(
    plans: Sequence[Planned], steps: Sequence[Iterator[Step]], say: Callable[[str], None]
) -> Iterator[Planned]:
    """Take the steps of these plans side by side, and yield each plan when all are done."""
    most = max((len(each.steps) for each in plans), default=0)
    for turn in range(most):
        for current, moving in zip(plans, steps, strict=True):
            if turn >= most - len(current.steps):  # plans with fewer steps start later
                step = next(moving)
                say(f"{current.unit}: {in_words(step, current.unit)}")
    for current, moving in zip(plans, steps, strict=True):
        next(moving, None)  # releases the unit
        yield current


def _by_dag(proposals: Sequence[Proposal]) -> Iterator[list[Proposal]]:
    in_order = sorted(proposals, key=lambda proposal: proposal.plan.unit)
    for _, together in groupby(in_order, key=lambda proposal: proposal.plan.unit.dag_id):
        yield list(together)


def _mover(
    settings: Settings, store: Store, proposal: Proposal, reason: str, say: Callable[[str], None]
) -> Mover:
    forced = tuple(dict.fromkeys(blocker.gate.value for blocker in proposal.blockers))
    world = _world(settings, store, proposal.plan.unit)
    return Mover(store, world, settings.operator, reason, forced, say=say, say_seconds=say_seconds())


def _world(settings: Settings, store: Store, unit: Unit) -> LiveOrchestrators:
    """With the unit's own Airflow. Raises what says that it is not known."""
    return LiveOrchestrators.of(settings_of_dag(settings, unit.dag_id), store=store)


def _load_anew(settings: Settings, unit: Unit, say: Callable[[str], None]) -> None:
    """Reload the definitions so that the assets' tags show the new stage; the move is done even if this fails."""
    try:
        DagsterClient.of(settings).reload(unit.identifier)
        say("Dagster is reloading its definitions to update the assets' tags")
    except DagsterFault as error:
        say(f"Dagster will show the new stage the next time it loads its definitions: {error}")


def auto_rollback(
    settings: Settings,
    unit: Unit,
    gates: GateSettings,
    reason: str,
    now: datetime,
    say: Callable[[str], None],
) -> bool:
    """Automatic rollback, bounded by a sensor's tick. Returns False if the unit's soak time is not running.

    Mapped tasks whose XComs the unit reads are rolled back with it: in Airflow it would find none of theirs.
    Raises what applying the steps raises; `resume_auto_rollbacks` then finishes what was started.
    """
    store = store_reader(settings)
    history = store.history(unit)
    end = soak_end(history, gates)
    if not isinstance(history, CutOver) or history.open is not None or end is None or now >= end:
        return False
    sources = sources_of(settings, [unit], store.marks_in_airflow(unit.dag_id))
    rollbacks = [
        rollback for each in (unit, *sources) if (rollback := _rollback_of(each, store, say)) is not None
    ]
    _apply_unattended(settings, rollbacks, reason, say)
    return True


def _rollback_of(unit: Unit, store: StoreReader, say: Callable[[str], None]) -> Planned | None:
    """None if the unit is not cut over, or in a move; another unit's rollback does not depend on it."""
    try:
        history = store.history(unit)
    except ParityError as error:
        say(f"{unit}: {error}")
        return None
    if not isinstance(history, CutOver) or history.open is not None:
        return None
    rollback = plan(unit, Move.ROLLBACK, Stage.CUT_OVER, history)
    return rollback if isinstance(rollback, Planned) else None


def resume_auto_rollbacks(
    settings: Settings, units: Iterable[Unit], say: Callable[[str], None]
) -> list[Unit]:
    """Continue automatic rollbacks of these units, and of others of their DAGs that returned with them, that stopped
    halfway, such as when a server was down; returns the finished units.

    An error in one rollback is reported and does not stop the others. Raises what reading the ledger raises.
    """
    histories, finished = store_reader(settings).read().histories(), []
    dag_ids = {unit.dag_id for unit in units}
    for unit in sorted({*units, *(mate for mate in histories if mate.dag_id in dag_ids)}):
        try:
            history = histories.get(unit)
            open_move = history.open if history else None
            if open_move is None or open_move.move is not Move.ROLLBACK:
                continue
            if open_move.intent.operator.endswith(BY_ITSELF):
                _apply_unattended(settings, [resume(open_move)], open_move.intent.reason, say)
                finished.append(unit)
        except ParityError as error:
            say(f"{unit}: {error}")
    return finished


def _apply_unattended(
    settings: Settings, rollbacks: Sequence[Planned], reason: str, say: Callable[[str], None]
) -> None:
    operator = f"{settings.operator}{BY_ITSELF}"
    store = open_store(settings)
    steps = [
        Mover(store, _world(settings, store, each.unit), operator, reason, patience=SENSOR_PATIENCE).apply(
            each
        )
        for each in rollbacks
    ]
    for done in _take_turns(rollbacks, steps, say):
        say(f"{done.unit} was rolled back")
