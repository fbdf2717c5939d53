"""Explains verdicts, from the evidence or by comparing now, with the SQL to look further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dagster_defs.adapters.dagster.evidence import evidence_at
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.errors import (
    DoesNotAdvance,
    EvidenceMissing,
    NotComparable,
    TemplateFailed,
    UnknownPartition,
)
from dagster_defs.lifecycle.looking import Explanation, difference_sql
from dagster_defs.lifecycle.mirrors import Mirror, Output, TableOutput
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck, not_compared
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import compare_windows, named_mirrors, requested_windows


def kept_evidence(settings: Settings, names: list[str], first: str, last: str) -> list[Evidence]:
    """The evidence on the named units (all if none is named), from one partition key or day to another.

    Raises EvidenceMissing without an event log, NoSuchUnit for a name without a mirror, and UnknownPartition for a key
    that a unit does not have.
    """
    mirrors = {mirror.legacy_unit: mirror for mirror in named_mirrors(settings, names)}
    evidence = evidence_at(settings.dagster_home)
    if evidence is None:
        raise EvidenceMissing()
    requested = {unit: _keys(mirror, first, last) for unit, mirror in mirrors.items()} if first else {}
    return [
        record
        for record in evidence
        if record.checked.unit in mirrors
        and (not first or record.partition in requested[record.checked.unit])
    ]


def not_kept(
    settings: Settings, names: list[str], first: str, last: str, kept: list[Evidence]
) -> Iterator[WindowCheck]:
    """Outputs of the requested windows without evidence. A whole table has evidence on its last run only."""
    known = {(record.checked.unit, record.checked.check.name, record.partition) for record in kept}
    for mirror in named_mirrors(settings, names) if first else ():
        if mirror.event is not None:
            continue  # which runs lie between two others is not known
        for window in requested_windows(mirror, first, last or first):
            key = mirror.partitions.key_of(window)
            for output in mirror.outputs_of(window):
                if not output.as_a_whole and (mirror.legacy_unit, output.name, key) not in known:
                    yield not_compared(mirror.legacy_unit, output.name, key)


def explain(settings: Settings, unit: str, window: str) -> Iterator[Explanation]:
    """One explanation for each output and window of the evidence; a window without evidence is compared now.

    `window`: a key, or a day, which means all windows of that day. Raises NoSuchUnit, UnknownPartition, and
    EvidenceMissing if there is neither evidence nor a window.
    """
    [mirror] = named_mirrors(settings, [unit])
    kept = [
        record
        for record in evidence_at(settings.dagster_home) or ()
        if record.checked.unit == mirror.legacy_unit
    ]
    if not kept and not window:
        raise EvidenceMissing()
    requested = _keys(mirror, window, window) if window else ()
    if window:
        kept = [record for record in kept if record.partition in requested]
    known = {record.partition for record in kept}
    for record in kept:
        output = _output(mirror, record.partition, record.checked.check.name)
        yield Explanation(record.checked, record.partition, record, _sql(output) if output else "")
    if mirror.event is None:
        yield from _now(settings, mirror, [key for key in requested if key not in known])
    elif not kept:
        raise EvidenceMissing()


def _keys(mirror: Mirror, first: str, last: str) -> list[str]:
    if mirror.event is not None:
        return [first, last] if last else [first]  # ids of runs
    return [mirror.partitions.key_of(window) for window in requested_windows(mirror, first, last or first)]


def _now(settings: Settings, mirror: Mirror, keys: list[str]) -> Iterator[Explanation]:
    for checked in compare_windows(settings, mirror, [mirror.partitions.window_of(key) for key in keys]):
        partition = checked.partition or keys[-1]
        output = _output(mirror, partition, checked.check.name)
        yield Explanation(checked, partition, None, _sql(output) if output else "")


def _output(mirror: Mirror, partition: str, name: str) -> Output | None:
    """None if the unit no longer has such an output or partition because its YAML has changed."""
    try:
        event = mirror.event
        outputs = mirror.outputs_of(event.example() if event else mirror.partitions.window_of(partition))
    except (UnknownPartition, DoesNotAdvance, TemplateFailed):
        return None
    return next((output for output in outputs if output.name == name), None)


def _sql(output: Output) -> str:
    if not isinstance(output, TableOutput):
        return difference_sql(output, {})
    targets = {Side.LEGACY: output.legacy_target, Side.CANDIDATE: output.candidate_target}
    try:
        files = {
            side: str(DbtWorkspace(Path(output.project_dir), target).database_file)
            for side, target in targets.items()
        }
    except NotComparable:
        return ""
    return difference_sql(output, files)
