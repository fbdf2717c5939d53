"""The live Airflow next to its mirrors: DAGs and tasks as assets, finished runs as materializations."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from dagster.components.utils.defs_state import DefsStateConfig
from dagster_shared.serdes.objects.models.defs_state_info import DefsStateManagementType

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.dagster.last_seen import estate_key, read_estate
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.files.airflows import airflows
from dagster_defs.components.sensors.airflow_sensor import build_sensor
from dagster_defs.components.sensors.dag_callbacks import build_dag_callback_sensors, calling_dags
from dagster_defs.components.sensors.dag_jobs import (
    awaited_units,
    blind_dags,
    echoed_dags,
    event_jobs,
    held_dags,
    scheduled_dags,
)
from dagster_defs.components.sensors.echo_sensor import build_echo_sensor
from dagster_defs.components.sensors.lost_runs import build_lost_runs_sensor
from dagster_defs.components.sensors.schedule_sensor import build_schedule_sensor
from dagster_defs.components.sensors.shadow_sensor import ShadowedUnit, build_shadow_sensor
from dagster_defs.components.sensors.trigger_sensor import build_trigger_sensor
from dagster_defs.components.sensors.trigger_turn import TriggeredDag
from dagster_defs.components.sensors.triggers_seen import seen
from dagster_defs.components.sensors.way_back import build_go_on_sensor, build_way_back_sensor
from dagster_defs.components.units.broken_unit import broken_key
from dagster_defs.components.units.project_units import ProjectUnits
from dagster_defs.components.units.shadow_starter import ShadowStarter, shadow_starter
from dagster_defs.components.units.shadows import is_shadow
from dagster_defs.components.units.unit import UnitComponent, project_units
from dagster_defs.errors import BadAirflows
from dagster_defs.escape import code_block, markdown
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.parity import Side
from dagster_defs.settings import Settings, nearest_project


@dataclass
class AirflowEstate(ShadowStarter, dg.StateBackedComponent, dg.Resolvable):
    """Shows every DAG and task of one Airflow instance, and their runs.

    What Airflow contains is fetched by `dg utils refresh-defs-state` and kept in a file, so that definitions load
    without Airflow; before the first fetch only the mirrored units are known. The sensor polls AIRFLOW_URL. If the
    project has several Airflows, `name` is that of one of them in parity.yaml, and the variables' names end with it.
    """

    name: Annotated[
        str, dg.Resolver.default(description="First part of the asset keys of DAGs and unmirrored tasks.")
    ] = "airflow"
    poll_seconds: Annotated[int, dg.Resolver.default(description="Seconds between two polls of Airflow.")] = (
        30
    )

    @property
    def defs_state_config(self) -> DefsStateConfig:
        # Never refreshed by merely loading, not even in development: definitions load without Airflow.
        return DefsStateConfig(
            key=estate_key(self.name),
            management_type=DefsStateManagementType.LOCAL_FILESYSTEM,
            refresh_if_dev=False,
        )

    def write_state_to_path(self, state_path: Path) -> None:
        # Dagster keeps the file in the project, which need not be that of the current folder.
        settings = Settings.from_process(nearest_project(state_path.parent))
        address = AirflowAddress.of(settings.of_airflow(self.name) if airflows(settings).dags else settings)
        airflow = AirflowReader(address)
        dags = {dag["dag_id"]: _contents(airflow, dag) for dag in airflow.dags()}
        atomic.write_json(state_path, dags)

    def build_defs_from_state(
        self, context: dg.ComponentLoadContext, state_path: Path | None
    ) -> dg.Definitions:
        project, root = project_units(context), context.project_root
        units = project.sound
        if len(project.parts) < len(units):  # for a run of one of them: no sensor has a part in it
            made = project.parts.values() if shadow_starter(context) is self else ()
            return dg.Definitions(jobs=[parts.jobs[Side.CANDIDATE] for parts in made])
        dags, airflow = read_estate(state_path), self._airflow(context)
        declared = airflows(Settings({}, root))
        here = [unit for unit in units if declared.has(airflow, unit.legacy_unit.dag_id)]
        times = {unit.legacy_unit: unit.times for unit in here}
        mirrored = {unit.legacy_unit: unit.asset_keys() for unit in here} if dags else {}
        broken = filter(None, map(Unit.named, project.broken))
        mirrored |= {unit: [broken_key(str(unit))] for unit in broken if declared.has(airflow, unit.dag_id)}
        also_written = {unit.legacy_unit: unit.touched_keys() for unit in here}
        seen = sorted(dags)
        observer = build_sensor(self.name, times, also_written, seen, self.poll_seconds, root, airflow)
        assets = list(self._asset_specs(dags, mirrored))
        if not units or shadow_starter(context) is not self:
            return dg.Definitions(assets=assets, sensors=[observer])
        jobs = [project.parts[unit.unit].jobs[Side.CANDIDATE] for unit in units]
        shadowed = [_shadowed(unit, project) for unit in units if not unit.gate_settings.never_compared]
        shadow = build_shadow_sensor(self.name, shadowed, jobs, self.poll_seconds, root)
        dags_with_jobs = list(scheduled_dags(project))
        dag_jobs = [job for _, of_dag in dags_with_jobs for job in of_dag]
        schedules = build_schedule_sensor(
            self.name,
            [dag for dag, _ in dags_with_jobs],
            dag_jobs,
            self.poll_seconds,
            root,
            {**blind_dags(project), **held_dags(project)},
            awaited_units(project),
        )
        started = list(event_jobs(project))
        return dg.Definitions(
            assets=assets,
            jobs=[*jobs, *dag_jobs, *(job for _, job in started)],
            sensors=[
                observer,
                shadow,
                schedules,
                build_echo_sensor(self.name, list(echoed_dags(project)), self.poll_seconds, root),
                *self._triggers(project, started, root),
                *self._callbacks(project, [*dag_jobs, *(job for _, job in started)]),
                *self._way_back(project, root),
                build_lost_runs_sensor(self.name, self.poll_seconds, root),
            ],
        )

    def _triggers(
        self, project: ProjectUnits[UnitComponent], started: Sequence[tuple[TriggeredDag, Any]], root: Path
    ) -> Iterator[dg.SensorDefinition]:
        """A sensor, if anything but people starts a DAG without a clock."""
        by_others = [(dag, job) for dag, job in started if dag.starters != Starters()]
        if not by_others:
            return
        declared = airflows(Settings({}, root))

        def estate_of(dag_id: str) -> str:
            return next((name for name in declared.names if name and declared.has(name, dag_id)), self.name)

        found = [seen(dag, project, estate_of) for dag, _ in by_others]
        blind = {dag.dag_id: fault for dag, fault in found if fault}
        units = [unit.legacy_unit for unit in project.sound]
        jobs, dags = [job for _, job in by_others], [dag for dag, _ in found]
        yield build_trigger_sensor(self.name, dags, jobs, units, self.poll_seconds, root, blind)

    def _callbacks(
        self, project: ProjectUnits[UnitComponent], jobs: Sequence[Any]
    ) -> Iterator[dg.SensorDefinition]:
        dags = calling_dags(project)
        yield from build_dag_callback_sensors(
            self.name, dags, [job for job in jobs if job.tags[tags.DAG] in dags]
        )

    def _airflow(self, context: dg.ComponentLoadContext) -> str:
        """Which of the project's Airflows this is; empty if it has one. Raises BadAirflows if that is not certain."""
        names = airflows(Settings({}, context.project_root)).names
        all_of_them = context.component_tree.get_all_components(of_type=AirflowEstate)
        estates = sorted(each.name for each in {id(each): each for each in all_of_them}.values())
        if names == ("",):
            if len(estates) > 1:
                raise BadAirflows(
                    f"there are {len(estates)} AirflowEstates ({', '.join(estates)}), and parity.yaml does not say "
                    "which DAGs each of them has",
                    "List their ids, or globs, below `airflows`, by the name of each",
                )
            return ""
        if self.name not in names:
            raise BadAirflows(
                f"the AirflowEstate {self.name} is none of those in parity.yaml ({', '.join(names)})",
                "Give it the name of one of them, or list it there with its DAGs",
            )
        return self.name

    def _way_back(self, project: ProjectUnits[UnitComponent], root: Path) -> Iterator[dg.SensorDefinition]:
        declared = {
            unit.legacy_unit: unit for unit in project.sound if unit.gate_settings.rollback_on_failure
        }
        if declared:
            jobs = [project.parts[unit.unit].jobs[Side.LEGACY] for unit in declared.values()]
            settings = {unit: component.gate_settings for unit, component in declared.items()}
            yield build_way_back_sensor(self.name, jobs, settings, root)
            yield build_go_on_sensor(self.name, settings.keys(), self.poll_seconds, root)

    def _asset_specs(
        self, dags: Mapping[str, Any], mirrored: Mapping[Unit, Sequence[dg.AssetKey]]
    ) -> Iterator[dg.AssetSpec]:
        """A DAG is downstream of its last tasks' assets; a task without a mirror is a separate asset."""
        for dag_id, dag in sorted(dags.items()):
            yield dg.AssetSpec(
                key=[self.name, dag_id],
                description=markdown(dag["info"].get("description") or "") or None,
                kinds={"airflow", "dag"},
                group_name="airflow",
                deps=[
                    key
                    for task_id, task in sorted(dag["tasks"].items())
                    if not task.get("downstream_task_ids")
                    for key in mirrored.get(Unit(dag_id, task_id)) or [self._task_key(dag_id, task_id)]
                ],
                metadata={
                    "Link to DAG": dg.MetadataValue.url(dag["url"]),
                    "Schedule": json.dumps(dag["info"].get("schedule_interval")),
                    "Source Code": dg.MetadataValue.md(code_block(dag["source"] or "", "python")),
                },
            )
            for task_id, task in sorted(dag["tasks"].items()):
                if Unit(dag_id, task_id) not in mirrored:
                    yield dg.AssetSpec(
                        key=self._task_key(dag_id, task_id),
                        description=markdown(f"Task {task_id} of {dag_id}; it has no mirror."),
                        kinds={"airflow", "task"},
                        group_name="airflow",
                        metadata={"Operator": (task.get("class_ref") or {}).get("class_name", "?")},
                    )

    def _task_key(self, dag_id: str, task_id: str) -> dg.AssetKey:
        return dg.AssetKey([self.name, dag_id, task_id])


def _contents(airflow: AirflowReader, dag: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "info": {"description": dag.get("description"), "schedule_interval": airflow.schedule(dag)},
        "url": airflow.dag_link(dag["dag_id"]),
        "source": airflow.source(dag),
        "tasks": {
            task["task_id"]: {name: task.get(name) for name in ("class_ref", "downstream_task_ids")}
            for task in airflow.tasks(dag["dag_id"])
        },
    }


def _shadowed(unit: UnitComponent, project: ProjectUnits[UnitComponent]) -> ShadowedUnit:
    legacy, candidate = project.parts[unit.unit].sides.values()
    made_by = project.makers
    read = {dep.asset_key for spec in candidate.specs for dep in spec.deps if is_shadow(dep.asset_key)}
    return ShadowedUnit(
        unit.legacy_unit,
        unit.job_name(Side.CANDIDATE),
        min(legacy.keys),
        unit.times,
        frozenset(made_by[key].legacy_unit for key in read & made_by.keys()) - {unit.legacy_unit},
    )
