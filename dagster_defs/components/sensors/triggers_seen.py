"""Where Dagster sees what starts a DAG without a clock: in whose events, and in whose runs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import dagster as dg

from dagster_defs.components.sensors.trigger_turn import TriggeredDag
from dagster_defs.components.units.project_units import ProjectUnits
from dagster_defs.components.units.unit import UnitComponent
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.starters import Trigger
from dagster_defs.parity import Side
from dagster_defs.usecases.triggers import Source, Writer, variables_of


def seen(
    dag: TriggeredDag, project: ProjectUnits[UnitComponent], estate_of: Callable[[str], str]
) -> tuple[TriggeredDag, str]:
    """The DAG with all that may start it, and what of that nobody would see; empty if everything is seen. `estate_of`:
    a DAG's Airflow, as the first part of the asset keys of its tasks without a mirror."""
    units = {unit.legacy_unit: unit for unit in project.sound}
    faults: list[str] = []
    writers = tuple(_writers(dag, units, project.broken, estate_of, faults))
    sources = tuple(_sources(dag, units, faults))
    return replace(dag, writers=writers, sources=sources), "; ".join(faults)


def _writers(
    dag: TriggeredDag,
    units: Mapping[Unit, UnitComponent],
    broken: Mapping[str, object],
    estate_of: Callable[[str], str],
    faults: list[str],
) -> Iterator[Writer]:
    for unit, addresses in dag.starters.writers.items():
        mirror = units.get(unit)
        if mirror is None and str(unit) not in broken:
            yield Writer(unit, dg.AssetKey([estate_of(unit.dag_id), unit.dag_id, unit.task_id]))
        elif mirror is None or not (keys := mirror.asset_keys()):
            why = "is broken" if mirror is None else "makes no asset that would tell of it"
            faults.append(f"{addresses[0]} is written by {unit}, whose mirror {why}")
        else:
            yield Writer(unit, keys[0], keys, mirror.op_name(Side.LEGACY))


def _sources(dag: TriggeredDag, units: Mapping[Unit, UnitComponent], faults: list[str]) -> Iterator[Source]:
    for trigger in dag.starters.triggers:
        if not trigger.after:
            continue
        above = {name: units.get(Unit(trigger.task.dag_id, name)) for name in trigger.after}
        missing = next((name for name, mirror in above.items() if mirror is None), None)
        if missing is not None:
            faults.append(f"{trigger.task} comes after {missing}, which has no sound mirror")
            continue
        try:
            yield _source(trigger, [mirror for mirror in above.values() if mirror is not None])
        except ParityError as error:
            faults.append(f"what {trigger.task} gives it is not known in Dagster: {error}")


def _source(trigger: Trigger, above: list[UnitComponent]) -> Source:
    steps = [mirror.op_name(Side.LEGACY) for mirror in above]
    return Source(trigger, steps, variables_of(trigger, above[0].times))
