"""The job that runs a whole DAG for one window in Dagster, once the DAG is retired in Airflow."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Any

import dagster as dg

from dagster_defs.components.sensors.scheduled_dag import ScheduledDag
from dagster_defs.components.sensors.trigger_turn import TriggeredDag
from dagster_defs.components.sensors.waited_job import waited_job
from dagster_defs.components.units.job_parts import EVENT_CONFIG, own_selection
from dagster_defs.components.units.project_units import ProjectUnits
from dagster_defs.components.units.unit import UnitComponent
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.lifecycle.waits import Wait
from dagster_defs.parity import Side
from dagster_defs.usecases.echoes.tell import EchoedDag, EchoedUnit
from dagster_defs.usecases.waits import Awaited
from dagster_defs.windows import EventKind, widest

_LONGEST = 200  # characters of a tag that is for people


def scheduled_dags(project: ProjectUnits[UnitComponent]) -> Iterator[tuple[ScheduledDag, Sequence[Any]]]:
    """Each mirrored DAG with its jobs, except DAGs whose units differ in schedule: those cannot be retired. DAGs
    without a clock are not scheduled.

    A DAG with a broken unit waits until the unit is fixed, because its windows would be incomplete.
    """
    for dag_id, mates in _whole_dags(project):
        if any(unit.event for unit in mates):
            continue
        schedules = [unit.partitions.schedule for unit in mates]
        if all(schedule.recurs_like(schedules[0]) for schedule in schedules):
            scheduled = scheduled_dag(dag_id, mates)
            jobs = [_job(scheduled, name, mates, project) for name in scheduled.jobs]
            if scheduled.waits:
                keys = [key for unit in mates for key in unit.asset_keys()]
                jobs.append(waited_job(scheduled.waited_job, dag_id, keys))
            yield scheduled, jobs


def _whole_dags(project: ProjectUnits[UnitComponent]) -> Iterator[tuple[str, list[UnitComponent]]]:
    """The units of each DAG that waits for none of them, sorted by name."""
    waiting = held_dags(project)
    units = sorted(project.sound, key=lambda unit: unit.legacy_unit)
    for dag_id, mates in groupby(units, key=lambda unit: unit.legacy_unit.dag_id):
        if dag_id not in waiting:
            yield dag_id, list(mates)


def event_jobs(project: ProjectUnits[UnitComponent]) -> Iterator[tuple[TriggeredDag, Any]]:
    """Each mirrored DAG that people, other DAGs' tasks or datasets start, or that has been started once, with its job.
    A person starts the job too, with Airflow's conf, and its dates are those of its start."""
    for dag_id, mates in _whole_dags(project):
        kinds = {unit.event.kind if unit.event else None for unit in mates}
        triggered = _triggered_dag(dag_id, mates, project)
        people = {EventKind.MANUAL, EventKind.ONCE}
        startable = people if triggered.starters == Starters() else {*people, EventKind.DATASETS}
        if not kinds <= startable or len(kinds) > 1:
            continue
        sides = [project.parts[unit.unit].sides[Side.LEGACY] for unit in mates]
        ops = [unit.op_name(Side.LEGACY) for unit in mates]
        [kind] = (kind.value for kind in kinds if kind)
        by = (
            {}
            if triggered.starters == Starters()
            else {tags.TRIGGERED: triggered.starters.in_words[:_LONGEST]}
        )
        yield (
            triggered,
            dg.define_asset_job(
                name=triggered.job,
                selection=reduce(or_, [own_selection(assets) for assets in sides]),
                description=f"All units of {dag_id}, for one run of it, once the DAG is retired.",
                executor_def=dg.in_process_executor,
                tags={tags.DAG: dag_id, tags.SIDE: Side.LEGACY.value, tags.EVENT: kind, **by},
                config=_told_to_all(ops),
            ),
        )


def _triggered_dag(
    dag_id: str, mates: Sequence[UnitComponent], project: ProjectUnits[UnitComponent]
) -> TriggeredDag:
    """If the units' settings differ, the most careful one counts."""
    starters = next((unit.starters for unit in mates if unit.starters), Starters())
    return TriggeredDag(
        dag_id,
        mates[0].legacy_unit.dag_identifier,
        tuple(unit.legacy_unit for unit in mates),
        starters,
        min(unit.schedule.max_active_runs for unit in mates),
        any(unit.depends_on_past for unit in mates),
    )


def _told_to_all(ops: Sequence[str]) -> dg.ConfigMapping:
    """One conf, or one occasion, for all units, as a DAG run has one."""

    def mapped(config: Any) -> Any:
        told = {"conf": {}, **config} if "occasion" not in config else {"occasion": config["occasion"]}
        return {"ops": {op: {"config": told} for op in ops}}

    return dg.ConfigMapping(config_fn=mapped, config_schema=dict(EVENT_CONFIG))


def held_dags(project: ProjectUnits[UnitComponent]) -> dict[str, str]:
    """DAGs with a broken unit, and the fault of the first such unit."""
    held: dict[str, str] = {}
    for name, fault in project.broken.items():
        held.setdefault(name.partition(".")[0], f"its unit {name} is broken. {fault}")
    return held


def blind_dags(project: ProjectUnits[UnitComponent]) -> dict[str, str]:
    """DAGs that wait for what nobody can see, and what that is. They have their jobs, and nothing starts them."""
    blind: dict[str, str] = {}
    known, broken = awaited_units(project), held_dags(project)
    clockless = {unit.legacy_unit.dag_id: unit.legacy_unit for unit in project.sound if unit.event}
    for unit in project.sound:
        for wait in unit.waits:
            unseen = _why_unseen(wait, known)
            if not unseen and not wait.tasks:
                unseen = _why_end_unseen(wait, known, broken, clockless)
            if unseen:
                blind.setdefault(unit.legacy_unit.dag_id, f"{wait.sensor} waits for {unseen}")
    return blind


def _why_unseen(wait: Wait, known: Mapping[str, Sequence[Awaited]]) -> str:
    """What of a wait has no mirror that tells how it ends; empty if everything has one."""
    units = {each.unit.task_id: each for each in known.get(wait.dag, ())}
    if not units:
        return f"{wait.dag}, no task of which has a sound mirror with windows"
    for task in wait.tasks:
        if task not in units:
            return f"{wait.dag}.{task}, which has no sound mirror with windows"
        if not units[task].keys:
            return f"{wait.dag}.{task}, whose mirror makes no asset that would tell that it has run"
    return ""


def _why_end_unseen(
    wait: Wait,
    known: Mapping[str, Sequence[Awaited]],
    broken: Mapping[str, str],
    clockless: Mapping[str, Unit],
) -> str:
    """Why nobody sees when the whole DAG that is waited for has ended: one unit that does not tell is enough."""
    if wait.dag in broken:
        return f"all of {wait.dag}, and {broken[wait.dag]}"
    untold = [each.unit for each in known[wait.dag] if not each.keys]
    untold += [clockless[wait.dag]] if wait.dag in clockless else []
    if untold:
        told = "has no asset or no windows that would tell how it ends"
        return f"all of {wait.dag}, and the mirror of {untold[0]} {told}"
    return ""


def echoed_dags(project: ProjectUnits[UnitComponent]) -> Iterator[EchoedDag]:
    """Each mirrored DAG that can be retired, as Airflow is told of it then."""
    awaited = awaited_units(project)
    for dag_id, mates in _whole_dags(project):
        units = tuple(
            EchoedUnit(each.legacy_unit, each.op_name(Side.LEGACY), each.asset_keys(), each.times)
            for each in mates
        )
        if any(each.event for each in mates):
            yield EchoedDag(dag_id, units)
            continue
        schedules = [each.partitions.schedule for each in mates]
        if all(schedule.recurs_like(schedules[0]) for schedule in schedules):
            partitions = widest(mates[0].partitions, [each.partitions for each in mates])
            yield EchoedDag(dag_id, units, partitions, awaited.get(dag_id, ()))


def awaited_units(project: ProjectUnits[UnitComponent]) -> dict[str, list[Awaited]]:
    """By DAG, all sound units with windows."""
    by_dag: dict[str, list[Awaited]] = {}
    for unit in project.sound:
        if unit.event is None:
            own = unit.legacy_unit
            awaited = Awaited(own, unit.partitions, unit.asset_keys(), unit.op_name(Side.LEGACY))
            by_dag.setdefault(own.dag_id, []).append(awaited)
    return by_dag


def scheduled_dag(dag_id: str, mates: Sequence[UnitComponent]) -> ScheduledDag:
    """If the units' settings differ, the most careful one counts; each unit keeps its own start and end."""
    return ScheduledDag(
        dag_id,
        mates[0].legacy_unit.dag_identifier,
        tuple(unit.legacy_unit for unit in mates),
        widest(mates[0].partitions, [unit.partitions for unit in mates]),
        {unit.legacy_unit: unit.partitions.schedule for unit in mates},
        catchup=all(unit.schedule.catchup for unit in mates),
        max_active_runs=min(unit.schedule.max_active_runs for unit in mates),
        in_order=any(unit.depends_on_past for unit in mates),
        waits=tuple({wait.sensor: wait for unit in mates for wait in unit.waits}.values()),
    )


def _job(
    dag: ScheduledDag, name: str, mates: Sequence[UnitComponent], project: ProjectUnits[UnitComponent]
) -> Any:
    """One step for each unit that the job runs, in lineage order."""
    units = dag.jobs[name]
    sides = [project.parts[unit.unit].sides[Side.LEGACY] for unit in mates if unit.legacy_unit in units]
    whose = "All units" if len(units) == len(mates) else ", ".join(unit.task_id for unit in sorted(units))
    return dg.define_asset_job(
        name=name,
        selection=reduce(or_, [own_selection(assets) for assets in sides]),
        description=f"{whose} of {dag.dag_id}, for one window; started by Dagster once the DAG is retired.",
        executor_def=dg.in_process_executor,
        tags={tags.DAG: dag.dag_id, tags.SIDE: Side.LEGACY.value},
    )
