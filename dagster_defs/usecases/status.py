"""The status of every unit, from the mirrors, the ledger and the hand-over marks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from dagster_defs.adapters.dagster.evidence import evidence_at
from dagster_defs.adapters.dagster.last_seen import known_tasks, last_seen_files
from dagster_defs.adapters.dagster.mirrors import load_mirrors, mirrors_folder
from dagster_defs.adapters.files.airflows import airflows
from dagster_defs.errors import EvidenceUnreadable
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.airflows import Airflows
from dagster_defs.lifecycle.broken import faults
from dagster_defs.lifecycle.conditions import condition
from dagster_defs.lifecycle.echo_place import LateEchoes, late_echoes
from dagster_defs.lifecycle.mirrors import owners_of
from dagster_defs.lifecycle.status import Shown, Status
from dagster_defs.lifecycle.verdicts import Evidence, summary
from dagster_defs.settings import Settings
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.echoes.listed import places_at
from dagster_defs.usecases.known_mirrors import KnownMirrors, keep, recall
from dagster_defs.usecases.move.facts import OnRecord, known_record, read_record
from dagster_defs.usecases.move.propose import match_units
from dagster_defs.usecases.verify import configured_inventories, verify_configured


def read_status(
    settings: Settings,
    patterns: Sequence[str] = (),
    *,
    facets: bool = False,
    evidence: bool = False,
    shown: Shown | None = None,
) -> Status:
    """Reads files only: the mirrors, the ledger, the marks, and what Airflow was last seen to contain.

    `facets`: also compares the mirrors with their dbt projects and with Airflow's inventory, if there is one. That is
    as slow as `parity verify`, but instant if nothing has changed since the last call and there is no event log.
    `evidence`: also reads the verdicts in Dagster's event log, if DAGSTER_HOME is set. With both, conditions too.
    `patterns`: units, globs or DAGs, as for a move, and `shown`: which of those; None and none: every unit.

    Raises NoSuchUnit for a pattern without a match, and what reading the record raises.
    """
    kept, problem = _evidence(settings) if evidence else (None, "")
    now = datetime.now(timezone.utc)
    known = recall(settings) if facets and kept is None else None
    if known is None:
        mirrors = load_mirrors(settings.root)
        mirrors = mirrors.resolved() if facets else mirrors
        inventories = configured_inventories(settings) if facets else {}
        verified = verify_configured(settings, mirrors, inventories)
        record = read_record(settings, facets=verified, evidence=kept, mirrors=mirrors)
        broken = {name: str(fault) for name, fault in mirrors.broken.items()}
        last_seen = {name: str(file) for name, file in last_seen_files(settings).items()}
        known = KnownMirrors(
            record.gates, broken, record.other_schedules, verified, last_seen, owners_of(mirrors)
        )
        if facets:
            folders = {folder for mirror in mirrors for folder in mirror.folders}
            keep(settings, known, {mirrors_folder(settings.root), *folders}, now.timestamp())
    else:
        record = known_record(settings, known)
    cut_over = [unit for unit in record.readable_units if record.state(unit).stage is Stage.CUT_OVER]
    if facets and kept is not None and cut_over:
        record = replace(record, continuity=continuity_of(settings, cut_over, now, record=record))
    in_airflow = {name: known_tasks(Path(file)) for name, file in known.last_seen.items()}
    mirrored, declared = record.gates.keys() | record.broken.keys(), airflows(settings)
    units = [unit for unit in record.readable_units if unit in mirrored or record.histories.get(unit)]
    facts_of = {unit: record.facts(unit) for unit in units}
    status = Status(
        states=tuple(record.state(unit) for unit in units),
        marks_without_unit=tuple(
            unit for unit, proxied in record.marks.items() if proxied and unit not in mirrored
        ),
        not_in_airflow=tuple(unit for unit in sorted(mirrored) if _is_missing(unit, in_airflow, declared)),
        facets=None
        if known.facets is None
        else {unit: unit_facets.summary for unit, unit_facets in known.facets.items()},
        evidence=_summaries(record),
        evidence_problem=problem,
        conditions={unit: condition(facts, record.settings(unit), now) for unit, facts in facts_of.items()}
        if facets and evidence
        else None,
        forced=tuple(entry for unit in units for entry in record.history(unit).forced),
        drifted=tuple(unit for unit, facts in facts_of.items() if facts.drifted),
        ledger_cut_off=record.cut_off,
        broken=faults(known.broken),
        problems=record.problems,
        beside={unit: gates.beside for unit, gates in record.gates.items() if gates.beside},
        verdicts={
            unit: frozenset(verdict.checked.verdict for verdict in kept)
            for unit, kept in (record.evidence or {}).items()
        },
        owners=known.owners,
        late_echoes=_late_echoes(settings, record, units, now) if evidence and not problem else (),
    )
    if shown is None and not patterns:
        return status
    named = frozenset(match_units(patterns, record)) if patterns else None
    return status.only(replace(shown or Shown(), units=named))


def _late_echoes(
    settings: Settings, record: OnRecord, units: Sequence[Unit], now: datetime
) -> tuple[LateEchoes, ...]:
    """Asked only if a DAG is retired: until then nothing is echoed."""
    if settings.dagster_home is None or all(record.state(unit).stage is not Stage.RETIRED for unit in units):
        return ()
    return tuple(late_echoes(places_at(settings.dagster_home), now))


def _is_missing(unit: Unit, seen: Mapping[str, Collection[Unit]], declared: Airflows) -> bool:
    """Whether the unit's own Airflow was last seen without it; one that was never looked at is not known to lack it."""
    return any(tasks and unit not in tasks for name, tasks in seen.items() if declared.has(name, unit.dag_id))


def _evidence(settings: Settings) -> tuple[list[Evidence] | None, str]:
    """The stored verdicts, and why they cannot be read, which does not stop the rest."""
    try:
        return evidence_at(settings.dagster_home), ""
    except EvidenceUnreadable as error:
        return None, str(error)


def _summaries(record: OnRecord) -> dict[Unit, str] | None:
    """Units that may not run a candidate have no evidence and say why: that is never shown as a match."""
    reasons = {unit: gates.never_compared for unit, gates in record.gates.items() if gates.never_compared}
    never = {unit: f"not compared: {why}" for unit, why in reasons.items()}
    if record.evidence is None:
        return never or None
    summaries = {
        unit: summary([verdict.checked for verdict in kept]) for unit, kept in record.evidence.items()
    }
    return {**summaries, **never}
