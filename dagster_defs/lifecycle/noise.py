"""What differs between two runs of the same legacy command, and the tolerances that it calls for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import yaml

from dagster_defs.lifecycle.rehearsals import RESULTS, Rehearsal
from dagster_defs.lifecycle.units import Unit
from dagster_defs.lifecycle.verdicts import WindowCheck, all_match
from dagster_defs.parity import Check, Side, Tolerance, ToleranceKind, Verdict

NOISE_NAMES: Mapping[Side, str] = {Side.LEGACY: "first run", Side.CANDIDATE: "second run"}


@dataclass(frozen=True, slots=True)
class Noise:
    """Two legacy runs of each window; in the checks, `legacy` is the first and `candidate` the second.

    `tolerances` are proposals, by output.
    """

    unit: Unit
    windows: tuple[str, ...]
    seconds: float
    checks: tuple[WindowCheck, ...]
    tolerances: Mapping[str, Sequence[Tolerance]]

    @classmethod
    def of(cls, runs: Rehearsal, expires: date) -> Noise:
        """`runs`: a rehearsal with legacy on both sides."""
        checks = tuple(map(_as_noise, runs.checks))
        named = runs.windows[0] if len(runs.windows) == 1 else f"{runs.windows[0]} to {runs.windows[-1]}"
        reason = f"differs between two legacy runs of {named}"
        tolerances = {
            output: tuple(
                Tolerance(column, ToleranceKind.IGNORED, None, reason, expires) for column in columns
            )
            for output, columns in _noisy_columns(checks).items()
            if columns
        }
        return cls(runs.unit, runs.windows, runs.seconds, checks, tolerances)

    @property
    def quiet(self) -> bool:
        """Whether everything was compared and nothing differs."""
        return all_match(self.checks)

    @property
    def yaml(self) -> str:
        """`tolerances:` of each noisy output, ready to paste below its name; empty if there is nothing to declare."""
        return "".join(f"# {output}\n{_yaml(tolerances)}" for output, tolerances in self.tolerances.items())

    def as_json(self) -> Mapping[str, Any]:
        return {
            "schema": "parity/noise/1",
            "unit": str(self.unit),
            "windows": list(self.windows),
            "seconds": round(self.seconds, 1),
            "quiet": self.quiet,
            "checks": [checked.as_json() for checked in self.checks],
            "tolerances": [
                {"output": output, **_plain(tolerance), "expires": str(tolerance.expires)}
                for output, tolerances in self.tolerances.items()
                for tolerance in tolerances
            ],
        }


def _as_noise(checked: WindowCheck) -> WindowCheck:
    check = checked.check
    if check.verdict is not Verdict.MISMATCH:
        return checked
    return replace(checked, check=replace(check, reason="noise: " + "; ".join(_differences(check))))


def _differences(check: Check) -> Iterator[str]:
    columns = check.differing_columns
    if columns:
        words = "columns {} differ" if len(columns) > 1 else "column {} differs"
        yield words.format(", ".join(columns)) + " between two legacy runs"
    # Without a key, a row that differs appears as one extra row in each run.
    if check.modified or not columns:
        for count, side in (
            (check.only_in_legacy, Side.LEGACY),
            (check.only_in_candidate, Side.CANDIDATE),
        ):
            if count:
                rows = "1 row" if count == 1 else f"{count:,} rows"
                yield f"{rows} only in the {NOISE_NAMES[side]}, which no tolerance can excuse"
    if not (columns or check.only_in_legacy or check.only_in_candidate):
        yield check.reason


def _noisy_columns(checks: Sequence[WindowCheck]) -> Mapping[str, Sequence[str]]:
    """By output, in the order of comparison. dbt's results cannot be excused."""
    noisy: dict[str, dict[str, None]] = {}
    for checked in checks:
        if checked.verdict is Verdict.MISMATCH and checked.check.name != RESULTS:
            noisy.setdefault(checked.check.name, {}).update(dict.fromkeys(checked.check.differing_columns))
    return {output: [*columns] for output, columns in noisy.items()}


def _yaml(tolerances: Sequence[Tolerance]) -> str:
    """One line per tolerance, each dumped separately: otherwise YAML would use an alias for the date that they
    share."""
    lines = (
        yaml.safe_dump(
            [_plain(tolerance)], sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None
        )
        for tolerance in tolerances
    )
    return "tolerances:\n" + "".join(lines)


def _plain(tolerance: Tolerance) -> dict[str, Any]:
    return {
        "column": tolerance.column,
        "kind": tolerance.kind.value,
        "reason": tolerance.reason,
        "expires": tolerance.expires,
    }
