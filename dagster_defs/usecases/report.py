"""Gathers everything that a report shows, from files and from Dagster's event log."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.event_log import WindowEvent, instant
from dagster_defs.adapters.dagster.evidence import SHADOW, evidence_at, instance_at
from dagster_defs.adapters.dagster.mirrors import legacy_keys, load_mirrors
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.errors import EvidenceUnreadable, ParityError, ReportUnwritable
from dagster_defs.lifecycle import Owner, Unit
from dagster_defs.lifecycle.broken import faults
from dagster_defs.lifecycle.conditions import condition
from dagster_defs.lifecycle.facets import UnitFacets
from dagster_defs.lifecycle.mirrors import Mirror, owners_of
from dagster_defs.lifecycle.not_read import NOT_READ
from dagster_defs.lifecycle.report import WINDOWS, Report, ReportedUnit, SideRun, reported_windows
from dagster_defs.lifecycle.status import Shown, needs_somebody
from dagster_defs.lifecycle.verdicts import Evidence
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.facts import OnRecord, read_record
from dagster_defs.usecases.move.propose import match_units
from dagster_defs.usecases.shadow.standing import EventLog
from dagster_defs.usecases.verify import configured_inventories, verify_configured
from dagster_defs.windows import instant_text

if TYPE_CHECKING:
    import dagster as dg

NO_EVIDENCE = "no evidence at hand: set DAGSTER_HOME to the folder of Dagster's dagster.yaml"
NO_INVENTORY = "no inventory at hand: export one with inventory.py, and set PARITY_INVENTORY to its file"
RECORDS = 4 * WINDOWS  # how many of an asset's newest records are read: a window may have been run again

Runs = Mapping[str, SideRun]


def read_report(
    settings: Settings, now: datetime, patterns: Sequence[str] = (), shown: Shown | None = None
) -> Report:
    """Reads files and the event log, no servers. The report says what is not available.

    `patterns`, `shown`: of which units, as in `read_status`; the ledger's entries are theirs alone, too.

    Raises NoSuchUnit for a pattern without a match, and what reading the mirrors, the marks and the ledger raises:
    without them there is nothing to report.
    """
    mirrors = load_mirrors(settings.root).resolved()
    verified, no_inventory = _facets(settings, mirrors)
    home = settings.dagster_home
    kept, no_evidence = _evidence(settings)
    record = read_record(settings, facets=verified, evidence=kept, mirrors=mirrors)
    broken = {name: str(fault) for name, fault in mirrors.broken.items()}
    runs = {} if kept is None or home is None else _runs(settings, record, home)
    mirrored = record.mirrors.keys() | record.broken.keys()
    units = [unit for unit in record.readable_units if unit in mirrored or record.histories.get(unit)]
    reported = [_unit(record, unit, runs.get(unit, RunsOfUnit()), now) for unit in units]
    entries = store_reader(settings).read().entries
    if patterns or shown is not None:
        named = frozenset(match_units(patterns, record)) if patterns else None
        asked, owners = replace(shown or Shown(), units=named), owners_of(mirrors)
        reported = [unit for unit in reported if _is_shown(unit, asked, owners, record, broken)]
        left = {unit.state.unit for unit in reported}
        entries = tuple(entry for entry in entries if entry.unit in left)
    return Report(
        now,
        tuple(reported),
        entries,
        no_inventory,
        no_evidence,
        (*(f"broken: {fault}" for fault in faults(broken)), *_warnings(record, units)),
        of=len(units),
    )


def _is_shown(
    unit: ReportedUnit,
    asked: Shown,
    owners: Mapping[Unit, Sequence[str]],
    record: OnRecord,
    broken: Collection[str],
) -> bool:
    name = unit.state.unit
    verdicts = {item.checked.verdict for item in unit.evidence}
    return asked.shows(
        unit.state,
        failing=unit.name in broken or record.facts(name).drifted or needs_somebody(unit.condition, verdicts),
        verdicts=verdicts,
        owners=owners.get(name, ()),
    )


def write_page(path: Path, text: str) -> Path:
    """Replace the file atomically, as somebody may be viewing the last page. A missing folder may be a typo: it is not
    created.

    Raises ReportUnwritable.
    """
    try:
        path.parent.stat()
        atomic.write_text(path, text)
    except OSError as error:
        raise ReportUnwritable(path, error.strerror or str(error)) from error
    return path


@dataclass(frozen=True, slots=True)
class RunsOfUnit:
    """`partitions`: the windows to show, in order. `legacy`, `candidate`: the last known run of each window."""

    partitions: Sequence[str] = ()
    legacy: Runs = field(default_factory=dict)
    candidate: Runs = field(default_factory=dict)


def _unit(record: OnRecord, unit: Unit, runs: RunsOfUnit, now: datetime) -> ReportedUnit:
    facts = record.facts(unit)
    evidence = sorted(
        (record.evidence or {}).get(unit, ()), key=lambda verdict: (verdict.window_start, verdict.at)
    )
    return ReportedUnit(
        record.state(unit),
        condition(facts, record.settings(unit), now),
        None if facts.facets is NOT_READ else facts.facets,
        reported_windows(runs.partitions, evidence, runs.legacy, runs.candidate),
        tuple(evidence),
    )


def _facets(settings: Settings, mirrors: Sequence[Mirror]) -> tuple[dict[Unit, UnitFacets] | None, str]:
    """The facets, or why there are none."""
    try:
        verified = verify_configured(settings, mirrors, configured_inventories(settings))
    except ParityError as error:
        return None, str(error)
    return verified, NO_INVENTORY if verified is None else ""


def _evidence(settings: Settings) -> tuple[list[Evidence] | None, str]:
    """The stored verdicts, or why there are none."""
    try:
        kept = evidence_at(settings.dagster_home)
    except EvidenceUnreadable as error:
        return None, str(error)
    return kept, "" if kept is not None else NO_EVIDENCE


def _warnings(record: OnRecord, units: Sequence[Unit]) -> Iterator[str]:
    for unit, proxied in record.marks.items():
        if proxied and unit not in record.mirrors and unit not in record.broken:
            yield f"{unit} is marked as proxied but has no mirror: it will fail"
    for unit in units:
        if record.facts(unit).drifted:
            yield f"{unit}: the mark in proxied_state/ disagrees with the ledger: parity resume {unit}"
        for entry in record.history(unit).forced:
            yield (
                f"{entry.operator} forced {entry.move} of {unit} on {instant_text(entry.at)} against "
                f"{', '.join(entry.forced)}: {entry.reason}"
            )
    yield from (f"{about}: {why}" for about, why in record.problems.items())
    if record.cut_off:
        yield "the ledger's last line is truncated and is ignored"


def _runs(settings: Settings, record: OnRecord, home: Path) -> dict[Unit, RunsOfUnit]:
    """For every mirrored unit, its last windows and the last run of each on both sides."""
    keys = legacy_keys(record.mirrors)
    evidence = record.evidence or {}
    with instance_at(home) as instance:
        log = EventLog(instance, settings)
        return {
            unit: _runs_of(log, mirror, keys.get(unit, ()), evidence.get(unit, ()))
            for unit, mirror in record.mirrors.items()
        }


def _runs_of(
    log: EventLog, mirror: Mirror, keys: Sequence[dg.AssetKey], evidence: Sequence[Evidence]
) -> RunsOfUnit:
    unit = mirror.legacy_unit
    of_event = mirror.event is not None
    legacy = _last_records(log, keys, of_event=of_event)
    candidate = _last_records(log, [key.with_prefix(SHADOW) for key in keys], of_event=of_event)
    partitions = (
        _last_occasions({**candidate, **legacy})
        if of_event
        else _last_windows(mirror, {*legacy, *candidate}, evidence)
    )
    made = _candidate_runs(log, _only(candidate, partitions))
    failed = log.failed_runs(unit, partitions) if partitions and not of_event else {}
    return RunsOfUnit(
        partitions,
        _legacy_runs(log, unit, _only(legacy, partitions)),
        {**made, **{partition: _failed_run(log, run) for partition, run in failed.items()}},
    )


def _last_occasions(records: Mapping[str, WindowEvent]) -> list[str]:
    """The last known runs of a DAG without a clock, in the order in which they wrote."""
    return sorted(records, key=lambda run: records[run].position)[-WINDOWS:]


def _last_records(
    log: EventLog, keys: Iterable[dg.AssetKey], *, of_event: bool = False
) -> dict[str, WindowEvent]:
    """The newest materialization of each partition, across all the assets; `of_event`: of each run of Airflow's."""
    newest: dict[str, WindowEvent] = {}
    for key in keys:
        for event in log.events.materializations(key, limit=RECORDS):
            partition = event.airflow_run if of_event else event.partition
            if partition and (partition not in newest or newest[partition].position < event.position):
                newest[partition] = event
    return newest


def _only(records: Mapping[str, WindowEvent], partitions: Sequence[str]) -> dict[str, WindowEvent]:
    return {partition: records[partition] for partition in partitions if partition in records}


def _last_windows(mirror: Mirror, ran: Iterable[str], evidence: Sequence[Evidence]) -> list[str]:
    """The last windows that anything is known about, and the schedule's windows between them, in order."""
    starts: dict[str, datetime] = {verdict.partition: verdict.window_start for verdict in evidence}
    for partition in set(ran) - starts.keys():
        try:
            starts[partition] = mirror.partitions.window_of(partition).start
        except ParityError:
            continue  # the unit had another schedule then
    known = sorted(starts, key=starts.__getitem__)[-WINDOWS:]
    if not known:
        return []
    shown = {partition: starts[partition] for partition in known}
    try:
        after_last = starts[known[-1]] + timedelta(microseconds=1)
        between = mirror.partitions.schedule.windows(starts[known[0]], after_last)
        for window in deque(between, WINDOWS):
            shown.setdefault(mirror.partitions.key_of(window), window.start)
    except ParityError:
        pass  # the schedule cannot be walked there: show the known windows without those in between
    return sorted(shown, key=lambda partition: (shown[partition], partition))[-WINDOWS:]


def _legacy_runs(log: EventLog, unit: Unit, records: Mapping[str, WindowEvent]) -> Runs:
    """Airflow's own runs, and the Dagster runs that its proxy launched."""
    shared = Counter(record.run_id for record in records.values())
    runs: dict[str, SideRun] = {}
    for partition, record in records.items():
        run = log.legacy_run(unit, record)
        if run is not None:
            runs[partition] = SideRun(
                Owner.DAGSTER if run.dagster_run else Owner.AIRFLOW,
                run.write.began,
                run.write.ended,
                run.dagster_run or run.airflow_run,
                run.address or (log.run_address(run.dagster_run) if run.dagster_run else ""),
                windows=shared[record.run_id] if record.run_id else 1,
            )
    return runs


def _candidate_runs(log: EventLog, records: Mapping[str, WindowEvent]) -> Runs:
    shared = Counter(record.run_id for record in records.values())
    runs: dict[str, SideRun] = {}
    for partition, record in records.items():
        write = log.write(record)
        if write is not None:
            runs[partition] = SideRun(
                Owner.DAGSTER,
                write.began,
                write.ended,
                record.run_id,
                log.run_address(record.run_id) if record.run_id else "",
                windows=shared[record.run_id] if record.run_id else 1,
            )
    return runs


def _failed_run(log: EventLog, run: dg.DagsterRun) -> SideRun:
    """A run that was cancelled before it began has a duration of zero."""
    record = log.instance.get_run_record_by_id(run.run_id)
    assert record is not None, run.run_id  # noqa: S101 - it has just been read
    began = instant(record.start_time) if record.start_time else record.create_timestamp
    ended = instant(record.end_time) if record.end_time else began
    return SideRun(Owner.DAGSTER, began, ended, run.run_id, log.run_address(run.run_id), failed=True)
