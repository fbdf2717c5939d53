"""Verdicts as people read them: a row for each output and window of a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.lifecycle.units import Unit
from dagster_defs.parity import Check, Verdict


@dataclass(frozen=True, slots=True)
class WindowCheck:
    """The verdict on one output of one unit.

    `partition` is the key of the window, or None for a table that every run rebuilds: such a table is compared
    as a whole, as it is now.
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


def all_match(checks: Sequence[WindowCheck]) -> bool:
    """Nothing compared is no match."""
    return bool(checks) and all(checked.verdict is Verdict.MATCH for checked in checks)


def summary(checks: Sequence[WindowCheck]) -> str:
    """`18/18 match`, or what else there is."""
    verdicts = [checked.verdict for checked in checks]
    parts = [f"{verdicts.count(Verdict.MATCH)}/{len(verdicts)} match"]
    parts += [
        f"{verdicts.count(verdict)} {verdict.value}"
        for verdict in (Verdict.MISMATCH, Verdict.INCONCLUSIVE)
        if verdict in verdicts
    ]
    return ", ".join(parts)
