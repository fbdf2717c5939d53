"""Names that several things would have in Dagster: said before Dagster refuses them, and with the way out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle.units import Unit


def job_names(unit: Unit) -> tuple[str, ...]:
    """What the unit's jobs and the job of its DAG are called."""
    return unit.identifier, f"shadow__{unit.identifier}", unit.dag_identifier


def names_taken_twice(names: Iterable[str]) -> Mapping[str, BadUnit]:
    """What is wrong with units that are declared twice, or whose jobs would have the name of another's.

    `names`: of all units as the YAML has them, each as often as it is declared; one that no unit can have is left out.
    """
    counts = Counter(names)
    owners: defaultdict[str, dict[str, None]] = defaultdict(dict)
    units = {name: unit for name in sorted(counts) if (unit := Unit.named(name))}
    for name, unit in units.items():
        *own, of_dag = job_names(unit)
        for job in own:
            owners[job][f"unit {name}"] = None
        owners[of_dag][f"DAG {unit.dag_id}"] = None
    found: dict[str, BadUnit] = {}
    for name, unit in units.items():
        taken = [job for job in job_names(unit) if len(owners[job]) > 1]
        if counts[name] > 1:
            reason = f"{counts[name]} mirrors are declared for it"
            found[name] = BadUnit(name, reason, "Leave one of them in the YAML below defs/")
        elif taken:
            reason = f"{' and '.join(owners[taken[0]])} would both be called {taken[0]!r} in Dagster"
            found[name] = BadUnit(name, reason, "Mirror only one of them, or rename the other in Airflow")
    return found
