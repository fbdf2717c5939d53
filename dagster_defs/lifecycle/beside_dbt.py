"""What a task or its mirror runs beside dbt: no node of a selection, but an effect."""

from __future__ import annotations

from collections.abc import Iterator

from dagster_defs.inventory.records import UnitReading
from dagster_defs.lifecycle.mirrors import Declared


def beside_dbt(reading: UnitReading, declared: Declared) -> Iterator[str]:
    """As sentences without an end."""
    if missing := len(reading.sides) - len(declared.beside):
        theirs = ", ".join(side.said for side in reading.sides)
        if missing > 0:
            yield f"beside dbt the task runs {theirs}, and the mirror runs {len(declared.beside)} of these"
    if declared.beside:
        yield f"the mirror runs {', '.join(program.said for program in declared.beside)}"
