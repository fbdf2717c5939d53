"""Broken mirrors: units whose definitions cannot be built, and how they are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 3  # how many units with the same fault are named


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and the name in the YAML of every unit that it breaks.

    A dbt project that cannot be read is one fault, however many units run it.
    """

    why: str
    units: tuple[str, ...]

    def __str__(self) -> str:
        if len(self.units) == 1:
            [unit] = self.units
            return self.why if self.why.startswith(f"unit {unit}:") else f"unit {unit}: {self.why}"
        more = f" and {len(self.units) - SHOWN} more" if len(self.units) > SHOWN else ""
        return f"{len(self.units)} units ({', '.join(self.units[:SHOWN])}{more}): {self.why}"

    def as_json(self) -> Mapping[str, Any]:
        return {"why": self.why, "units": list(self.units)}


def faults(broken: Mapping[str, str]) -> tuple[Fault, ...]:
    """`broken`: what is wrong with each unit, by name. Ordered by the first unit of each fault."""
    by_reason: dict[str, list[str]] = {}
    for unit in sorted(broken):
        by_reason.setdefault(broken[unit], []).append(unit)
    return tuple(Fault(why, tuple(units)) for why, units in by_reason.items())
