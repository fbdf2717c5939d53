"""The mirror of a legacy task that runs dbt: every model it builds is a separate asset."""

import contextlib
import re
import shlex
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

import dagster as dg
from typing_extensions import Self

from dagster_defs.adapters.dbt.dagster_dbt import DbtProject
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.project_files import profile_of
from dagster_defs.adapters.dbt.window_shape import WindowValues, shaped_by_window
from dagster_defs.adapters.dbt.workspaces import given_by, open_workspace, workspace_of
from dagster_defs.components.compare.evidence import Compared
from dagster_defs.components.units.before import Before
from dagster_defs.components.units.compared_model import ComparedModel
from dagster_defs.components.units.dbt_assets import (
    ASSET_TYPES,
    RUN_BY,
    UnitNodes,
    build_asset_definition,
    is_not_a_table,
)
from dagster_defs.components.units.dbt_environment import (
    EnvironmentTemplates,
    RequiredNames,
    UnitEnvironment,
    environment_of,
    refuse_moving_place,
)
from dagster_defs.components.units.dbt_outputs import refuse_bad_comparisons, tables_of
from dagster_defs.components.units.dbt_program import Dbt, DbtProgram
from dagster_defs.components.units.dbt_targets import target_of
from dagster_defs.components.units.dbt_tests import LegacyTests
from dagster_defs.components.units.parts import UnitParts
from dagster_defs.components.units.scaffold import DbtUnitScaffolder
from dagster_defs.components.units.shadows import shadow_key
from dagster_defs.components.units.side_commands import Commands, RunsPrograms
from dagster_defs.components.units.translator import UnitTranslator, claims_of, read_and_written
from dagster_defs.components.units.unit import UnitComponent
from dagster_defs.components.units.variables import Templates
from dagster_defs.errors import BadUnit, BadVariable, DbtProjectUnreadable, DbtSelectionRefused, ParityError
from dagster_defs.inventory.arguments import REFRESHING
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.identity import Claim
from dagster_defs.lifecycle.mirrors import DbtMirror, Declared, Output, Terms
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.parity import Side
from dagster_defs.windows import Moment, PartitionVars, Recurring, Scheduled
from dagster_defs.windows.values import as_yaml

_NAMES_TASK = re.compile(r"task|\bti\b")


@dg.scaffold_with(DbtUnitScaffolder)
@dataclass
class DbtUnit(UnitComponent, RunsPrograms):
    """A legacy task that runs `dbt build` over a selection, with the window as `--vars`.

    Each model is an asset under its own key; its twin under `shadow/` writes to the candidate target. dbt tests are
    asset checks. A model that several units build is defined by the most specific of them; the others report an
    observation when they touch it.
    """

    command: Annotated[
        Literal["build", "run", "test", "snapshot", "seed"],
        dg.Resolver.default(description="The dbt command that the task runs."),
    ] = "build"
    select: Annotated[
        str,
        dg.Resolver.default(
            description=(
                "dbt's --select, as in the legacy command. Without select, exclude and selector, it is the default "
                "selector in the project's selectors.yml, or else everything."
            )
        ),
    ] = ""
    exclude: Annotated[str, dg.Resolver.default(description="dbt's --exclude.")] = ""
    selector: Annotated[str, dg.Resolver.default(description="dbt's --selector.")] = ""
    full_refresh: Annotated[
        bool,
        dg.Resolver.default(
            description=(
                "dbt's --full-refresh, in each run: incremental models and seeds are built anew, and compared as a "
                "whole."
            )
        ),
    ] = False
    vars: Templates = field(default_factory=dict)
    env: EnvironmentTemplates = field(default_factory=dict)
    required_env: RequiredNames = field(default_factory=list)
    before: Commands = field(default_factory=list)
    after: Commands = field(default_factory=list)
    event_time: Annotated[
        Mapping[str, str] | None,
        dg.Resolver.passthrough(
            description="Templates of --event-time-start and --event-time-end, for microbatch models.",
            examples=[{"start": "{{ data_interval_start | ds }}", "end": "{{ data_interval_end | ds }}"}],
        ),
    ] = None
    project: Annotated[
        str, dg.Resolver.default(description="The dbt project, relative to the root of this one.")
    ] = "dbt"
    key_prefix: Annotated[
        str,
        dg.Resolver.default(
            description=(
                "Prefix, with parts separated by slashes, of the asset keys of everything that the dbt project builds: "
                "for a second project with models of the same names. All units of a project must agree. Sources keep "
                "their keys."
            ),
            examples=["finance"],
        ),
    ] = ""
    dbt: Dbt = field(default_factory=DbtProgram)
    deps: Before = field(default_factory=list, kw_only=True)
    compare: Annotated[
        Sequence[ComparedModel],
        dg.Resolver.default(description="Keys, time columns and tolerances of the models it builds."),
    ] = field(default_factory=list)

    @cached_property
    def variables(self) -> PartitionVars:
        return self.compile_templates(self.vars, "vars")

    @cached_property
    def environment(self) -> UnitEnvironment:
        return environment_of(self.unit, self.env, self.required_env, self.compile_templates)

    @cached_property
    def event_times(self) -> PartitionVars:
        """Both ends of the window for microbatch models; empty if the task does not pass them."""
        bounds = {"start": "lower", "end": "upper"}
        declared = self.event_time or {}
        if declared and declared.keys() != bounds.keys():
            raise BadUnit(self.unit, "`event_time` needs both `start` and `end`", "Fix it in its YAML")
        templates = {end: {"template": text, "bound": bounds[end]} for end, text in declared.items()}
        return self.compile_templates(templates, "event_time")

    @property
    def takes_ranges(self) -> bool:
        """After a full refresh the table has the rows of one window only, and not of all that one run covers; what a
        unit runs beside dbt, it runs once for each window."""
        ranges = self.variables.can_range and self.environment.templates.can_range
        return ranges and super().takes_ranges and not self.has_programs and not self.full_refresh

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        _ = self.variables, self.environment, self.event_times, self.programs
        refuse_bad_comparisons(self)
        if self.full_refresh and self.command not in REFRESHING:
            reason = f"dbt {self.command} has no --full-refresh"
            raise BadUnit(self.unit, reason, "Remove `full_refresh`, or correct `command`, in its YAML")
        if resolved:
            refuse_moving_place(self.environment, lambda: profile_of(self.project_dir))
            for side in Side:
                self.selected(side)
            self._refuse_unknown_models()

    def remark(self) -> str:
        if self._runs_something:
            return ""
        arguments = " ".join(self.dbt_arguments())
        return (
            f"unit {self.unit}: its selection {arguments!r} matches nothing that dbt {self.command} runs, so its "
            f"task would do nothing. To check: dbt ls {arguments}"
        )

    @property
    def _runs_something(self) -> bool:
        return any(not node_id.startswith("source.") for node_id in self.selected(Side.LEGACY))

    def make_parts(self) -> UnitParts:
        nodes = {side: self._nodes(side) for side in Side}
        compared = Compared(
            self,
            self._compared(nodes[Side.LEGACY]),
            self._tests(nodes[Side.LEGACY]),
            nodes[Side.CANDIDATE].reads_of_legacy,
        )
        sides = {side: build_asset_definition(self, nodes[side], compared) for side in Side}
        jobs = {side: self.job(side, assets) for side, assets in sides.items()}
        comparing = [self.comparing_job(compared)] if compared.keys else []
        return UnitParts(sides, (), jobs, comparing)

    def _compared(self, nodes: UnitNodes) -> dict[str, tuple[dg.AssetKey, dg.AssetKey]]:
        """Both keys of each table that this mirror defines, by the output's name."""
        names = nodes.workspace.table_names
        return {
            names[node_id]: (spec.key, shadow_key(spec.key))
            for node_id, spec in nodes.models.items()
            if not is_not_a_table(nodes.manifest["nodes"][node_id])
        }

    def _tests(self, nodes: UnitNodes) -> LegacyTests:
        ids = {spec.key: test for test, spec in nodes.checks.items()}
        return LegacyTests(
            nodes.workspace, self.variables, ids, bool(nodes.shaped_by_window), self.timeout, self.environment
        )

    def asset_keys(self) -> list[dg.AssetKey]:
        """Keys of the models that this mirror defines on the legacy side."""
        nodes = self._nodes(Side.LEGACY)
        return [nodes.translator.get_asset_key(nodes.manifest["nodes"][node_id]) for node_id in nodes.defined]

    def touched_keys(self) -> list[dg.AssetKey]:
        nodes = self._nodes(Side.LEGACY)
        touched = sorted(nodes.selected & nodes.elsewhere.keys() & nodes.manifest["nodes"].keys())
        return [
            nodes.translator.get_asset_key(nodes.manifest["nodes"][node])
            for node in touched
            if nodes.manifest["nodes"][node]["resource_type"] in ASSET_TYPES
        ]

    def _nodes(self, side: Side) -> UnitNodes:
        if side not in self._nodes_by_side:
            project, translator = self.project_units.once(
                (
                    self.project_dir,
                    side,
                    self.key_prefix_parts,
                    self.parsed_with,
                    given_by(self),
                    self.executable,
                ),
                lambda: self._translation(side),
            )
            self._nodes_by_side[side] = UnitNodes(
                workspace=self.workspace(side),
                project=project,
                side=side,
                translator=translator,
                selected=self.selected(side),
                elsewhere=self._defined_elsewhere(side),
                shaped_by_window=self._shaped_by_window,
            )
        return self._nodes_by_side[side]

    def _translation(self, side: Side) -> tuple[DbtProject, UnitTranslator]:
        """Shared by all units of a project: a translator caches its translations, including those of all ancestors."""
        project = DbtProject(self.project_dir, target=target_of(side))
        return project, UnitTranslator(side, self.project_units.feeds, self.key_prefix_parts)

    @cached_property
    def _nodes_by_side(self) -> dict[Side, UnitNodes]:
        return {}

    @cached_property
    def _shaped_by_window(self) -> tuple[str, ...]:
        """Determined by comparing the first window with one more than a year later, on the legacy target."""
        if not (self.vars or self._moving_environment):
            return ()
        if self.event is not None:
            return self._shaped_by_run
        first, later = _two_windows(self.partitions.schedule)
        try:
            values = self._once(
                self._values_key, lambda: [self._values_at(window) for window in (first, later)]
            )
        except BadVariable as error:
            reason = f"`vars` or `env`: variable {error.variable} {error.reason}"
            raise BadUnit(self.unit, reason, "Correct it in its YAML") from error
        except ParityError as error:
            raise BadUnit(self.unit, f"`vars` or `env`: {error}", "Correct it in its YAML") from error
        try:
            return shaped_by_window(self.workspace(Side.LEGACY), *values)
        except DbtProjectUnreadable as error:
            given = values[0].variables
            variables = as_yaml(given).strip()
            raise BadUnit(
                self.unit,
                f"dbt cannot parse the project with its variables ({', '.join(given)}): {error.reason}",
                f"Look: dbt parse --project-dir {self.project_dir} --vars {shlex.quote(variables)}",
            ) from error

    @property
    def _values_key(self) -> Hashable:
        """Equal for units whose variables have the same values: most tasks of a DAG have the same, and a task's own
        name is in them only if a template names it."""
        said = repr((self.vars, self.env))
        own = self.legacy_unit.task_id if _NAMES_TASK.search(said) else ""
        schedule = self.partitions.schedule
        return WindowValues, self.project_dir, schedule, self.legacy_unit.dag_id, said, own

    def _values_at(self, window: Scheduled) -> WindowValues:
        environment = self.environment.for_window(window)
        moving = {name: environment[name] for name in self._moving_environment}
        return WindowValues(self.variables.for_window(window), moving)

    @cached_property
    def _moving_environment(self) -> Sequence[str]:
        """Environment variables that change with the window and may shape the project."""
        if not (moving := self.environment.moving):
            return ()
        shaping = open_workspace(self.project_dir, target_of(Side.LEGACY)).environment_shaping
        return [name for name in moving if shaping.may_shape(name)]

    @cached_property
    def parse_environment(self) -> Mapping[str, str]:
        return self.environment.for_parse() if self.env else {}

    @property
    def _shaped_by_run(self) -> tuple[str, ...]:
        """Which runs there will be is not known, so every variable that may shape the project counts."""
        moving = self.vars.keys() - self.variables.constants().keys()
        shaping = open_workspace(self.project_dir, target_of(Side.LEGACY)).shaping if moving else None
        said = (f"variable {name}" for name in sorted(moving) if shaping and shaping.may_shape(name))
        return (*said, *(f"environment variable {name}" for name in self._moving_environment))

    @property
    def dbt_mirror(self) -> DbtMirror:
        return self

    @property
    def gate_settings(self) -> GateSettings:
        return replace(super().gate_settings, beside=tuple(each.declared for each in self.programs))

    def target(self, side: Side) -> str:
        return self._once((target_of, side), lambda: target_of(side))

    def workspace(self, side: Side) -> DbtWorkspace:
        return self._once((workspace_of, id(self), side), lambda: workspace_of(self, side))

    @cached_property
    def parsed_with(self) -> str:
        constants = self.variables.constants()
        shaping = open_workspace(self.project_dir, target_of(Side.LEGACY)).shaping if constants else None
        shaping_constants = {
            name: value for name, value in constants.items() if shaping and shaping.may_shape(name)
        }
        return as_yaml(shaping_constants) if shaping_constants else ""

    @property
    def folders(self) -> frozenset[Path]:
        return super().folders | {self.project_dir}

    @cached_property
    def project_dir(self) -> Path:
        return (self.root / self.project).resolve()

    @cached_property
    def executable(self) -> str:
        return self.dbt.named_from(self.root)

    def dbt_arguments(self) -> list[str]:
        """The selection part of the command, as the legacy task has it."""
        if self.selector:
            return ["--selector", self.selector]
        select = ["--select", self.select] if self.select else []
        return [*select, *(["--exclude", self.exclude] if self.exclude else [])]

    def declared(self) -> Declared:
        return self._declared

    @cached_property
    def _declared(self) -> Declared:
        manifest, selected = self.workspace(Side.LEGACY).manifest, self.selected(Side.LEGACY)
        reads, writes = read_and_written(manifest, selected, self.key_prefix_parts)
        return self.declaring(
            runs=self.command,
            nodes=frozenset(
                node_id
                for node_id in selected
                if not node_id.startswith("source.")
                and manifest["nodes"].get(node_id, {}).get("config", {}).get("materialized") != "ephemeral"
            ),
            variables=self.variables,
            event_times=self.event_times,
            reads=reads | frozenset(self.deps),
            writes=writes,
            unsure=self._unsure,
            full_refresh=self.full_refresh,
            environment=self.environment.templates,
            required=tuple(self.required_env),
            labels=tuple(self.environment.labels),
            beside=tuple(each.declared for each in self.programs),
        )

    @property
    def _unsure(self) -> str:
        """Why other windows may have other nodes; empty if none does."""
        try:
            shaped = self._shaped_by_window
        except ParityError as error:
            return " ".join(str(error).split())
        more = f" and {len(shaped) - 3} more" if len(shaped) > 3 else ""
        shaping = f"the window's variables decide {', '.join(shaped[:3])}{more} at parse time"
        return f"{shaping}, so nodes may differ from window to window" if shaped else ""

    def outputs_of(self, window: Moment) -> Iterator[Output]:
        return tables_of(self, window)

    @property
    def key_prefix_parts(self) -> tuple[str, ...]:
        return tuple(part for part in self.key_prefix.split("/") if part)

    def made_before(self) -> list[dg.AssetDep]:
        """Its `deps`, on both sides: a candidate reads what is legacy's."""
        keys = self.project_units.made_before(self.deps)
        return [dg.AssetDep(key) for key in keys if self.maker_of(key) is not self]

    def claims(self, feeds: Mapping[str, dg.AssetKey]) -> Iterator[Claim]:
        """The asset keys of what the unit builds and reads. `feeds`: see `ProjectUnits`."""
        manifest, selected = self.workspace(Side.LEGACY).manifest, self.selected(Side.LEGACY)
        translator = UnitTranslator(Side.LEGACY, feeds, self.key_prefix_parts)
        yield from claims_of(manifest, selected, translator, self.unit, self.project_dir, self.project)

    @cached_property
    def terms(self) -> Mapping[str, Terms]:
        """By the name in `compare`. Raises BadUnit for terms that cannot be."""
        return {
            compared.name: compared.terms(self.unit, "compare", compared.name, compared.key)
            for compared in self.compare
        }

    def selected(self, side: Side) -> frozenset[str]:
        """Unique ids that the unit's command runs from its selection; empty if it matches nothing.

        Raises BadUnit for a selection that dbt cannot read, DbtProjectUnreadable.
        """
        if side not in self._selections:
            try:
                self._selections[side] = self._select(side)
            except DbtSelectionRefused as error:
                self._selections[side] = BadUnit(self.unit, str(error), "Fix its selection in its YAML")
        selection = self._selections[side]
        if isinstance(selection, BadUnit):
            raise selection
        return selection

    @classmethod
    def look_up(cls, units: Sequence[Self]) -> None:
        wanted: dict[DbtWorkspace, list[tuple[str, str, str]]] = {}
        for unit in units:
            with contextlib.suppress(ParityError):  # the unit will meet the error itself
                for side in Side:
                    arguments = (unit.select, unit.exclude, unit.selector)
                    wanted.setdefault(unit.workspace(side), []).append(arguments)
        unreadable: set[Hashable] = set()
        for workspace, selections in wanted.items():
            project = workspace.project_dir, workspace.parsed_with, workspace.executable
            if project in unreadable:
                continue  # dbt would take seconds to report the same about its other target
            try:
                workspace.select_all(selections)
            except Exception:  # whatever it is, each unit of the project will meet it itself
                unreadable.add(project)

    @cached_property
    def _selections(self) -> dict[Side, frozenset[str] | BadUnit]:
        """Cached selections: every other unit of the project needs them too."""
        return {}

    def _select(self, side: Side) -> frozenset[str]:
        picked = self.workspace(side).select(self.select, self.exclude, self.selector)
        return frozenset(node_id for node_id in picked if node_id.split(".")[0] in RUN_BY[self.command])

    def _refuse_unknown_models(self) -> None:
        known = self.workspace(Side.LEGACY).known_names
        for compared in self.compare:
            if compared.name not in known:
                reason = f"`compare` names a model {compared.name!r} that does not exist"
                raise BadUnit(self.unit, reason, "Fix `compare` in its YAML")

    def _defined_elsewhere(self, side: Side) -> Mapping[str, str]:
        """Unique ids that this unit builds but another unit defines, with that unit's name."""
        definers = self.project_units.definers
        found = {
            node_id: definers.get(self._thing(node_id), self)
            for node_id in self.selected(side) | self.selected(Side.LEGACY)
        }
        return {node_id: unit.unit for node_id, unit in found.items() if unit is not self}

    def built(self) -> list[tuple[Path, str, str]]:
        return [self._thing(node_id) for node_id in self.selected(Side.LEGACY)]

    def _thing(self, node_id: str) -> tuple[Path, str, str]:
        """A node and its table: variables that shape the project may give the node another table in another unit."""
        node = self.workspace(Side.LEGACY).manifest["nodes"].get(node_id) or {}
        return self.project_dir, node_id, node.get("relation_name") or ""

    def precedence(self) -> tuple[int, Unit]:
        """A model belongs to the unit that builds the fewest models, which is the most specific one."""
        selected = self.selected(Side.LEGACY)
        return sum(node_id.split(".")[0] in ASSET_TYPES for node_id in selected), self.legacy_unit


@lru_cache(maxsize=256)
def _two_windows(schedule: Recurring[Scheduled]) -> tuple[Scheduled, Scheduled]:
    first = schedule.first_window()
    return first, next(schedule.windows(first.start.add(days=400)), first)
