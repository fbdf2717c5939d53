"""Names and keys that would clash in Dagster: reported, with a way out, before Dagster refuses them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle.units import Unit

T = TypeVar("T", bound=Hashable)

RENAME = "Mirror only one of them, or rename the other in Airflow"


@dataclass(frozen=True, slots=True)
class Claim:
    """An asset key, and what it stands for in a unit. `thing` identifies that, `said` is it in words.

    `builds`: the unit's run makes it. `is_written`: some unit's run makes it, so that nothing else may have the key.
    `table`: where its rows are, empty if that is not known. `aligned`: the YAML or the dbt project itself declares that
    the key belongs to something else.
    """

    key: str
    thing: str
    said: str
    unit: str
    builds: bool
    is_written: bool
    table: str = ""
    aligned: bool = False


def keys_taken_twice(claims: Iterable[Claim]) -> Mapping[str, BadUnit]:
    """The errors of units for which one asset key stands for two tables, by unit.

    A source counts as the same thing as what is written under its key, or as another project's source, if it is the
    same table or declared to be. The error belongs to the units that build one of the two, or to all readers if no unit
    does.
    """
    by_key: defaultdict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_key[claim.key].append(claim)
    bad: dict[str, BadUnit] = {}
    for key, together in by_key.items():
        two = _two_tables(together)
        if not two:
            continue
        blamed = {claim.unit for claim in together if claim.builds} or {claim.unit for claim in together}
        things = " and ".join(
            f"{thing.said} in {', '.join(sorted({each.unit for each in together if each.thing == thing.thing}))}"
            for thing in two
        )
        for unit in blamed:
            bad.setdefault(
                unit, BadUnit(unit, f"two tables would be the one asset {key!r}: {things}", _WAYS_OUT)
            )
    return bad


def prefixes_at_odds(prefixes: Iterable[tuple[str, str, str]]) -> Mapping[str, BadUnit]:
    """The errors of units of one dbt project whose key prefixes differ. `said`: unit, project and prefix."""
    by_project: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for unit, project, prefix in prefixes:
        by_project[project][unit] = prefix
    bad: dict[str, BadUnit] = {}
    for project, units in by_project.items():
        first: dict[str, str] = {}
        for unit, prefix in sorted(units.items()):
            first.setdefault(prefix, unit)
        if len(first) > 1:
            each = ", ".join(f"{prefix or 'none'!r} in {unit}" for prefix, unit in sorted(first.items()))
            reason = f"units of the dbt project {project} have different key prefixes: {each}"
            bad |= {
                unit: BadUnit(unit, reason, "Write one `key_prefix` in the YAML of all of them")
                for unit in units
            }
    return bad


_WAYS_OUT = (
    "Give one of them a key of its own: `key_prefix` in the YAML of all units of its dbt project, or "
    "meta: {dagster: {asset_key: […]}} in the project; the latter on a source also declares that both are the same"
)


def _two_tables(claims: Sequence[Claim]) -> tuple[Claim, Claim] | None:
    """Two claims on one key that are not about the same table, if there are any."""
    things = {claim.thing: claim for claim in sorted(claims, key=lambda claim: (claim.thing, claim.unit))}
    written = [claim for claim in things.values() if claim.is_written]
    if len(written) > 1:
        return written[0], written[1]
    read = [claim for claim in things.values() if not claim.is_written and not claim.aligned]
    known = [claim for claim in (*written, *read) if claim.table]
    other = next((claim for claim in known[1:] if claim.table != known[0].table), None)
    return (known[0], other) if other else None


def definers(built: Mapping[tuple[int, Unit], Iterable[T]]) -> dict[T, Unit]:
    """The unit that defines each thing that several may build: the one that builds the fewest things, then the first
    by name. `built`: what each unit builds, by its precedence, that is, their number and the unit's name."""
    definer_of: dict[T, Unit] = {}
    for precedence in sorted(built):
        for thing in built[precedence]:
            definer_of.setdefault(thing, precedence[1])
    return definer_of


def job_names(unit: Unit) -> tuple[str, ...]:
    """The names of the unit's jobs and of its DAG's job."""
    name = unit.identifier
    return name, f"shadow__{name}", f"compare__{name}", unit.dag_identifier


def dags_taken_twice(dag_ids: Iterable[str]) -> Mapping[str, BadUnit]:
    """The errors of DAGs whose files, jobs and asset groups would have the same name as another DAG's."""
    alike: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for dag_id in dag_ids:
        alike[Unit(dag_id, "_").dag_identifier.casefold()][dag_id] = None
    return {
        dag_id: BadUnit(f"{dag_id}.*", _both(f"DAG {each}" for each in dags) + f" {name!r} here", RENAME)
        for name, dags in alike.items()
        if len(dags) > 1
        for dag_id in dags
    }


def names_taken_twice(names: Iterable[str]) -> Mapping[str, BadUnit]:
    """The errors of units that are declared twice, or whose jobs would have the same name as another's.

    Names that differ only in case count as the same: a file system may not distinguish them.

    `names`: all units in the YAML, each as often as it is declared; names that no unit can have are left out.
    """
    counts = Counter(names)
    owners: defaultdict[str, dict[str, None]] = defaultdict(dict)
    units = {name: unit for name in sorted(counts) if (unit := Unit.named(name))}
    for name, unit in units.items():
        *own, of_dag = job_names(unit)
        for job in own:
            owners[job.casefold()][f"unit {name}"] = None
        owners[of_dag.casefold()][f"DAG {unit.dag_id}"] = None
    bad: dict[str, BadUnit] = {}
    for name, unit in units.items():
        taken = [job for job in map(str.casefold, job_names(unit)) if len(owners[job]) > 1]
        if counts[name] > 1:
            reason = f"{counts[name]} mirrors are declared for it"
            bad[name] = BadUnit(name, reason, "Leave one of them in the YAML below defs/")
        elif taken:
            bad[name] = BadUnit(name, f"{_both(owners[taken[0]])} {taken[0]!r} in Dagster", RENAME)
    return bad


def _both(things: Iterable[str]) -> str:
    return f"{' and '.join(things)} would both be called"
