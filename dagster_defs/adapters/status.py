"""Where every unit stands, from the mirrors and the hand-over marks."""

from __future__ import annotations

from dagster_defs.adapters.estate import known_tasks
from dagster_defs.adapters.evidence import evidence_at_hand
from dagster_defs.adapters.mirrors import load_mirrors
from dagster_defs.adapters.proxied_state import proxied_state_dir, read_marks
from dagster_defs.adapters.verify import inventory_file, verify
from dagster_defs.errors import EvidenceUnreadable
from dagster_defs.lifecycle import Status, Unit, state_of
from dagster_defs.lifecycle.verdicts import WindowCheck, summary


def read_status(*, facets: bool = False, evidence: bool = False) -> Status:
    """Reads files only: the mirrors, the marks, and what Airflow was last seen to contain.

    `facets`: the mirrors beside Airflow's inventory too, if there is one; it takes as long as `parity verify`.
    `evidence`: the verdicts in Dagster's event log too, if DAGSTER_HOME names one.
    """
    kept, problem = _evidence() if evidence else (None, "")
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
        evidence=kept,
        evidence_problem=problem,
    )


def _evidence() -> tuple[dict[Unit, str] | None, str]:
    """What the kept verdicts on each unit come to; an event log that cannot be read is no reason to stop."""
    try:
        found = evidence_at_hand()
    except EvidenceUnreadable as error:
        return None, str(error)
    if found is None:
        return None, ""
    by_unit: dict[Unit, list[WindowCheck]] = {}
    for one in found:
        by_unit.setdefault(one.checked.unit, []).append(one.checked)
    return {unit: summary(checks) for unit, checks in by_unit.items()}, ""
