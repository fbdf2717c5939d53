"""Windows to be run again, grouped into runs: one run for consecutive windows, if the unit can take several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dagster_defs.lifecycle.gates import Blocker
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.units import Stage, Unit
from dagster_defs.lifecycle.written import Span
from dagster_defs.windows import Scheduled


@dataclass(frozen=True, slots=True)
class BackfillRun:
    """One run's windows, consecutive, oldest first."""

    span: Span
    windows: tuple[Scheduled, ...]

    def __str__(self) -> str:
        return str(self.span)


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a backfill of a unit would run, and why it cannot run now."""

    unit: Unit
    stage: Stage
    runs: tuple[BackfillRun, ...]
    blockers: tuple[Blocker, ...] = ()

    def as_json(self) -> Mapping[str, Any]:
        return {
            "unit": str(self.unit),
            "runs": [run.span.as_json() for run in self.runs],
            "blockers": [blocker.as_json() for blocker in self.blockers],
        }


def runs_over(mirror: Mirror, windows: Sequence[Scheduled]) -> Iterator[BackfillRun]:
    """Raises Unaligned for a window that is not one of the unit's."""
    in_order = sorted(windows, key=lambda window: window.start)
    if not in_order:
        return
    together = in_order[:1]
    for before, window in pairwise(in_order):
        if mirror.takes_ranges and window.start == before.end:
            together.append(window)
            continue
        yield _run(mirror, together)
        together = [window]
    yield _run(mirror, together)


def _run(mirror: Mirror, windows: Sequence[Scheduled]) -> BackfillRun:
    first, last = (mirror.partitions.key_of(window) for window in (windows[0], windows[-1]))
    return BackfillRun(Span(first, last, len(windows)), tuple(windows))
