"""A move of many units: which they are, what stands against it, and the making of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from dagster_defs.adapters.facts import OnRecord, read_all, read_record, with_live
from dagster_defs.adapters.ledger import Ledger, operator_name
from dagster_defs.adapters.moves import Mover
from dagster_defs.adapters.orchestrators import LiveOrchestrators
from dagster_defs.errors import GateClosed, MirrorsUnreadable, NoSuchUnit, ReasonMissing
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.gates import GATES, Blocker, Proposal, blockers
from dagster_defs.lifecycle.moves import Plan, PlannedMove, in_words, mend, noting, plan, resume


def propose(
    move: PlannedMove, patterns: Sequence[str], *, end_runs: bool = False, now: datetime | None = None
) -> list[Proposal]:
    """What the move would change, unit by unit. Asks Airflow and Dagster where one of the move's gates needs it.

    Raises NoSuchUnit, MoveImpossible, MoveInProgress, and what reading the record raises.
    """
    record = _record(move)
    units = chosen(patterns, record)
    plans = [
        plan(unit, move, record.state(unit).stage, record.history(unit), end_runs=end_runs) for unit in units
    ]
    plans = [_with_drift(found, record) for found in plans]
    open_plans = [found for found in plans if found.steps and GATES[move]]
    if not open_plans:
        return [Proposal(found) for found in plans]
    now, world = now or datetime.now(UTC), LiveOrchestrators.at_hand()
    record = read_all([found.unit for found in open_plans])
    return [
        Proposal(found, _against(move, record, found.unit, world, now) if found in open_plans else ())
        for found in plans
    ]


def propose_resuming(patterns: Sequence[str], *, end_runs: bool = False) -> list[Proposal]:
    """What is left of half-done moves, and marks that say another thing than the ledger. Without patterns: all."""
    record = read_record()
    found: list[Proposal] = []
    for unit in chosen(patterns, record) if patterns else record.units:
        open_move, facts = record.history(unit).open, record.facts(unit)
        if open_move is not None:
            found.append(Proposal(resume(open_move, end_runs=end_runs)))
        elif facts.drifted:
            found.append(Proposal(mend(unit, facts.stage)))
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


def carry_out(
    proposals: Sequence[Proposal], *, reason: str = "", say: Callable[[str], None]
) -> Iterator[Plan]:
    """Takes the steps of each plan and gives it when it is done. `say` hears of each step."""
    for proposal in proposals:
        found = proposal.plan
        forced = tuple(dict.fromkeys(blocker.gate.value for blocker in proposal.blockers))
        mover = Mover(Ledger.at_hand(), LiveOrchestrators.at_hand(), operator_name(), reason, forced)
        for step in mover.taking(found):
            say(f"{found.unit}: {in_words(step, found.unit)}")
        yield found


def propose_noting(patterns: Sequence[str], reason: str) -> list[Proposal]:
    """A note that a rollback of these units was rehearsed elsewhere; `reason` says where. Raises ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing("--rehearsed")
    record = read_record()
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


def _with_drift(found: Plan, record: OnRecord) -> Plan:
    if not found.already or not record.facts(found.unit).drifted:
        return found
    return replace(found, already=f"{found.already}, but its mark is not: parity resume {found.unit}")


def _record(move: PlannedMove) -> OnRecord:
    """The way back is there although the mirrors cannot be loaded: marks and ledger say enough."""
    try:
        return read_record()
    except MirrorsUnreadable:
        if GATES[move]:
            raise
        return read_record(mirrors=())


def _against(
    move: PlannedMove, record: OnRecord, unit: Unit, world: LiveOrchestrators, now: datetime
) -> tuple[Blocker, ...]:
    facts = with_live(record.facts(unit), world, now)
    return tuple(blockers(move, facts, record.settings(unit), now))
