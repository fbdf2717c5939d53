"""What a verdict is about: from the evidence, or compared now, with the SQL to look further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dagster_defs.adapters.dagster.evidence import evidence_at
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.errors import DoesNotAdvance, EvidenceMissing, NotComparable, UnknownPartition
from dagster_defs.lifecycle.looking import Explanation, difference_sql
from dagster_defs.lifecycle.mirrors import Mirror, Output, TableOutput
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck, not_compared
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import compare_windows, mirrors_named, windows_asked


def kept_evidence(settings: Settings, names: list[str], first: str, last: str) -> list[Evidence]:
    """The evidence on the named units (all if none is named), from one window to another: keys, or days.

    Raises EvidenceMissing without an event log, NoSuchUnit for a name that nothing mirrors, and UnknownPartition for a
    key that is none of a unit's.
    """
    mirrors = {mirror.legacy_unit: mirror for mirror in mirrors_named(names)}
    found = evidence_at(settings.dagster_home)
    if found is None:
        raise EvidenceMissing()
    asked = {unit: _keys(mirror, first, last) for unit, mirror in mirrors.items()} if first else {}
    return [
        one
        for one in found
        if one.checked.unit in mirrors and (not first or one.partition in asked[one.checked.unit])
    ]


def not_kept(names: list[str], first: str, last: str, kept: list[Evidence]) -> Iterator[WindowCheck]:
    """Outputs of the windows asked for on which there is no evidence. A whole table's is that of the last run alone."""
    known = {(one.checked.unit, one.checked.check.name, one.partition) for one in kept}
    for mirror in mirrors_named(names) if first else ():
        for window in windows_asked(mirror, first, last or first):
            key = mirror.partitions.key_of(window)
            for output in mirror.outputs_of(window):
                if not output.as_a_whole and (mirror.legacy_unit, output.name, key) not in known:
                    yield not_compared(mirror.legacy_unit, output.name, key)


def explain(settings: Settings, unit: str, window: str) -> Iterator[Explanation]:
    """One for each output and window of the evidence; a window without evidence is compared now.

    `window`: a key, or a day and so all of its windows. Raises NoSuchUnit, UnknownPartition, and EvidenceMissing where
    there is neither evidence nor a window.
    """
    [mirror] = mirrors_named([unit])
    kept = [one for one in evidence_at(settings.dagster_home) or () if one.checked.unit == mirror.legacy_unit]
    if not kept and not window:
        raise EvidenceMissing()
    asked = _keys(mirror, window, window) if window else ()
    if window:
        kept = [one for one in kept if one.partition in asked]
    known = {one.partition for one in kept}
    for one in kept:
        output = _output(mirror, one.partition, one.checked.check.name)
        yield Explanation(one.checked, one.partition, one, _sql(output) if output else "")
    yield from _now(settings, mirror, [key for key in asked if key not in known])


def _keys(mirror: Mirror, first: str, last: str) -> list[str]:
    return [mirror.partitions.key_of(window) for window in windows_asked(mirror, first, last or first)]


def _now(settings: Settings, mirror: Mirror, keys: list[str]) -> Iterator[Explanation]:
    for checked in compare_windows(settings, mirror, [mirror.partitions.window_of(key) for key in keys]):
        partition = checked.partition or keys[-1]
        output = _output(mirror, partition, checked.check.name)
        yield Explanation(checked, partition, None, _sql(output) if output else "")


def _output(mirror: Mirror, partition: str, name: str) -> Output | None:
    """None where the unit has no such output or partition any more: its YAML has changed since."""
    try:
        outputs = mirror.outputs_of(mirror.partitions.window_of(partition))
    except (UnknownPartition, DoesNotAdvance):
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
