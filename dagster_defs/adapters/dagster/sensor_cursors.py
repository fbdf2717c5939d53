"""What sensors have written down between their ticks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dagster_defs.adapters.dagster.evidence import instance_at

__all__ = ["cursors_of"]


def cursors_of(home: Path, ending: str) -> Iterator[str]:
    """The cursors of all sensors whose names end like that, of whatever code location. Raises EvidenceUnreadable."""
    from dagster._core.definitions.run_request import InstigatorType

    with instance_at(home) as instance:
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
            cursor = getattr(state.instigator_data, "cursor", None)
            if state.name.endswith(ending) and cursor:
                yield cursor
