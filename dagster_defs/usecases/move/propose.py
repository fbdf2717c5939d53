"""Proposes a move: its units, what it would change, and what blocks it. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase

from dagster_defs.adapters.dagster.mirrors import Mirrors
from dagster_defs.errors import (
    GateClosed,
    HalfRetired,
    MirrorsUnreadable,
    NoSuchUnit,
    PartOfDag,
    ReasonMissing,
    SourceLeftBehind,
)
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.gates import GATES, Blocker, Proposal, Proposed, accepted_reason, blockers
from dagster_defs.lifecycle.moves import Done, Planned, PlannedMove, mend, plan, record_rehearsal, resume
from dagster_defs.lifecycle.settings import Gate
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.move.facts import OnRecord, read_all, read_record, with_live
from dagster_defs.usecases.move.live import LiveFacts, LiveReaders
from dagster_defs.usecases.move.sources import sources_of


def propose(
    settings: Settings,
    move: PlannedMove,
    patterns: Sequence[str],
    *,
    end_runs: bool = False,
    now: datetime | None = None,
) -> list[Proposed]:
    """What the move would change, unit by unit. Asks Airflow and Dagster only if one of the move's gates needs it.

    Raises NoSuchUnit, MoveImpossible, MoveInProgress, PartOfDag, HalfRetired, SourceLeftBehind, and what reading the
    record raises.
    """
    record = _record(settings, needs_mirrors=bool(GATES[move]))
    units = match_units(patterns, record)
    if move is Move.RETIRE:
        refuse_part_of_a_dag(units, record)
    if move is Move.ROLLBACK:
        _refuse_half_retired(units, record)
    plans = [
        plan(unit, move, record.state(unit).stage, record.history(unit), end_runs=end_runs) for unit in units
    ]
    planned = [each.unit for each in plans if isinstance(each, Planned)]
    if move is Move.ROLLBACK:
        _refuse_without_sources(settings, planned, record)
    if not planned or not GATES[move]:
        return [_without_gates(each, record) for each in plans]
    now, world = now or datetime.now(timezone.utc), LiveReaders(settings)
    gated = read_all(settings, planned)
    if Gate.CONTINUITY in GATES[move]:
        gated = replace(gated, continuity=continuity_of(settings, planned, now, record=gated))
    return [
        Proposal(
            each,
            _against(move, gated, each.unit, world, now),
            accepted_reason(move, gated.settings(each.unit)),
            gated.settings(each.unit).beside if move is Move.CUTOVER else (),
        )
        if isinstance(each, Planned)
        else _without_gates(each, record)
        for each in plans
    ]


def propose_resuming(
    settings: Settings, patterns: Sequence[str], *, end_runs: bool = False
) -> list[Proposal]:
    """The rest of half-done moves, and corrections of marks that disagree with the ledger; all without patterns."""
    record = _record(settings, needs_mirrors=False)
    proposals: list[Proposal] = []
    for unit in match_units(patterns, record) if patterns else record.readable_units:
        open_move, facts = record.history(unit).open, record.facts(unit)
        if open_move is not None:
            proposals.append(Proposal(resume(open_move, end_runs=end_runs)))
        elif facts.drifted:
            proposals.append(Proposal(mend(unit, facts.stage, end_runs=end_runs)))
    return proposals


def refuse_closed(proposals: Sequence[Proposal], *, force: bool, reason: str) -> None:
    """Refuse to move anything while any unit's gate is closed, unless the move is forced with a reason.

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


def propose_rehearsal_note(settings: Settings, patterns: Sequence[str], reason: str) -> list[Proposal]:
    """Notes that a rollback of these units was rehearsed elsewhere; `reason` says where. Raises ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing("--rehearsed")
    record = _record(settings, needs_mirrors=False)
    return [
        Proposal(record_rehearsal(unit, record.state(unit).stage)) for unit in match_units(patterns, record)
    ]


def match_units(patterns: Sequence[str], record: OnRecord) -> list[Unit]:
    """Units by name, glob (`taxi_daily.*`) or DAG (`taxi_daily`). Raises NoSuchUnit for a pattern without a match."""
    units: set[Unit] = set()
    for pattern in patterns:
        matching = {
            unit
            for unit in record.units
            if fnmatchcase(str(unit), pattern) or fnmatchcase(unit.dag_id, pattern)
        }
        if not matching:
            raise NoSuchUnit(pattern, [str(unit) for unit in record.units])
        units |= matching
    return sorted(units)


def refuse_part_of_a_dag(units: Sequence[Unit], record: OnRecord) -> None:
    """Raises PartOfDag if a DAG's other units are left out: Airflow pauses whole DAGs, not tasks."""
    for dag_id in {unit.dag_id for unit in units}:
        left = [unit for unit in record.units if unit.dag_id == dag_id and unit not in units]
        if left:
            raise PartOfDag(dag_id, [str(unit) for unit in left])


def _refuse_half_retired(units: Sequence[Unit], record: OnRecord) -> None:
    """Raises HalfRetired if a unit is on its way to retirement and another unit of its DAG is already retired."""
    for unit in units:
        open_move = record.history(unit).open
        mates = [mate for mate in record.readable_units if mate.dag_id == unit.dag_id]
        retired = [mate for mate in mates if record.state(mate).stage is Stage.RETIRED]
        if retired and open_move and open_move.move is Move.RETIRE and not open_move.back:
            raise HalfRetired(str(unit), str(retired[0]))


def _refuse_without_sources(settings: Settings, units: Sequence[Unit], record: OnRecord) -> None:
    """Raises SourceLeftBehind if the units read XComs of mapped tasks that are not among them and stay Dagster's."""
    if left := sources_of(settings, units, record.marks):
        raise SourceLeftBehind(
            [str(unit) for unit in units],
            {str(source): [str(reader) for reader in readers] for source, readers in left.items()},
        )


def _without_gates(plan: Done | Planned, record: OnRecord) -> Proposed:
    if isinstance(plan, Planned):
        return Proposal(plan)
    if not record.facts(plan.unit).drifted:
        return plan
    return replace(plan, said=f"{plan.said}, but its mark is not: parity resume {plan.unit}")


def _record(settings: Settings, *, needs_mirrors: bool) -> OnRecord:
    """Moves without gates work even if the mirrors cannot be loaded: marks and ledger say enough."""
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
        facts = with_live(facts, world, now, record.disposed, record.sensors.get(unit.dag_id, ()))
    else:
        facts = with_live(facts, world, now)
    return tuple(blockers(move, facts, record.settings(unit), now))
