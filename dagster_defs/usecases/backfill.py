"""Backfills: windows of a unit that Dagster owns, recorded in the ledger first and then run again on request."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone

from dagster_defs.adapters.dagster.api import ENDED, DagsterClient
from dagster_defs.adapters.store.registry import open_store
from dagster_defs.errors import EvidenceMissing, GateClosed, NotDagsterOwned, RunFailed
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.backfills import Backfill, BackfillRun, runs_over
from dagster_defs.lifecycle.gates import blockers
from dagster_defs.lifecycle.ledger import Entry, Kind, Requested
from dagster_defs.lifecycle.moves import in_progress
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import requested_windows
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.move.facts import OnRecord, read_record, with_live
from dagster_defs.usecases.move.live import LiveReaders
from dagster_defs.usecases.move.propose import match_units

PAUSE = 1.0  # seconds between two polls of a run


def propose_backfill(
    settings: Settings, patterns: Sequence[str], first: str, last: str, *, gaps: bool
) -> list[Backfill]:
    """The runs for the windows between two keys or days or, with `gaps`, for the windows that nobody wrote.

    Raises NotDagsterOwned for a unit that Airflow owns, MoveInProgress for one in the middle of a move.
    """
    now, record, world = datetime.now(timezone.utc), read_record(settings), LiveReaders(settings)
    units = match_units(patterns, record)
    for unit in units:
        _refuse_airflows(unit, record)
    missing = continuity_of(settings, units, now, record=record) if gaps else None
    if gaps and missing is None:
        raise EvidenceMissing()
    backfills: list[Backfill] = []
    for unit in units:
        mirror = record.mirrors[unit]
        windows = (
            [mirror.partitions.window_of(key) for key in missing[unit].gap_keys]
            if missing is not None
            else requested_windows(mirror, first, last or first)
        )
        runs = tuple(runs_over(mirror, windows))
        facts = with_live(record.facts(unit), world, now) if runs else record.facts(unit)
        closed = blockers(Move.BACKFILL, facts, record.settings(unit), now) if runs else []
        backfills.append(Backfill(unit, record.state(unit).stage, runs, tuple(closed)))
    return backfills


def run_backfills(
    settings: Settings, backfills: Sequence[Backfill], *, reason: str, wait: bool, say: Callable[[str], None]
) -> Iterator[tuple[Backfill, BackfillRun, str]]:
    """Launch each run and yield it with its run id; with `wait`, only after it has succeeded.

    Raises GateClosed before anything is launched, LaunchRefused, and RunFailed for a run that does not succeed.
    """
    closed = [f"{backfill.unit}: {blocker}" for backfill in backfills for blocker in backfill.blockers]
    if closed:
        raise GateClosed(
            Move.BACKFILL.value,
            ", ".join(str(backfill.unit) for backfill in backfills if backfill.blockers),
            closed,
        )
    dagster = DagsterClient.of(settings)
    for backfill in backfills:
        for position, run in enumerate(backfill.runs):
            run_id = _launch(settings, backfill, run, reason, dagster)
            say(f"{backfill.unit} {run}: {dagster.run_address(run_id)}")
            # Runs of one unit must not overlap: they write the same tables.
            if wait or position + 1 < len(backfill.runs):
                _follow(dagster, run_id, f"{backfill.unit} {run}")
            yield backfill, run, run_id


def _refuse_airflows(unit: Unit, record: OnRecord) -> None:
    stage, open_move = record.state(unit).stage, record.history(unit).open
    if open_move is not None:
        raise in_progress(open_move, half_done=True)
    if (stage, Move.BACKFILL) not in TRANSITIONS or unit not in record.mirrors:
        raise NotDagsterOwned(str(unit), stage.value)


def _launch(
    settings: Settings, backfill: Backfill, run: BackfillRun, reason: str, dagster: DagsterClient
) -> str:
    """Write the ledger entry before launching: the run looks for it before it writes."""
    entry = Entry(
        id=uuid.uuid4().hex[:12],
        at=datetime.now(timezone.utc),
        operator=settings.operator,
        unit=backfill.unit,
        move=Move.BACKFILL,
        kind=Kind.BACKFILLED,
        stage=backfill.stage,
        reason=reason,
        steps=(f"Dagster runs {run}",),
        windows=Requested(run.windows[0].start, run.windows[-1].end),
    )
    store = open_store(settings)
    with store.moving(backfill.unit):
        store.append(entry)
    return dagster.launch(
        backfill.unit.identifier,
        (run.span.first, run.span.last),
        # The entry authorizes this run only, so a retry would be refused.
        tags={tags.BACKFILL: entry.id, tags.MAX_RETRIES: "0"},
    )


def _follow(dagster: DagsterClient, run_id: str, what: str) -> None:
    while (status := dagster.status(run_id)) not in (*ENDED, "NOT_FOUND"):
        time.sleep(PAUSE)
    if status != "SUCCESS":
        raise RunFailed(f"the backfill of {what}", status, dagster.run_address(run_id))
