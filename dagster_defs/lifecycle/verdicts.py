"""Verdicts as people read them: one row per output and window of a unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dagster_defs.lifecycle.units import Unit
from dagster_defs.parity import (
    Check,
    SchemaChange,
    SchemaDifference,
    SideCounts,
    Tolerance,
    ToleranceKind,
    Verdict,
)

TESTS_DIFFER = "dbt tests differ:"


@dataclass(frozen=True, slots=True)
class WindowCheck:
    """The verdict on one output of one unit.

    `partition` is the key of the window, or None for a table that every run rebuilds: it is compared as a whole, in its
    current state. For a run without a window it is the id of that run.
    """

    unit: Unit
    partition: str | None
    check: Check

    @property
    def verdict(self) -> Verdict:
        return self.check.verdict

    @property
    def window(self) -> str:
        return self.partition or "whole table"

    def as_json(self) -> Mapping[str, Any]:
        return {"unit": str(self.unit), "partition": self.partition, **self.check.as_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> WindowCheck:
        """Reads what `as_json` wrote. Details that it leaves out (whose key violations, which tolerance) are lost."""
        return cls(Unit.parse(document["unit"]), document["partition"], _check_from_json(document))


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stored verdict: on which output, of which window's run, and when (UTC). For a run without a window, `partition`
    is its id, and `window_start` is when it began.

    `run` is the Dagster run that compared, `airflow_run` the address of the legacy run in Airflow, if known.
    """

    checked: WindowCheck
    partition: str
    window_start: datetime
    at: datetime
    run: str = ""
    airflow_run: str = ""

    def as_json(self) -> Mapping[str, Any]:
        return {
            **self.checked.as_json(),
            "window": self.partition,
            "at": self.at.isoformat(),
            "run": self.run,
            "airflow_run": self.airflow_run,
        }


def standing_evidence(kept: Iterable[Evidence]) -> list[Evidence]:
    """The verdicts that count among all stored ones, by unit, output and window.

    That is the last verdict on each window; for a table that every run rebuilds, only that of the last window.
    """
    last: dict[tuple[Unit, str, str | None], Evidence] = {}
    for evidence in sorted(kept, key=lambda each: (each.window_start, each.at)):
        checked = evidence.checked
        last[checked.unit, checked.check.name, checked.partition] = evidence
    return sorted(
        last.values(), key=lambda each: (each.checked.unit, each.checked.check.name, each.window_start)
    )


def not_compared(unit: Unit, output: str, partition: str) -> WindowCheck:
    """For a window without evidence: no verdict by omission."""
    check = Check(output, Verdict.INCONCLUSIVE, "no candidate run has compared it")
    return WindowCheck(unit, partition, check)


def evidence_as_json(kept: Iterable[Evidence], missing: Iterable[WindowCheck]) -> list[Mapping[str, Any]]:
    """`missing`: windows without evidence; they have no time and no runs."""
    nothing = {"at": None, "run": None, "airflow_run": None}
    gaps = ({**each.as_json(), "window": each.partition, **nothing} for each in missing)
    return [*(each.as_json() for each in kept), *gaps]


def with_tests(check: Check, differing: Sequence[str]) -> Check:
    """The check combined with dbt tests that disagree between legacy and candidate: then it is a mismatch."""
    if not differing or check.verdict is Verdict.INCONCLUSIVE:
        return check
    why = f"{TESTS_DIFFER} {', '.join(differing)}"
    reason = f"{check.reason}; {why}" if check.verdict is Verdict.MISMATCH else why
    return replace(check, verdict=Verdict.MISMATCH, reason=reason)


def all_match(checks: Sequence[WindowCheck]) -> bool:
    """False if nothing was compared."""
    return bool(checks) and all(checked.verdict is Verdict.MATCH for checked in checks)


def summary(checks: Sequence[WindowCheck]) -> str:
    """`18/18 match`, `7/7 match (2 tolerated)` with the number of tolerated differences, or the verdicts that there
    are."""
    verdicts = [checked.verdict for checked in checks]
    matching = [checked.check for checked in checks if checked.verdict is Verdict.MATCH]
    tolerated = sum(sum(check.tolerated.values()) for check in matching)
    excused = f" ({tolerated:,} tolerated)" if tolerated else ""
    parts = [f"{len(matching)}/{len(verdicts)} match{excused}"]
    parts += [
        f"{verdicts.count(verdict)} {verdict.value}"
        for verdict in (Verdict.MISMATCH, Verdict.INCONCLUSIVE)
        if verdict in verdicts
    ]
    return ", ".join(parts)


def _check_from_json(document: Mapping[str, Any]) -> Check:
    return Check(
        name=document["name"],
        verdict=Verdict(document["verdict"]),
        reason=document["reason"],
        error=document["error"],
        rows=SideCounts(**document["rows"]),
        only_in_legacy=document["only_in_legacy"],
        only_in_candidate=document["only_in_candidate"],
        modified=document["modified"],
        differing_columns=tuple(document["differing_columns"]),
        tolerated=document["tolerated"],
        expired_tolerances=tuple(
            Tolerance(column, ToleranceKind.IGNORED) for column in document["expired_tolerances"]
        ),
        schema_differences=tuple(
            SchemaDifference(**{**difference, "kind": SchemaChange(difference["kind"])})
            for difference in document["schema_differences"]
        ),
        key_violations=SideCounts(legacy=document["key_violations"]),
        null_time_rows=SideCounts(legacy=document["null_time_rows"]),
        samples=tuple(document["samples"]),
    )
