"""The outcome of a unit's rehearsal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagster_defs.lifecycle.units import Unit
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Check, Side, SideCounts, Verdict

RESULTS = "dbt results"

RUN_NAMES: Mapping[Side, str] = {side: f"{side.value} run" for side in Side}
"""The names of a window's two runs."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`windows` are partition keys, or the interval if the mirror has no such partition; `seconds` covers the runs and
    comparisons, without what had to be built first."""

    unit: Unit
    windows: tuple[str, ...]
    seconds: float
    checks: tuple[WindowCheck, ...]

    def as_json(self) -> Mapping[str, Any]:
        return {
            "schema": "parity/rehearse/1",
            "unit": str(self.unit),
            "windows": list(self.windows),
            "seconds": round(self.seconds, 1),
            "checks": [checked.as_json() for checked in self.checks],
        }


def results_check(
    legacy: Mapping[str, str], candidate: Mapping[str, str], names: Mapping[Side, str] = RUN_NAMES
) -> Check:
    """Whether dbt ran the same nodes on both sides and they ended alike; one status per unique id."""
    rows = SideCounts(len(legacy), len(candidate))
    differences = list(_differences({Side.LEGACY: legacy, Side.CANDIDATE: candidate}, names))
    if differences:
        return Check(RESULTS, Verdict.MISMATCH, "; ".join(differences), rows=rows)
    if not set(legacy.values()) - {"skipped"}:
        return Check(RESULTS, Verdict.INCONCLUSIVE, "dbt ran nothing on either side", rows=rows)
    return Check(RESULTS, Verdict.MATCH, f"{len(legacy):,} nodes ended alike", rows=rows)


def _differences(ended: Mapping[Side, Mapping[str, str]], names: Mapping[Side, str]) -> Iterator[str]:
    legacy, candidate = (ended[side] for side in Side)
    for mine, other, side in ((legacy, candidate, Side.LEGACY), (candidate, legacy, Side.CANDIDATE)):
        if alone := sorted(mine.keys() - other.keys()):
            yield f"only the {names[side]} has {', '.join(alone)}"
    for node in sorted(legacy.keys() & candidate.keys()):
        if legacy[node] != candidate[node]:
            ends = (f"{ended[side][node]} in the {names[side]}" for side in Side)
            yield f"{node}: {', '.join(ends)}"
