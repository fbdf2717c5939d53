"""The contents of a report: every unit with its facets, its last windows on both sides, their verdicts, and the
ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from dagster_defs.lifecycle.compared import missing_outputs, window_verdict, windowed_outputs
from dagster_defs.lifecycle.conditions import Condition
from dagster_defs.lifecycle.facets import UnitFacets
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.units import Owner, UnitState
from dagster_defs.lifecycle.verdicts import Evidence, summary
from dagster_defs.parity import Verdict

WINDOWS = 60  # of each unit, the newest


@dataclass(frozen=True, slots=True)
class SideRun:
    """The last run of a window on one side. `by`: the orchestrator that ran it. Instants are UTC.

    `run`: the orchestrator's own id; `address`: where a person can look at it; both empty if not known. `windows`: how
    many windows the run was about, so that its duration is that of all of them.
    """

    by: Owner
    began: datetime
    ended: datetime
    run: str = ""
    address: str = ""
    failed: bool = False
    windows: int = 1

    @property
    def seconds(self) -> float:
        """Per window. Clocks of two machines may disagree, and no run takes less than no time."""
        return max(0.0, (self.ended - self.began).total_seconds()) / self.windows

    def as_json(self) -> Mapping[str, Any]:
        return {
            "by": self.by.value,
            "run": self.run,
            "address": self.address,
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
            "seconds": round(self.seconds, 3),
            "windows": self.windows,
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class ReportedWindow:
    """One window of a unit, with both sides. `missing`: outputs without a verdict on this window, although other
    outputs have one."""

    partition: str
    legacy: SideRun | None = None
    candidate: SideRun | None = None
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        return window_verdict(self.evidence, self.missing)

    @property
    def tolerated(self) -> bool:
        """Whether tolerances have excused any difference."""
        return any(item.checked.check.tolerated for item in self.evidence)

    @property
    def reason(self) -> str:
        """The reasons of the outputs with the window's verdict, and every output that was not compared."""
        reasons = [
            f"{item.checked.check.name}: {item.checked.check.reason}"
            for item in self.evidence
            if item.checked.verdict is self.verdict
        ]
        if self.evidence:
            reasons += [f"{name}: not compared" for name in self.missing]
        return "; ".join(reasons)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "window": self.partition,
            "verdict": self.verdict and self.verdict.value,
            "reason": self.reason,
            "legacy": self.legacy and self.legacy.as_json(),
            "candidate": self.candidate and self.candidate.as_json(),
        }


@dataclass(frozen=True, slots=True)
class ReportedUnit:
    """`facets` is None if the unit was not verified; `evidence` is all that stands, oldest first."""

    state: UnitState
    condition: Condition
    facets: UnitFacets | None = None
    windows: tuple[ReportedWindow, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def name(self) -> str:
        return str(self.state.unit)

    @property
    def said(self) -> str:
        """`7/7 match`, as in `parity status`; empty without evidence."""
        return summary([item.checked for item in self.evidence]) if self.evidence else ""

    @property
    def outputs(self) -> Mapping[str, Sequence[Evidence]]:
        outputs: dict[str, list[Evidence]] = {}
        for item in self.evidence:
            outputs.setdefault(item.checked.check.name, []).append(item)
        return outputs

    @property
    def legacy_seconds(self) -> float | None:
        return _median(window.legacy for window in self.windows)

    @property
    def candidate_seconds(self) -> float | None:
        return _median(window.candidate for window in self.windows)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "unit": self.name,
            "stage": self.state.stage.value,
            "owner": self.state.owner.value,
            **self.condition.as_json(),
            "evidence": self.said,
            "seconds": {"legacy": self.legacy_seconds, "candidate": self.candidate_seconds},
            "facets": None if self.facets is None else self.facets.as_json()["facets"],
            "windows": [window.as_json() for window in self.windows],
            "verdicts": [_verdict_json(item) for item in self.evidence],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """`at`: when it was made (UTC). `no_inventory`, `no_evidence`: why the report has none, empty if it has.
    `warnings`: what does not fit, as in `parity status`. `ledger` in its own order. `of`: how many units there are, if
    only some are in `units`."""

    at: datetime
    units: tuple[ReportedUnit, ...] = ()
    ledger: tuple[Entry, ...] = ()
    no_inventory: str = ""
    no_evidence: str = ""
    warnings: tuple[str, ...] = ()
    of: int = 0

    @property
    def facet_names(self) -> list[str]:
        """The facets of all units, each once, in the order in which units have them."""
        return list(dict.fromkeys(facet.name for unit in self._verified() for facet in unit.facets))

    def _verified(self) -> Iterator[UnitFacets]:
        return (unit.facets for unit in self.units if unit.facets is not None)

    def as_json(self) -> Mapping[str, Any]:
        """See docs/reference.md."""
        return {
            "schema": "parity/report/1",
            "at": self.at.isoformat(),
            "no_inventory": self.no_inventory,
            "no_evidence": self.no_evidence,
            "warnings": list(self.warnings),
            "of": max(self.of, len(self.units)),
            "units": [unit.as_json() for unit in self.units],
            "ledger": [entry.as_json() for entry in self.ledger],
        }


def reported_windows(
    partitions: Iterable[str],
    evidence: Sequence[Evidence],
    legacy: Mapping[str, SideRun],
    candidate: Mapping[str, SideRun],
) -> tuple[ReportedWindow, ...]:
    """`legacy`, `candidate`: the last run of each partition. A table without a time column is shown with the window
    whose run was compared, and is not missing from any other window."""
    wanted = windowed_outputs(evidence)
    by_partition: dict[str, list[Evidence]] = {}
    for item in evidence:
        by_partition.setdefault(item.partition, []).append(item)

    def window(partition: str) -> ReportedWindow:
        items = by_partition.get(partition, [])
        missing = missing_outputs(items, wanted) if items else ()
        return ReportedWindow(
            partition, legacy.get(partition), candidate.get(partition), tuple(items), missing
        )

    return tuple(map(window, partitions))


def _median(runs: Iterable[SideRun | None]) -> float | None:
    """Failed runs are left out: they say nothing about how long the work takes."""
    seconds = [run.seconds for run in runs if run is not None and not run.failed]
    return round(median(seconds), 3) if seconds else None


def _verdict_json(evidence: Evidence) -> Mapping[str, Any]:
    """Without samples: reports are passed on, and must not contain data from the tables."""
    check = evidence.checked.check
    return {
        "output": check.name,
        "partition": evidence.checked.partition,
        "window": evidence.partition,
        "verdict": check.verdict.value,
        "reason": check.reason,
        "tolerated": dict(check.tolerated),
        "at": evidence.at.isoformat(),
        "run": evidence.run,
        "airflow_run": evidence.airflow_run,
    }
