"""What sensors have written down between their ticks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.evidence import instance_at

if TYPE_CHECKING:
    import dagster as dg

__all__ = ["cursors_in", "cursors_of"]


def cursors_of(home: Path, ending: str) -> Iterator[str]:
    """The cursors of all sensors whose names end like that, of whatever code location. Raises EvidenceUnreadable."""
    with instance_at(home) as instance:
        yield from cursors_in(instance, ending)


def cursors_in(instance: dg.DagsterInstance, ending: str) -> Iterator[str]:
    """The same of an instance that is open."""
    from dagster._core.definitions.run_request import InstigatorType

    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        cursor = getattr(state.instigator_data, "cursor", None)
        if state.name.endswith(ending) and cursor:
            yield cursor
