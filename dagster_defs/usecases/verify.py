"""Compares the mirrors with an inventory file, in every facet of every unit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dagster_defs.adapters.dagster.mirrors import load_mirrors, select_mirrors
from dagster_defs.adapters.dbt.runtime import runtime_of
from dagster_defs.adapters.files.airflows import airflows, settings_of_each
from dagster_defs.errors import InventoryMissing, ParityError
from dagster_defs.graph import reachable
from dagster_defs.inventory import Inventory, Kind, describe
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.records import UnitReading
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.broken import Fault, faults
from dagster_defs.lifecycle.facets import (
    LegacyUnit,
    MirroredUnit,
    UnitFacets,
    facets_of,
    not_in_inventory,
)
from dagster_defs.lifecycle.identity import definers
from dagster_defs.lifecycle.mirrors import Declared, Mirror
from dagster_defs.lifecycle.runtime_facet import NO_RUNTIME, Runtime
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import ProjectOnDisk, read_inventory


def inventory_at_hand(settings: Settings, file: Path | None) -> Inventory:
    """The inventory in `file`, or else the configured one of the Airflow that the settings are of. Raises
    InventoryMissing, and what reading it raises."""
    path = file or settings.inventory_file
    if path is None:
        raise InventoryMissing()
    return read_inventory(path, settings.team_file)


@dataclass(frozen=True, slots=True)
class Verification:
    """`broken`: mirrors whose facets cannot be determined; empty if a single unit was requested."""

    units: tuple[UnitFacets, ...]
    broken: tuple[Fault, ...] = ()

    @property
    def differs(self) -> bool:
        return any(unit.differing for unit in self.units)


def verify(settings: Settings, unit: str, file: Path | None) -> Verification:
    """One unit, or all if `unit` is empty. Raises NoSuchUnit, InventoryMissing without a file, what reading the
    inventory and the YAML raises, and the fault of the requested unit if it is broken."""
    inventory = inventory_at_hand(settings, file) if file or not airflows(settings).dags else None
    mirrors = load_mirrors(settings.root).resolved()
    if unit:
        select_mirrors(mirrors, [unit])
    broken = {} if unit else {name: str(fault) for name, fault in mirrors.broken.items()}
    units = [Unit.parse(unit)] if unit else None
    if inventory is None:
        verified = verify_configured(settings, mirrors, configured_inventories(settings), units)
        if verified is None:
            raise InventoryMissing()
        return Verification(tuple(verified.values()), faults(broken))
    return Verification(tuple(verify_mirrors(settings, mirrors, inventory, units)), faults(broken))


def configured_inventories(settings: Settings) -> dict[str, Inventory]:
    """By the name of its Airflow; that of an Airflow without one is missing. Raises what reading one raises."""
    return {
        each.airflow: read_inventory(file, settings.team_file)
        for each in settings_of_each(settings)
        if (file := each.inventory_file)
    }


def verify_configured(
    settings: Settings,
    mirrors: Sequence[Mirror],
    inventories: Mapping[str, Inventory],
    units: Collection[Unit] | None = None,
) -> dict[Unit, UnitFacets] | None:
    """The facets of these units' mirrors, by default all, each compared with its own Airflow's inventory. Units of an
    Airflow without one are missing; None if none has one."""
    declared = airflows(settings)
    asked = {mirror.legacy_unit for mirror in mirrors} if units is None else {*units}
    found = {
        unit_facets.unit: unit_facets
        for name, inventory in inventories.items()
        for unit_facets in verify_mirrors(
            settings, mirrors, inventory, {unit for unit in asked if declared.has(name, unit.dag_id)}
        )
    }
    return found if inventories else None


def verify_mirrors(
    settings: Settings,
    mirrors: Sequence[Mirror],
    inventory: Inventory,
    units: Collection[Unit] | None = None,
) -> Iterator[UnitFacets]:
    """The facets of these units' mirrors, by default all; the order of units is checked against the assets of all
    mirrors. A mirror that turns out to be broken has none."""
    declared = {mirror.legacy_unit: declaration for mirror in mirrors if (declaration := _declared(mirror))}
    projects: dict[Path, ProjectOnDisk] = {}
    runtimes: dict[tuple[Path, str], Runtime] = {}
    for mirror in mirrors:
        name = mirror.legacy_unit
        if name not in declared or (units is not None and name not in units):
            continue
        dag, task = task_of(inventory, name)
        if dag is None or task is None:
            yield not_in_inventory(name)
            continue
        reading = _reading(mirror, dag, task, projects)
        mirrored = MirroredUnit(
            name,
            mirror.times,
            declared[name],
            _upstream(name, declared),
            frozenset(declared),
            settings.variables,
            _runtime(mirror, runtimes),
            mirror.starters,
            mirror.waits,
        )
        legacy = LegacyUnit(dag, task, reading, inventory.span, inventory.airflow_version)
        yield UnitFacets(name, facets_of(legacy, mirrored))


def _declared(mirror: Mirror) -> Declared | None:
    try:
        return mirror.declared()
    except ParityError:
        return None


def task_of(inventory: Inventory, unit: Unit) -> tuple[Dag | None, Task | None]:
    dag = next((dag for dag in inventory.dags if dag.dag_id == unit.dag_id), None)
    tasks = dag.tasks if dag else ()
    match = next((task for task in tasks if isinstance(task, Task) and task.task_id == unit.task_id), None)
    return dag, match


def _reading(mirror: Mirror, dag: Dag, task: Task, projects: dict[Path, ProjectOnDisk]) -> UnitReading | None:
    """What the task runs with dbt, its selection resolved in the mirror's own dbt project; None for a Python unit."""
    if (dbt := mirror.dbt_mirror) is None:
        return None
    project = projects.setdefault(dbt.project_dir, ProjectOnDisk(dbt.project_dir))
    [reading] = describe(Inventory("", (), (replace(dag, tasks=(task,)),)), project).units
    return reading if reading.kind is not Kind.NON_DBT else replace(reading, reason="it runs no dbt")


def _runtime(mirror: Mirror, known: dict[tuple[Path, str], Runtime]) -> Runtime:
    """The dbt of the mirror's runs; nothing is known of one that runs none."""
    if (dbt := mirror.dbt_mirror) is None:
        return NO_RUNTIME
    key = dbt.project_dir, dbt.executable
    if key not in known:
        known[key] = runtime_of(dbt)
    return known[key]


def _upstream(unit: Unit, declared: Mapping[Unit, Declared]) -> frozenset[Unit]:
    """The units whose assets this unit's assets are derived from, directly or indirectly.

    See `definers` for an asset that several units write.
    """
    defined_by = definers({(len(each.writes), name): each.writes for name, each in declared.items()})

    for name in declared:
        defined_by.setdefault(f"{name.dag_id}/{name.task_id}", name)  # as `deps` name a unit

    def read_from(name: Unit) -> set[Unit]:
        return {defined_by[key] for key in declared[name].reads if key in defined_by}

    return frozenset(reachable([unit], read_from) - {unit})
