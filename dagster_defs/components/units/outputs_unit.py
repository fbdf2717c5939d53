"""Units whose outputs are declared one by one: where each side writes them, and how they are compared."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import dagster as dg

from dagster_defs.adapters.dagster.partitions import backfill_policy
from dagster_defs.adapters.dagster.unit_assets import UnitStep
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.workspaces import open_workspace
from dagster_defs.adapters.warehouse.places import place_of_relation, relation_named
from dagster_defs.components.compare.comparing import build_and_compare
from dagster_defs.components.compare.evidence import Compared
from dagster_defs.components.runs.beating import beating
from dagster_defs.components.runs.callbacks import Told
from dagster_defs.components.runs.run_window import moments_of_run
from dagster_defs.components.units.dbt_targets import target_of
from dagster_defs.components.units.others_tables import table_of_others
from dagster_defs.components.units.outputs import NoOutputs, OutputWarehouse, UnitOutput
from dagster_defs.components.units.parts import UnitParts
from dagster_defs.components.units.shadows import shadow_key
from dagster_defs.components.units.table_facts import column_schema
from dagster_defs.components.units.trigger_rules import results_of_skip
from dagster_defs.components.units.unit import UnitComponent
from dagster_defs.errors import BadUnit, TemplateFailed, WritesToLegacy
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.identity import Claim
from dagster_defs.lifecycle.mirrors import (
    Declared,
    FileOutput,
    Output,
    Rendering,
    TableOutput,
    Terms,
    any_moment,
)
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.parity import Column, Side
from dagster_defs.usecases.columns import columns_written
from dagster_defs.windows import Bound, Moment, PartitionVars, zone_of

Outputs = Annotated[
    Sequence[UnitOutput] | NoOutputs,
    dg.Resolver.default(
        description="The assets that the task writes, or `{none: true, because: …}` if nothing can be compared."
    ),
]


@dataclass
class OutputsUnit(UnitComponent):
    """Base class of the mirrors of tasks without dbt; not a component type itself."""

    warehouse: Annotated[
        OutputWarehouse,
        dg.Resolver.default(description="The dbt targets of the outputs that are tables."),
    ] = field(default_factory=OutputWarehouse, kw_only=True)

    outputs: Outputs
    side_folders: Annotated[
        Mapping[str, str],
        dg.Resolver.default(
            description="The folder of each side that `file` and `folder` templates start from."
        ),
    ] = field(default_factory=lambda: {"legacy": "data/legacy", "candidate": "data/candidate"}, kw_only=True)

    @property
    def own_kind(self) -> str:
        """Dagster's kind of an output whose YAML declares no `kinds`."""
        raise NotImplementedError

    @cached_property
    def declared_outputs(self) -> Sequence[UnitOutput]:
        return () if isinstance(self.outputs, NoOutputs) else self.outputs

    @cached_property
    def written(self) -> Sequence[UnitOutput]:
        """The declared outputs or, if there are none, one asset that stands for the task."""
        return self.declared_outputs or [UnitOutput(key=self.legacy_unit.asset_key)]

    @property
    def never_compared(self) -> str:
        """Why nothing is compared; empty if something is."""
        return self.outputs.because.strip() if isinstance(self.outputs, NoOutputs) else ""

    @property
    def gate_settings(self) -> GateSettings:
        return replace(super().gate_settings, never_compared=self.never_compared)

    @property
    def does(self) -> str:
        """What the task runs, as messages name it."""
        raise NotImplementedError

    @property
    def bound_variables(self) -> Sequence[PartitionVars]:
        """The unit's own variables, some of which may bound the window."""
        return ()

    @property
    def variables(self) -> Rendering:
        """What the task receives for a window. Raises BadUnit."""
        raise NotImplementedError

    def declared(self) -> Declared:
        return self.declaring(
            runs=self.does,
            nodes=None,
            variables=self.variables,
            event_times=None,
            reads=self.read_keys,
            writes=self.write_keys,
        )

    @property
    def read_keys(self) -> frozenset[str]:
        """What the unit declares that it reads; see `Declared`."""
        return frozenset(dep for output in self.written for dep in self.deps_of(output))

    @property
    def declared_deps(self) -> Collection[str]:
        return self.read_keys

    def deps_of(self, output: UnitOutput) -> Sequence[str]:
        """Keys of the assets that the task reads to write this output."""
        return output.deps

    def _dep_keys(self, deps: Sequence[str], side: Side) -> list[dg.AssetKey]:
        """A shadow reads the shadow of what another unit's candidate writes, and the real asset if there is none."""
        return [
            shadow_key(key) if side is Side.CANDIDATE and self._has_candidate(key) else key
            for key in self.project_units.made_before(deps)
        ]

    def _has_candidate(self, key: dg.AssetKey) -> bool:
        maker = self.maker_of(key)
        return maker is not None and not maker.never_compared

    def run_side(self, context: dg.AssetExecutionContext, side: Side) -> Iterator[dg.MaterializeResult[None]]:
        """One try of the work."""
        with self.calling_back(context, side) as told:
            if skipped := list(results_of_skip(context, self, side)):
                told.is_left_out()
                yield from skipped
                return
            yield from self.work(context, side, told)

    def work(
        self, context: dg.AssetExecutionContext, side: Side, told: Told
    ) -> Iterator[dg.MaterializeResult[None]]:
        """`told`: to be told that it begins, once it is certain that this side may write."""
        raise NotImplementedError

    def results(
        self, context: dg.AssetExecutionContext, metadata: Mapping[str, Any] = MappingProxyType({})
    ) -> Iterator[dg.MaterializeResult[None]]:
        """One result for each asset of the run, with the columns that its output has now."""
        columns = self._columns_of(context)
        for key in sorted(context.selected_asset_keys):
            shown = column_schema(columns.get(key, ()))
            yield dg.MaterializeResult(asset_key=key, metadata={**metadata, **shown})

    def _columns_of(self, context: dg.AssetExecutionContext) -> Mapping[dg.AssetKey, Sequence[Column]]:
        """The work is done: whatever goes wrong here is told, and fails no run."""
        try:
            [*_, last] = moments_of_run(context, self.times)
            places = {
                output_key(output.name, side): (output, side)
                for output in self.outputs_of(last)
                for side in Side
            }
            return columns_written({key: places[key] for key in context.selected_asset_keys & places.keys()})
        except Exception as error:
            context.log.warning(f"The columns are not shown: {error}")
            return {}

    @cached_property
    def feeds(self) -> Mapping[str, dg.AssetKey]:
        """Keys of the outputs that are dbt sources, by `source_name.table`."""
        return {
            output.dbt_source: output_key(output.key) for output in self.declared_outputs if output.dbt_source
        }

    def asset_keys(self) -> list[dg.AssetKey]:
        """Keys of the outputs on the legacy side."""
        return [output_key(output.key) for output in self.written]

    def claims(self, feeds: Mapping[str, dg.AssetKey]) -> Iterator[Claim]:
        claimed = {output.key: f"output {output.key}" for output in self.written}
        claimed |= {f"source:{source}": f"dbt_source {source}" for source in self.feeds}
        for key, kind in claimed.items():
            thing = key.removeprefix("source:")
            claim = f"{kind} of {self.does}"
            yield Claim(key, f"{self.unit}:{thing}", claim, self.unit, builds=True, is_written=True)

    @property
    def write_keys(self) -> frozenset[str]:
        """What the unit declares that it writes; see `Declared`."""
        return frozenset(output.key for output in self.written) | {
            f"source:{source}" for source in self.feeds
        }

    def compared_keys(self) -> dict[str, tuple[dg.AssetKey, dg.AssetKey]]:
        """Both keys of each output that is compared."""
        return {
            output.key: (output_key(output.key), output_key(output.key, Side.CANDIDATE))
            for output in self.declared_outputs
            if output.is_compared
        }

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        if isinstance(self.outputs, NoOutputs):
            self.outputs.refuse_faults(self.unit)
        for output in self.declared_outputs:
            output.refuse_faults(self.unit)
            output.zones(self.unit, f"outputs.{output.key}", None)
        _ = self.terms
        for output, templates in self._templates:
            if output.time_column and self.event is not None:
                reason = (
                    f"`outputs.{output.key}` has a `time_column`, but its DAG has no clock and so no windows"
                )
                raise BadUnit(self.unit, reason, "Remove `time_column`: the table is compared as a whole")
            if output.time_column and not self._is_bounded(templates):
                reason = f"`outputs.{output.key}` has a `time_column`, but no bounds of a window in it"
                bounds = 'lower: "{{ data_interval_start }}" and upper: "{{ data_interval_end }}"'
                raise BadUnit(self.unit, reason, f"Declare them as the task has them, such as {bounds}")
        if resolved and any(output.is_table for output in self.declared_outputs):
            try:
                moment = any_moment(self)
                for written, side, known, other in self._shared_tables(moment):
                    table = f"the {side} table {written.relation(side)}"
                    reason = f"`outputs.{written.name}`: {table} is the {known} table of {other}"
                    raise BadUnit(self.unit, reason, "Give each side of each output a table of its own")
            except TemplateFailed:
                if self.event is None:
                    raise  # without a clock, a table may be named after a conf, which is known in a run only

    def _is_bounded(self, templates: PartitionVars) -> bool:
        bounds = {
            each.bound for variables in (*self.bound_variables, templates) for each in variables.variables
        }
        return bool(bounds - {Bound.NONE})

    def _shared_tables(self, moment: Moment) -> Iterator[tuple[TableOutput, Side, Side, str]]:
        """Tables that two places share: the output and its side, then the side and the name of the output, the same or
        an earlier one, that has the same table."""
        places: dict[tuple[Side, Any], str] = {}
        for output in self.outputs_of(moment):
            if not isinstance(output, TableOutput):
                continue
            for side in Side:
                place = place_of_relation(self.workspace(side), output.relation(side))
                yield from (
                    (output, side, known, other)
                    for known in Side
                    if (other := places.get((known, place))) is not None
                )
                places[side, place] = output.name

    def outputs_of(self, window: Moment) -> Iterator[Output]:
        bounds = {
            bound: text
            for variables in (self.bound_variables if self.event is None else ())
            for bound, text in variables.bounds_in(variables.for_window(window)).items()
        }
        for output, templates in self._templates:
            rendered = templates.for_window(window)
            if output.is_table:
                yield self._table(output, templates, rendered, bounds)
            elif output.is_compared:
                yield self._file(output, rendered)

    def _file(self, output: UnitOutput, rendered: Mapping[str, Any]) -> FileOutput:
        place = rendered["folder" if output.folder else "file"]
        legacy, candidate = (str((self.folder_of(side) / place).resolve()) for side in Side)
        return FileOutput(
            name=output.key,
            legacy=legacy,
            candidate=candidate,
            key=output.keyed_by,
            terms=self.terms[output.key],
            types=tuple(output.file_types.items()),
            pattern=output.pattern if output.folder else None,
            each=output.each,
        )

    def _table(
        self,
        output: UnitOutput,
        templates: PartitionVars,
        rendered: Mapping[str, Any],
        bounds: Mapping[Bound, str],
    ) -> TableOutput:
        own = {**bounds, **templates.bounds_in(rendered)} if output.time_column else {}
        named = {side: rendered.get(side.value) or rendered["table"] for side in Side}
        legacy, candidate = self._relations(named[Side.LEGACY], named[Side.CANDIDATE])
        return TableOutput(
            name=output.key,
            project_dir=str(self._dbt_project),
            legacy_target=self._target(Side.LEGACY),
            candidate_target=self._target(Side.CANDIDATE),
            legacy=legacy,
            candidate=candidate,
            key=output.keyed_by,
            time_column=output.time_column,
            lower=own.get(Bound.LOWER),
            upper=own.get(Bound.UPPER),
            terms=self.terms[output.key],
            zones=output.zones(self.unit, f"outputs.{output.key}", zone_of(self.times)),
            of_window=not {"table", "legacy", "candidate"}.isdisjoint(templates.unbounded),
        )

    def _relations(self, legacy: str, candidate: str) -> tuple[str, str]:
        """Both sides' fully qualified relations. If one name would stand for one table on both sides, the candidate's
        table is in its target's own schema."""
        if (legacy, candidate) not in self._known_relations:
            of_legacy, of_candidate = (self.workspace(side) for side in Side)
            full = relation_named(of_legacy, legacy), relation_named(of_candidate, candidate)
            if legacy == candidate and (
                place_of_relation(of_legacy, full[0]) == place_of_relation(of_candidate, full[1])
            ):
                full = full[0], relation_named(of_candidate, candidate, in_own_schema=True)
            self._known_relations[legacy, candidate] = full
        return self._known_relations[legacy, candidate]

    @cached_property
    def _known_relations(self) -> dict[tuple[str, str], tuple[str, str]]:
        return {}

    @cached_property
    def _dbt_project(self) -> Path:
        return (self.root / self.warehouse.project).resolve()

    def _target(self, side: Side) -> str:
        named = self.warehouse.legacy if side is Side.LEGACY else self.warehouse.candidate
        return named or target_of(side)

    def workspace(self, side: Side) -> DbtWorkspace:
        return open_workspace(self._dbt_project, self._target(side))

    @cached_property
    def terms(self) -> Mapping[str, Terms]:
        """How each output is compared, by its key."""
        return {
            output.key: output.terms(self.unit, f"outputs.{output.key}", output.key, output.keyed_by)
            for output in self.declared_outputs
        }

    @cached_property
    def _templates(self) -> list[tuple[UnitOutput, PartitionVars]]:
        return [
            (output, self.compile_templates(output.templates, f"outputs.{output.key}"))
            for output in self.declared_outputs
        ]

    def folder_of(self, side: Side) -> Path:
        return (self.root / self.side_folders[side.value]).resolve()

    @property
    def _legacy_folders(self) -> frozenset[Path]:
        """The legacy folders of this unit and of every other one."""
        units = (self, *(unit for unit in self.project_units.declared if isinstance(unit, OutputsUnit)))
        return frozenset(unit.folder_of(Side.LEGACY) for unit in units)

    def refuse_legacy_places(self, windows: Sequence[Moment]) -> None:
        """Raises WritesToLegacy if the candidate would write a file or a table of legacy's, be it this unit's or
        another's, or if its folder is inside legacy's."""
        folders = {side: self.folder_of(side) for side in Side}
        remedy = "Fix `side_folders` in its YAML, or the variables that it reads"
        if folders[Side.CANDIDATE].is_relative_to(folders[Side.LEGACY]):
            raise WritesToLegacy(self.unit, f"folder {folders[Side.LEGACY]}", remedy)
        separate = "Give the candidate its own table, or its target its own schema"
        for window in windows:
            for shared, side, _, other in self._shared_tables(window):
                table = f"table {shared.relation(side)} (of `outputs.{other}` and `outputs.{shared.name}`)"
                raise WritesToLegacy(self.unit, table, separate)
            for output in self.outputs_of(window):
                if isinstance(output, FileOutput):
                    if any(Path(output.candidate).is_relative_to(folder) for folder in self._legacy_folders):
                        raise WritesToLegacy(self.unit, f"file {output.candidate}", remedy)
                elif owner := table_of_others(self, self.project_units.declared, output):
                    raise WritesToLegacy(self.unit, f"table {output.candidate}, which {owner}", separate)

    def make_parts(self) -> UnitParts:
        compared = Compared(self, {} if self.never_compared else self.compared_keys())
        sides = {side: self._asset_definition(side, compared) for side in Side}
        jobs = {side: self.job(side, assets) for side, assets in sides.items()}
        comparing = [self.comparing_job(compared)] if compared.keys else []
        return UnitParts(sides, self.external_assets(), jobs, comparing)

    def external_assets(self) -> Sequence[dg.AssetSpec]:
        return ()

    def more_metadata(self) -> Mapping[str, Any]:
        """Metadata of each asset, in addition to what all units have."""
        return {}

    def _asset_definition(self, side: Side, compared: Compared) -> dg.AssetsDefinition:
        attributes = self.spec_attributes(side)
        metadata = {**attributes.pop("metadata", {}), **self.more_metadata()}
        specs = [
            dg.AssetSpec(
                key=output_key(output.key, side),
                description=output.description or f"Written by {self.does} of {self.unit}.",
                kinds=set(output.kinds or [self.own_kind]),
                deps=[
                    self.dependency(dg.AssetDep(key)) for key in self._dep_keys(self.deps_of(output), side)
                ],
                owners=[*self.owners],
                freshness_policy=self.freshness(side),
                group_name=self.group_name(side),
                metadata=metadata,
                **attributes,
            )
            for output in self.written
        ]

        def run_unit(context: dg.AssetExecutionContext) -> Iterator[Any]:
            def one_try() -> Iterator[Any]:
                with beating(context, self.legacy_unit, side, self.root):
                    yield from self.run_side(context, side)

            yield from one_try() if side is Side.LEGACY else build_and_compare(compared, context, one_try)

        step = UnitStep(
            name=self.op_name(side),
            specs=specs,
            checks=compared.specs if side is Side.CANDIDATE else [],
            can_subset=side is Side.CANDIDATE,  # so that a run can compare again and build nothing
            partitions=self.offered,
            backfills=backfill_policy(takes_ranges=self.takes_ranges),
            config_schema=self.config_schema,
            pool=self.pool and f"{self.pool}_{side.value}",
            tags={tags.UNIT: self.unit},
        )
        return step.decorate(run_unit)


def output_key(text: str, side: Side = Side.LEGACY) -> dg.AssetKey:
    key = dg.AssetKey(text.split("/"))
    return shadow_key(key) if side is Side.CANDIDATE else key
