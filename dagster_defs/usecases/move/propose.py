"""A move of many units: which they are, what it would change, and what stands against it. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from dagster_defs.adapters.dagster.mirrors import Mirrors
from dagster_defs.errors import (
    GateClosed,
    HalfRetired,
    MirrorsUnreadable,
    NoSuchUnit,
    PartOfDag,
    ReasonMissing,
)
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.gates import GATES, Blocker, Proposal, accepted_reason, blockers
from dagster_defs.lifecycle.moves import Plan, PlannedMove, mend, noting, plan, resume
from dagster_defs.lifecycle.settings import Gate
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.move.facts import OnRecord, read_all, read_record, with_live
from dagster_defs.usecases.move.live import LiveFacts, LiveReader


def propose(
    settings: Settings,
    move: PlannedMove,
    patterns: Sequence[str],
    *,
    end_runs: bool = False,
    now: datetime | None = None,
) -> list[Proposal]:
    """What the move would change, unit by unit. Asks Airflow and Dagster where one of the move's gates needs it.

    Raises NoSuchUnit, MoveImpossible, MoveInProgress, and what reading the record raises.
    """
    record = _record(settings, needs_mirrors=bool(GATES[move]))
    units = chosen(patterns, record)
    if move is Move.RETIRE:
        refuse_part_of_a_dag(units, record)
    if move is Move.ROLLBACK:
        _refuse_half_retired(units, record)
    plans = [
        plan(unit, move, record.state(unit).stage, record.history(unit), end_runs=end_runs) for unit in units
    ]
    plans = [_with_drift(found, record) for found in plans]
    open_plans = [found for found in plans if found.steps and GATES[move]]
    if not open_plans:
        return [Proposal(found) for found in plans]
    now, world = now or datetime.now(UTC), LiveReader.of(settings)
    record = read_all(settings, [found.unit for found in open_plans])
    if Gate.CONTINUITY in GATES[move]:
        units = [found.unit for found in open_plans]
        record = replace(record, continuity=continuity_of(settings, units, now, record=record))
    return [
        Proposal(
            found,
            _against(move, record, found.unit, world, now),
            accepted_reason(move, record.settings(found.unit)),
        )
        if found in open_plans
        else Proposal(found)
        for found in plans
    ]


def propose_resuming(
    settings: Settings, patterns: Sequence[str], *, end_runs: bool = False
) -> list[Proposal]:
    """What is left of half-done moves, and marks that say another thing than the ledger. Without patterns: all."""
    record = _record(settings, needs_mirrors=False)
    found: list[Proposal] = []
    for unit in chosen(patterns, record) if patterns else record.readable_units:
        open_move, facts = record.history(unit).open, record.facts(unit)
        if open_move is not None:
            found.append(Proposal(resume(open_move, end_runs=end_runs)))
        elif facts.drifted:
            found.append(Proposal(mend(unit, facts.stage, end_runs=end_runs)))
    return found


def refuse_closed(proposals: Sequence[Proposal], *, force: bool, reason: str) -> None:
    """Nothing is moved while a gate of one of the units is closed, unless somebody forces it and says why.

    Raises GateClosed or ReasonMissing.
    """
    if force and not reason.strip():
        raise ReasonMissing("--force")
    closed = [proposal for proposal in proposals if proposal.blockers]
    if closed and not force:
        raise GateClosed(
            closed[0].plan.move.value,
            ", ".join(str(proposal.plan.unit) for proposal in closed),
            [
                f"{proposal.plan.unit}: {blocker}" if len(closed) > 1 else str(blocker)
                for proposal in closed
                for blocker in proposal.blockers
            ],
        )


def propose_noting(settings: Settings, patterns: Sequence[str], reason: str) -> list[Proposal]:
    """A note that a rollback of these units was rehearsed elsewhere; `reason` says where. Raises ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing("--rehearsed")
    record = _record(settings, needs_mirrors=False)
    return [Proposal(noting(unit, record.state(unit).stage)) for unit in chosen(patterns, record)]


def chosen(patterns: Sequence[str], record: OnRecord) -> list[Unit]:
    """Units by name, by glob (`taxi_daily.*`) or by DAG (`taxi_daily`). Raises NoSuchUnit for one that finds none."""
    found: set[Unit] = set()
    for pattern in patterns:
        matching = {
            unit
            for unit in record.units
            if fnmatchcase(str(unit), pattern) or fnmatchcase(unit.dag_id, pattern)
        }
        if not matching:
            raise NoSuchUnit(pattern, [str(unit) for unit in record.units])
        found |= matching
    return sorted(found)


def refuse_part_of_a_dag(units: Sequence[Unit], record: OnRecord) -> None:
    """Raises PartOfDag: Airflow pauses a DAG, not single tasks of it."""
    for dag_id in {unit.dag_id for unit in units}:
        left = [unit for unit in record.units if unit.dag_id == dag_id and unit not in units]
        if left:
            raise PartOfDag(dag_id, [str(unit) for unit in left])


def _refuse_half_retired(units: Sequence[Unit], record: OnRecord) -> None:
    """Raises HalfRetired where another unit of the DAG is retired for good, and this one is on its way there."""
    for unit in units:
        open_move = record.history(unit).open
        mates = [one for one in record.readable_units if one.dag_id == unit.dag_id]
        retired = [one for one in mates if record.state(one).stage is Stage.RETIRED]
        if retired and open_move and open_move.move is Move.RETIRE and not open_move.back:
            raise HalfRetired(str(unit), str(retired[0]))


def _with_drift(found: Plan, record: OnRecord) -> Plan:
    if not found.already or not record.facts(found.unit).drifted:
        return found
    return replace(found, already=f"{found.already}, but its mark is not: parity resume {found.unit}")


def _record(settings: Settings, *, needs_mirrors: bool) -> OnRecord:
    """What no gate stands before is there although the mirrors cannot be loaded: marks and ledger say enough."""
    try:
        return read_record(settings)
    except MirrorsUnreadable:
        if needs_mirrors:
            raise
        return read_record(settings, mirrors=Mirrors(()))


def _against(
    move: PlannedMove, record: OnRecord, unit: Unit, world: LiveFacts, now: datetime
) -> tuple[Blocker, ...]:
    facts = record.facts(unit)
    if Gate.WHOLE_DAG in GATES[move]:
        facts = with_live(facts, world, now, record.mirrors, record.sensors.get(unit.dag_id, ()))
    else:
        facts = with_live(facts, world, now)
    return tuple(blockers(move, facts, record.settings(unit), now))
