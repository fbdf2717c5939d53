"""Where every unit stands, from the mirrors and the hand-over marks."""

from __future__ import annotations

from dagster_defs.adapters.mirrors import load_mirrors
from dagster_defs.adapters.proxied_state import proxied_state_dir, read_marks
from dagster_defs.lifecycle import UnitState, state_of


def read_status() -> tuple[list[UnitState], list[str]]:
    """The state of each mirrored unit, by name, and the units that are marked as proxied without a mirror."""
    marks = read_marks(proxied_state_dir())
    mirrored = [mirror.legacy_unit for mirror in load_mirrors()]
    states = [state_of(unit, marks, shadowed=True) for unit in mirrored]
    strays = [str(unit) for unit, proxied in marks.items() if proxied and unit not in mirrored]
    return states, strays
