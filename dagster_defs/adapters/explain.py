"""What a verdict is about: from the evidence, or compared now, with the SQL to look further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dagster_defs.adapters.comparison import compare_output, mirrors_named, windows_asked
from dagster_defs.adapters.dbt import DbtWorkspace
from dagster_defs.adapters.evidence import evidence_at_hand
from dagster_defs.errors import EvidenceMissing, NotComparable
from dagster_defs.lifecycle.looking import Explanation, difference_sql
from dagster_defs.lifecycle.mirrors import Mirror, Output, TableOutput
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck
from dagster_defs.parity import Side


def kept_evidence(names: list[str], first: str, last: str) -> list[Evidence]:
    """The evidence on the named units (all if none is named), from one window's key to another's.

    Raises EvidenceMissing without an event log, NoSuchUnit for a name that nothing mirrors.
    """
    units = {mirror.legacy_unit for mirror in mirrors_named(names)}
    found = evidence_at_hand()
    if found is None:
        raise EvidenceMissing()
    return [
        one
        for one in found
        if one.checked.unit in units and (not first or first <= one.partition <= (last or first))
    ]


def explain(unit: str, window: str) -> Iterator[Explanation]:
    """One for each output and window of the evidence; without evidence, the window compared now.

    Raises NoSuchUnit, UnknownPartition, and EvidenceMissing where there is neither evidence nor a window.
    """
    [mirror] = mirrors_named([unit])
    kept = [one for one in evidence_at_hand() or () if one.checked.unit == mirror.legacy_unit]
    if window:
        [asked] = windows_asked(mirror, window, window)[:1]
        window = mirror.partitions.key_of(asked)
        kept = [one for one in kept if one.partition == window]
    if not kept and not window:
        raise EvidenceMissing()
    if not kept:
        yield from _now(mirror, window)
    for one in kept:
        output = _output(mirror, one.partition, one.checked.check.name)
        yield Explanation(one.checked, one.partition, one, _sql(output) if output else "")


def _now(mirror: Mirror, window: str) -> Iterator[Explanation]:
    for output in mirror.outputs_of(mirror.partitions.window_of(window)):
        partition = None if output.as_a_whole else window
        checked = WindowCheck(mirror.legacy_unit, partition, compare_output(output))
        yield Explanation(checked, window, None, _sql(output))


def _output(mirror: Mirror, partition: str, name: str) -> Output | None:
    outputs = mirror.outputs_of(mirror.partitions.window_of(partition))
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
