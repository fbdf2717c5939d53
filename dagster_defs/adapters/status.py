"""Where every unit stands, from the mirrors and the hand-over marks."""

from __future__ import annotations

from dagster_defs.adapters.estate import known_tasks
from dagster_defs.adapters.mirrors import load_mirrors
from dagster_defs.adapters.proxied_state import proxied_state_dir, read_marks
from dagster_defs.adapters.verify import inventory_file, verify
from dagster_defs.lifecycle import Status, state_of


def read_status(*, facets: bool = False) -> Status:
    """Reads files only: the mirrors, the marks, and what Airflow was last seen to contain.

    `facets`: the mirrors beside Airflow's inventory too, if there is one; it takes as long as `parity verify`.
    """
    marks = read_marks(proxied_state_dir())
    mirrored = [mirror.legacy_unit for mirror in load_mirrors()]
    in_airflow = known_tasks()
    return Status(
        states=tuple(state_of(unit, marks, shadowed=True) for unit in mirrored),
        marks_without_unit=tuple(unit for unit, proxied in marks.items() if proxied and unit not in mirrored),
        not_in_airflow=tuple(unit for unit in mirrored if in_airflow and unit not in in_airflow),
        facets={found.unit: found.summary for found in verify("", file)}
        if facets and (file := inventory_file())
        else None,
    )
