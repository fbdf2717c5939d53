"""Windows of a unit that Dagster owns, run again because somebody wants them: the ledger says so, then they run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from dagster_defs.adapters.dagster.api import ENDED, DagsterClient
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.errors import AirflowsWindows, EvidenceMissing, GateClosed, RunFailed
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.backfills import Backfill, BackfillRun, runs_over
from dagster_defs.lifecycle.gates import blockers
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.moves import in_progress
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import windows_asked
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.move.facts import OnRecord, read_record, with_live
from dagster_defs.usecases.move.live import LiveReader
from dagster_defs.usecases.move.propose import chosen

PAUSE = 1.0  # seconds between two looks at a run


def propose_backfill(
    settings: Settings, patterns: Sequence[str], first: str, last: str, *, gaps: bool
) -> list[Backfill]:
    """The runs that would fill the windows between two keys or days, or, with `gaps`, those that nobody wrote.

    Raises AirflowsWindows for a unit whose windows are Airflow's, MoveInProgress for one in the middle of a move.
    """
    now, record, world = datetime.now(UTC), read_record(settings), LiveReader.of(settings)
    units = chosen(patterns, record)
    for unit in units:
        _refuse_airflows(unit, record)
    missing = continuity_of(settings, units, now, record=record) if gaps else None
    if gaps and missing is None:
        raise EvidenceMissing()
    found: list[Backfill] = []
    for unit in units:
        mirror = record.mirrors[unit]
        windows = (
            [mirror.partitions.window_of(key) for key in missing[unit].gap_keys]
            if missing is not None
            else windows_asked(mirror, first, last or first)
        )
        runs = tuple(runs_over(mirror, windows))
        facts = with_live(record.facts(unit), world, now) if runs else record.facts(unit)
        closed = blockers(Move.BACKFILL, facts, record.settings(unit), now) if runs else []
        found.append(Backfill(unit, record.state(unit).stage, runs, tuple(closed)))
    return found


def run_backfills(
    settings: Settings, found: Sequence[Backfill], *, reason: str, wait: bool, say: Callable[[str], None]
) -> Iterator[tuple[Backfill, BackfillRun, str]]:
    """Launches each run and gives it with the run's id; with `wait`, when it has succeeded.

    Raises GateClosed before anything is launched, RunFailed for a run that does not succeed.
    """
    closed = [f"{one.unit}: {blocker}" for one in found for blocker in one.blockers]
    if closed:
        raise GateClosed(
            Move.BACKFILL.value, ", ".join(str(one.unit) for one in found if one.blockers), closed
        )
    dagster = DagsterClient(settings.dagster_url)
    for one in found:
        for position, run in enumerate(one.runs):
            run_id = _launch(settings, one, run, reason, dagster)
            say(f"{one.unit} {run}: {dagster.run_address(run_id)}")
            # Runs of one unit follow each other: they write the same tables.
            if wait or position + 1 < len(one.runs):
                _follow(dagster, run_id, f"{one.unit} {run}")
            yield one, run, run_id


def _refuse_airflows(unit: Unit, record: OnRecord) -> None:
    stage, open_move = record.state(unit).stage, record.history(unit).open
    if open_move is not None:
        raise in_progress(open_move, half_done=True)
    if (stage, Move.BACKFILL) not in TRANSITIONS or unit not in record.mirrors:
        raise AirflowsWindows(str(unit), stage.value)


def _launch(settings: Settings, one: Backfill, run: BackfillRun, reason: str, dagster: DagsterClient) -> str:
    """The entry comes first: the run looks for it before it writes."""
    entry = Entry(
        id=uuid.uuid4().hex[:12],
        at=datetime.now(UTC),
        operator=settings.operator,
        unit=one.unit,
        move=Move.BACKFILL,
        kind=Kind.BACKFILLED,
        stage=one.stage,
        reason=reason,
        steps=(f"Dagster runs {run}",),
        from_=run.windows[0].start,
        until=run.windows[-1].end,
    )
    ledger = Ledger(settings.proxied_state)
    with ledger.moving(one.unit):
        ledger.append(entry)
    return dagster.launch(
        one.unit.identifier,
        (run.span.first, run.span.last),
        # The entry holds for this run alone: another one in its place would be refused.
        tags={tags.BACKFILL: entry.id, tags.MAX_RETRIES: "0"},
    )


def _follow(dagster: DagsterClient, run_id: str, what: str) -> None:
    while (status := dagster.status(run_id)) not in (*ENDED, "NOT_FOUND"):
        time.sleep(PAUSE)
    if status != "SUCCESS":
        raise RunFailed(f"the backfill of {what}", status, dagster.run_address(run_id))
