"""What all kinds of mirrors share: the unit's name, its schedule, and how Dagster runs it."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast

import dagster as dg
from typing_extensions import Self

from dagster_defs.adapters.dagster.component_tree import EstateTree
from dagster_defs.adapters.dagster.evidence import PARITY, SHADOW
from dagster_defs.adapters.dagster.mirror_component import MirrorComponent
from dagster_defs.adapters.dagster.overlap import overlap_mapping
from dagster_defs.adapters.dagster.partitions import definition_of
from dagster_defs.adapters.files.legacy_code import LegacyFunction
from dagster_defs.components.compare.evidence import Compared
from dagster_defs.components.runs.tries import Tries
from dagster_defs.components.units.broken_unit import broken_definitions
from dagster_defs.components.units.freshness import freshness_policy
from dagster_defs.components.units.gates import Gates
from dagster_defs.components.units.job_parts import EVENT_CONFIG, own_selection, partitions_as_config, tags_of
from dagster_defs.components.units.parts import UnitParts
from dagster_defs.components.units.project_units import ProjectUnits
from dagster_defs.components.units.shadow_starter import shadow_starter
from dagster_defs.components.units.shadows import shadow_key
from dagster_defs.components.units.stage import Standings
from dagster_defs.components.units.telling import Telling
from dagster_defs.components.units.trigger_rules import TriggerRules
from dagster_defs.components.units.unit_schedule import UnitSchedule
from dagster_defs.components.units.variables import variable_of
from dagster_defs.errors import BadUnit, BadVariable, HasNoWindows, ParityError
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.identity import Claim
from dagster_defs.lifecycle.mirrors import DbtMirror, Declared, Output, Promised
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.lifecycle.waits import Wait
from dagster_defs.parity import Side
from dagster_defs.windows import (
    EventSchedule,
    Moment,
    Partitions,
    PartitionVars,
    Scheduled,
    Times,
    widest,
)

T = TypeVar("T")


@dataclass
class UnitComponent(MirrorComponent, Telling, dg.Resolvable):
    """Base class of the mirrors; not a component type itself."""

    unit: Annotated[str, dg.Resolver.default(description="The legacy task: dag_id.task_id.")]
    schedule: UnitSchedule
    owners: Annotated[
        Sequence[str], dg.Resolver.default(description="Owners of the assets: e-mail addresses or team:name.")
    ] = field(default_factory=list, kw_only=True)
    pool: Annotated[
        str | None,
        dg.Resolver.default(description="Concurrency pool; the candidate side gets a separate one."),
    ] = field(default=None, kw_only=True)
    retries: Annotated[
        int,
        dg.Resolver.default(
            description="Airflow's `retries`: further tries in a run that Airflow did not launch."
        ),
    ] = field(default=0, kw_only=True)
    retry_delay: Annotated[float, dg.Resolver.default(description="Airflow's `retry_delay`, in seconds.")] = (
        field(default=30, kw_only=True)
    )
    timeout: Annotated[
        float | None,
        dg.Resolver.default(
            description="Airflow's `execution_timeout`: seconds per window in one try; no limit by default."
        ),
    ] = field(default=None, kw_only=True)
    sla: Annotated[
        float | None,
        dg.Resolver.default(
            description="Airflow's `sla`: how many seconds after a window's end its data is due; never by default."
        ),
    ] = field(default=None, kw_only=True)
    depends_on_past: Annotated[
        bool,
        dg.Resolver.default(
            description="Airflow's `depends_on_past`: a window runs only after the previous one has succeeded."
        ),
    ] = field(default=False, kw_only=True)
    python_path: Annotated[
        str, dg.Resolver.default(description="Folder to import functions from, relative to the project.")
    ] = field(default="legacy_dags", kw_only=True)
    trigger_rules: TriggerRules = field(default=None, kw_only=True)
    gates: Gates = field(default_factory=Gates, kw_only=True)

    root = Path()  # of the project; set when the YAML is loaded
    folder = Path()  # of its YAML
    rehearsal = cast("Mapping[str, str]", MappingProxyType({}))  # only a function's own YAML declares it
    deps = cast("Sequence[str]", ())  # of units that declare what must be made before them
    _project = cast("ProjectUnits[UnitComponent] | None", None)
    _whole = cast("Partitions[Scheduled] | None", None)

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> Self:
        component = super().load(attributes, context)
        component.root = context.project_root
        component.folder = context.path if context.path.is_dir() else context.path.parent
        return component

    @property
    def project_units(self) -> "ProjectUnits[UnitComponent]":
        """All units of the load that this one belongs to, once loading has begun."""
        if self._project is None:
            raise LookupError(f"{self.unit} does not belong to a load yet")
        return self._project

    @property
    def dbt_mirror(self) -> DbtMirror | None:
        return None

    @property
    def folders(self) -> frozenset[Path]:
        return frozenset({self.python_folder})

    @property
    def python_folder(self) -> Path:
        return (self.root / self.python_path).resolve()

    def declaring(self, **what: Any) -> Declared:
        """What the mirror would do, including the limits that all kinds of mirrors share."""
        return Declared(
            retries=self.retries,
            retry_delay=self.retry_delay,
            pool=self.pool,
            timeout=self.timeout,
            sla=self.sla,
            catchup=self.schedule.catchup,
            max_active_runs=self.schedule.max_active_runs,
            depends_on_past=self.depends_on_past,
            calls=self.callbacks,
            dag_calls=self.dag_callbacks,
            mail=self.mail,
            asks_rules=self.trigger_rules is not None,
            **what,
        )

    @property
    def promised(self) -> Promised:
        return Promised(
            self.retries, self.sla, self.schedule.catchup, self.mail, self.callbacks, self.dag_callbacks
        )

    def declared(self) -> Declared:
        raise NotImplementedError

    def outputs_of(self, window: Moment) -> Iterable[Output]:
        raise NotImplementedError

    def asset_keys(self) -> Sequence[dg.AssetKey]:
        """Keys of the assets that this mirror defines on the legacy side."""
        raise NotImplementedError

    def touched_keys(self) -> Sequence[dg.AssetKey]:
        """Legacy keys of assets that this unit's run writes too, but another mirror defines."""
        return []

    @property
    def declared_deps(self) -> Collection[str]:
        """Everything that its YAML says is made before it."""
        return self.deps

    @property
    def feeds(self) -> Mapping[str, dg.AssetKey]:
        return {}

    def claims(self, feeds: Mapping[str, dg.AssetKey]) -> Iterable[Claim]:
        return ()

    @property
    def also_written(self) -> frozenset[dg.AssetKey]:
        """`touched_keys` on both sides."""
        return frozenset(key for legacy in self.touched_keys() for key in (legacy, shadow_key(legacy)))

    def maker_of(self, key: dg.AssetKey) -> "UnitComponent | None":
        """The mirror that defines an asset, on either side."""
        return self.project_units.makers.get(key)

    def built(self) -> Collection[Any]:
        """What the unit builds that other units may build too. Raises what `refuse_faults` raises."""
        return ()

    def precedence(self) -> tuple[int, Unit]:
        """Of the units that build the same thing, the lowest defines it. Raises what `refuse_faults` raises."""
        return 0, self.legacy_unit

    def partitions_over(self, window: Scheduled) -> list[str]:
        """Keys of this unit's windows that overlap another unit's window; empty where Airflow has none."""
        try:
            return self.partitions.keys_over(window)
        except ParityError:
            return []

    @cached_property
    def legacy_unit(self) -> Unit:
        return Unit.parse(self.unit)

    @cached_property
    def event(self) -> EventSchedule | None:
        """Raises BadUnit for an impossible schedule."""
        return self._of_schedule(self.schedule.without_clock)

    @cached_property
    def partitions(self) -> Partitions[Scheduled]:
        """Raises BadUnit for an impossible schedule, HasNoWindows for one without a clock."""
        if self.event is not None:
            raise HasNoWindows(self.unit, str(self.event))
        return self._of_schedule(lambda: self.schedule.partitions(self.folder, self._once))

    def _of_schedule(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except ParityError as error:
            raise BadUnit(self.unit, str(error), "Fix `schedule` in its YAML") from error

    @cached_property
    def waits(self) -> Sequence[Wait]:
        """What a window of the retired DAG waits for. Raises BadUnit."""
        return self._of_schedule(lambda: self.schedule.waits(self.folder))

    @cached_property
    def starters(self) -> Starters | None:
        """What starts its DAG's runs once that is retired, if it says so. Raises BadUnit."""
        return self._of_schedule(lambda: self.schedule.starters(self.unit))

    @property
    def times(self) -> Times:
        """What tells the moments of its runs: its partitions, or that its DAG has no clock."""
        return self.event or self.partitions

    @cached_property
    def offered(self) -> dg.PartitionsDefinition | None:
        """The partitions that Dagster offers for the unit's assets, see `offer_with`; None without a clock."""
        if self.event is not None:
            return None
        return self._once((definition_of, self.whole.schedule), lambda: definition_of(self.whole))

    @property
    def whole(self) -> Partitions[Scheduled]:
        """The schedule behind `offered`."""
        return self._whole or self.partitions

    def offer_with(self, mates: Sequence["UnitComponent"]) -> None:
        """Offer the partitions of the whole DAG, whose units are `mates`.

        A task may begin later or end earlier than its DAG, but all assets of a Dagster job must have the same
        partitions, and the DAG's job runs all of them.
        """
        if self.event is not None:
            return
        timed = [mate.partitions for mate in mates if mate.event is None]
        vars(self).pop("offered", None)
        self._whole = self._once(
            (widest, self.legacy_unit.dag_id, self.partitions.schedule),
            lambda: widest(self.partitions, timed),
        )

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        """A value that the units of one load share, made once."""
        return make() if self._project is None else self._project.once(key, make)

    def compile_templates(
        self, templates: Mapping[str, Any], where: str, params: Mapping[str, Any] = MappingProxyType({})
    ) -> PartitionVars:
        """Raises BadUnit, which names the variable, for a template that only Airflow can render and for a value that
        cannot be passed on."""
        unit = self.legacy_unit
        variables = [variable_of(self.unit, where, name, declared) for name, declared in templates.items()]
        for variable in variables:
            try:
                PartitionVars([variable], self.times, unit.dag_id, unit.task_id, params)
            except BadVariable as error:
                reason = f"`{where}`: variable {error.variable} {error.reason}"
                raise BadUnit(self.unit, reason, "Correct it in its YAML") from error
            except ParityError as error:
                reason = f"`{where}`: {error} (the variable {variable.name})"
                raise BadUnit(self.unit, reason, "Correct it in its YAML") from error
        return PartitionVars(variables, self.times, unit.dag_id, unit.task_id, params)

    @cached_property
    def tries(self) -> Tries:
        return Tries(self.retries, self.retry_delay)

    def refuse_faults(self, *, resolved: bool) -> None:
        """Raises a ParityError if the unit's definitions cannot be built, regardless of the other units.

        `resolved`: also check what only the dbt project can tell.
        """
        _ = self.legacy_unit, self.times, self.waits, self.starters
        self.refuse_bad_limits()

    def remark(self) -> str:
        """A warning for whoever loads the definitions, even though they can be built; empty if there is none."""
        return ""

    def refuse_bad_limits(self) -> None:
        """Raises BadUnit for an impossible number of tries or seconds."""
        for name in ("retries", "retry_delay", "timeout", "sla"):
            value = getattr(self, name)
            if value is not None and (value < 0 or (name == "timeout" and value == 0)):
                raise BadUnit(self.unit, f"`{name}` is {value:g}", "Fix it in its YAML")
        if (limit := self.schedule.max_active_runs) < 1:
            reason = f"`schedule.max_active_runs` is {limit}: no window would ever run"
            raise BadUnit(self.unit, reason, "Fix it in its YAML")
        self.refuse_bad_callbacks()
        self.gates.settings(self.unit)

    @property
    def takes_ranges(self) -> bool:
        """Whether one run can build several consecutive windows."""
        return self.trigger_rules is None

    def legacy_function(self, path: str) -> LegacyFunction:
        return LegacyFunction(path, self.python_folder)

    @property
    def never_compared(self) -> str:
        """Why no candidate of it ever runs; empty if one may."""
        return ""

    @property
    def gate_settings(self) -> GateSettings:
        starters = self.starters
        return replace(
            self.gates.settings(self.unit),
            event=self.event.kind.value if self.event else "",
            started=starters is not None,
            not_started=starters.refused if starters else (),
        )

    def freshness(self, side: Side) -> dg.FreshnessPolicy | None:
        """When the assets of this side are due; a candidate's never are, and without a clock nothing is."""
        if self.sla is None or side is Side.CANDIDATE or self.event is not None:
            return None
        return freshness_policy(self.partitions.schedule, self.sla)

    def spec_attributes(self, side: Side) -> dict[str, Any]:
        """The group, tags and metadata of every asset of the unit on this side."""
        standings = self._once(Standings, lambda: Standings.now(self.root))
        unit, state = self.legacy_unit, standings.state(self.legacy_unit)
        attributes: dict[str, Any] = {"tags": {tags.UNIT: str(unit), tags.SIDE: side.value}}
        if state is not None:
            attributes["tags"] |= {tags.STAGE: state.stage.value, tags.OWNER: state.owner.value}
        # Once the unit is retired, what Airflow did is history.
        if side is Side.LEGACY and not (state and state.stage is Stage.RETIRED):
            attributes["metadata"] = {tags.TASK_MAPPING: [{"dag_id": unit.dag_id, "task_id": unit.task_id}]}
        return attributes

    def group_name(self, side: Side) -> str:
        dag = self.legacy_unit.dag_identifier
        return dag if side is Side.LEGACY else f"{dag}_shadow"

    def dependency(self, dep: dg.AssetDep) -> dg.AssetDep:
        """The dependency, with a partition mapping if the other asset's windows differ from this unit's."""
        maker = self.maker_of(dep.asset_key)
        if maker is None or maker.offered == self.offered or self.event or maker.event:
            return dep  # without a clock on one side, Dagster's own mapping holds: everything upstream
        mapping = overlap_mapping(self.whole, maker.whole)
        return dg.AssetDep(dep.asset_key, partition_mapping=mapping, metadata=dep.metadata)

    def job(
        self, side: Side, assets: dg.AssetsDefinition, without: Collection[dg.AssetCheckKey] = ()
    ) -> dg.JobDefinition | Any:
        """The job that runs the unit: Airflow's proxy launches it, by a name derived from the unit's name.

        Its tags say how partition keys are formatted, so that the proxy needs no look-up across the estate. `without`:
        asset checks to leave out.
        """
        return dg.define_asset_job(
            name=self.job_name(side),
            selection=own_selection(assets, without),
            description=f"The {side.value} of {self.unit}.",
            # Import the definitions only once: a run of one unit has one step.
            executor_def=dg.in_process_executor,
            tags=self.job_tags(side),
        )

    def job_tags(self, side: Side) -> dict[str, str]:
        return {tags.UNIT: self.unit, tags.SIDE: side.value, **tags_of(self.times)}

    @property
    def config_schema(self) -> Any:
        """What a run of the unit may be told; None if its partition says everything."""
        return None if self.event is None else EVENT_CONFIG

    def comparing_job(self, compared: Compared) -> dg.JobDefinition | Any:
        """The job that compares both sides again, as they are now, and builds nothing."""
        return dg.define_asset_job(
            name=f"compare__{self.legacy_unit.identifier}",
            selection=dg.AssetSelection.checks(*compared.check_keys),
            config=partitions_as_config(self.offered),
            description=f"Compares legacy and candidate of {self.unit} again.",
            executor_def=dg.in_process_executor,
            tags={tags.UNIT: self.unit},
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        project = project_units(context, self)
        if fault := project.broken.get(self.unit):
            return self._broken_defs(project, fault)
        parts = project.parts.get(self.unit)
        if parts is None:
            return dg.Definitions(assets=self._known_assets)
        elsewhere = project.once(shadow_starter, lambda: shadow_starter(context)) is not None
        jobs = [job for side, job in parts.jobs.items() if side is Side.LEGACY or not elsewhere]
        return dg.Definitions(assets=[*parts.sides.values(), *parts.external], jobs=[*jobs, *parts.comparing])

    @property
    def _known_assets(self) -> list[dg.AssetSpec]:
        """What a run of another unit may ask of this one's assets: that they are there, and in which partitions."""
        return [
            dg.AssetSpec(key, partitions_def=self.offered)
            for legacy in self.asset_keys()
            for key in (legacy, shadow_key(legacy))
        ]

    def building_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """For a rehearsal: the candidate's assets, and a job that builds them without comparing."""
        project = project_units(context, self)
        if fault := project.broken.get(self.unit):
            raise fault
        assets = project.parts[self.unit].sides[Side.CANDIDATE]
        parity = {key for key in assets.check_keys if key.name == PARITY}
        return dg.Definitions(assets=[assets], jobs=[self.job(Side.CANDIDATE, assets, parity)])

    def _broken_defs(self, project: "ProjectUnits[UnitComponent]", fault: ParityError) -> dg.Definitions:
        if not project.is_first(self):
            return dg.Definitions()
        return broken_definitions(self, fault, with_job=project.has_job_to_itself(self))

    @classmethod
    def look_up(cls, units: Sequence[Self]) -> None:
        """Look up at once what each unit will need. Raises nothing: each unit will report its own errors."""

    def make_parts(self) -> UnitParts:
        """What the unit defines, according to `project_units`."""
        raise NotImplementedError()

    def job_name(self, side: Side) -> str:
        """`legacy_dags/handover/proxy.py` derives the legacy side's name by the same rule."""
        name = self.legacy_unit.identifier
        return name if side is Side.LEGACY else f"{SHADOW}__{name}"

    def op_name(self, side: Side) -> str:
        return f"run__{self.job_name(side)}"  # a job and an op may not share a name


def project_units(
    context: dg.ComponentLoadContext, requester: UnitComponent | None = None
) -> "ProjectUnits[UnitComponent]":
    """The units of this load, determined once. Raises BrokenUnits if one is broken and PARITY_STRICT is set."""
    if requester is not None and requester._project is not None:
        return requester._project
    components = context.component_tree.get_all_components(of_type=UnitComponent)
    # A file with a single document is listed twice: as the file and as its only document.
    units = list({id(unit): unit for unit in components}.values())
    if requester is not None and all(unit is not requester for unit in units):
        # A rehearsal loaded it before this load: it replaces its twin, and is not a second mirror.
        twins = [unit for unit in units if unit.unit == requester.unit]
        units = [*(unit for unit in units if len(twins) != 1 or unit is not twins[0]), requester]
    if units and (known := units[0]._project) is not None:
        return known
    tree = context.component_tree
    project = ProjectUnits(units, context.project_root, tree.job if isinstance(tree, EstateTree) else None)
    for unit in units:
        unit._project = project
    project.settle()
    return project
