"""The Dagster definition of one dbt unit on one side: its specs, and the function that runs dbt."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.evidence import SHADOW
from dagster_defs.adapters.dagster.partitions import backfill_policy
from dagster_defs.adapters.dagster.unit_assets import UnitStep, respecified
from dagster_defs.adapters.dbt.dagster_dbt import (
    DbtCoreCliEventMessage,
    DbtProject,
    get_asset_check_key_for_test,
    is_non_asset_node,
)
from dagster_defs.adapters.dbt.deferral import builds, data_behind
from dagster_defs.adapters.dbt.project import DbtWorkspace, Manifest
from dagster_defs.adapters.dbt.relations import refuse_legacy_relations
from dagster_defs.adapters.warehouse.built_tables import BuiltTables, tables_built_by
from dagster_defs.components.compare.comparing import build_and_compare
from dagster_defs.components.compare.evidence import Compared
from dagster_defs.components.runs.beating import beating
from dagster_defs.components.runs.callbacks import Told
from dagster_defs.components.runs.one_writer import moments_to_write
from dagster_defs.components.runs.run_window import moments_of_run, window_metadata
from dagster_defs.components.units.defined_unit import DefinedUnit
from dagster_defs.components.units.shadows import is_shadow, legacy_key
from dagster_defs.components.units.side_commands import ProgramsOfRun
from dagster_defs.components.units.table_facts import facts_of_table
from dagster_defs.components.units.translator import UnitTranslator, check_key_of_test
from dagster_defs.components.units.trigger_rules import results_of_skip
from dagster_defs.inventory.labels import RunNames
from dagster_defs.inventory.masking import shown
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.mirrors import TableOutput
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.shadow.standing import EventLog
from dagster_defs.usecases.shadow.start import CandidateStart, Start
from dagster_defs.windows import Moment, Occasion
from dagster_defs.windows.values import typed

ASSET_TYPES = frozenset({"model", "seed", "snapshot"})
# The resource types that each dbt command runs from a selection.
RUN_BY: Mapping[str, frozenset[str]] = {
    "build": frozenset({"model", "seed", "snapshot", "test", "unit_test", "source"}),
    "run": frozenset({"model"}),
    "test": frozenset({"test", "unit_test"}),
    "snapshot": frozenset({"snapshot"}),
    "seed": frozenset({"seed"}),
}


@dataclass(frozen=True)
class UnitNodes:
    """The dbt nodes of one unit on one side.

    `selected`: everything that the unit's command builds and tests; `elsewhere`: the part of it that another unit's
    mirror defines, by unique id, with that unit's name. `shaped_by_window`: nodes that depend on the window variables
    at parse time.
    """

    workspace: DbtWorkspace
    project: DbtProject
    side: Side
    translator: UnitTranslator
    selected: frozenset[str]
    elsewhere: Mapping[str, str]
    shaped_by_window: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        return self.workspace.manifest

    @cached_property
    def defined(self) -> Sequence[str]:
        """Unique ids of the models, seeds and snapshots that this mirror defines."""
        return [
            node_id
            for node_id in sorted(self.selected - self.elsewhere.keys())
            if node_id.split(".")[0] in ASSET_TYPES and not is_non_asset_node(self.manifest["nodes"][node_id])
        ]

    @cached_property
    def models(self) -> Mapping[str, dg.AssetSpec]:
        """Specs of what this mirror defines, by unique id."""
        specs = {
            node_id: self.translator.get_asset_spec(self.manifest, node_id, self.project)
            for node_id in self.defined
        }
        if not self.defers:
            return specs
        return {node_id: respecified(spec, deps=self._deferred(spec.deps)) for node_id, spec in specs.items()}

    @property
    def defers(self) -> bool:
        """Whether a run reads legacy's version of what the unit does not build."""
        return self.side is Side.CANDIDATE and builds(self.manifest, self.selected)

    @cached_property
    def reads_of_legacy(self) -> Mapping[dg.AssetKey, bool]:
        """The legacy assets that a candidate's rows are made from, and whether each run rewrites all of the asset."""
        if not self.defers:
            return {}
        behind = data_behind(self.manifest, self.selected)
        nodes = {**self.manifest["nodes"], **self.manifest["sources"]}
        keys = {node_id: self.translator.get_asset_key(nodes[node_id]) for node_id in behind}
        return {legacy_key(key) if is_shadow(key) else key: behind[node_id] for node_id, key in keys.items()}

    def _deferred(self, deps: Iterable[dg.AssetDep]) -> list[dg.AssetDep]:
        """Models of other units are read from legacy, not from their shadows."""
        built = {
            self.translator.get_asset_key(self.manifest["nodes"][node_id])
            for node_id in self.selected
            if node_id.split(".")[0] in ASSET_TYPES
        }
        return [
            dg.AssetDep(legacy_key(dep.asset_key), partition_mapping=dep.partition_mapping)
            if is_shadow(dep.asset_key) and dep.asset_key not in built
            else dep
            for dep in deps
        ]

    @cached_property
    def checks(self) -> Mapping[str, dg.AssetCheckSpec]:
        """Specs of the dbt tests and unit tests that this mirror evaluates, by unique id.

        A test belongs to the unit that defines its model. Tests on sources are evaluated only on the legacy side: both
        sides read the same sources.
        """
        own_keys = {spec.key for spec in self.models.values()}
        specs: dict[str, dg.AssetCheckSpec] = {}
        for test_id in sorted(self.selected):
            key = self.check_key(test_id)
            if key is None or (key.asset_key not in own_keys and not self._is_on_own_source(test_id)):
                continue
            node = self.manifest["nodes"].get(test_id) or self.manifest["unit_tests"][test_id]
            specs[test_id] = dg.AssetCheckSpec(
                name=key.name,
                asset=key.asset_key,
                description=node.get("description") or None,
                metadata={"dbt/unique_id": test_id},
            )
        return specs

    def check_key(self, test_id: str) -> dg.AssetCheckKey | None:
        kind = test_id.split(".")[0]
        if kind == "test":
            return check_key_of_test(self.manifest, self.translator, test_id, self.project)
        if kind == "unit_test":
            test = self.manifest["unit_tests"][test_id]
            # The first node is what it tests (for a versioned model, the exact version); inputs that dbt adds follow.
            tested = test["depends_on"]["nodes"][0]
            return dg.AssetCheckKey(
                self.translator.get_asset_spec(self.manifest, tested, self.project).key, test["name"]
            )
        return None

    def is_known_to_dagster_dbt(self, test_id: str) -> bool:
        """Whether dagster-dbt translates the test's results itself; it does not for a unit test, for example."""
        return test_id.startswith("test.") and bool(
            get_asset_check_key_for_test(self.manifest, self.translator, test_id, self.project)
        )

    def _is_on_own_source(self, test_id: str) -> bool:
        if self.side is Side.CANDIDATE or test_id in self.elsewhere or test_id not in self.manifest["nodes"]:
            return False
        read = self.manifest["nodes"][test_id]["depends_on"]["nodes"]
        return bool(read) and all(node_id.startswith("source.") for node_id in read)


def build_asset_definition(unit: DefinedUnit, nodes: UnitNodes, compared: Compared) -> dg.AssetsDefinition:
    """One step for the whole unit, which runs as one in Airflow and in Dagster. A candidate also compares in it."""
    parity = compared.specs if nodes.side is Side.CANDIDATE else []
    attributes = unit.spec_attributes(nodes.side)
    before = unit.made_before()
    stand_in = None if nodes.models else _stand_in(unit, nodes)
    specs = [
        respecified(
            spec,
            group_name=unit.group_name(nodes.side),
            partitions_def=unit.offered,
            owners=[*unit.owners] or spec.owners,
            freshness_policy=unit.freshness(nodes.side) or spec.freshness_policy,
            deps=[unit.dependency(dep) for dep in (*spec.deps, *before)],
            tags={**spec.tags, **attributes["tags"]},
            metadata={**spec.metadata, **attributes.get("metadata", {})},
        )
        for spec in (stand_in and [stand_in]) or nodes.models.values()
    ]

    def build(context: dg.AssetExecutionContext) -> Iterator[Any]:
        def one_try() -> Iterator[Any]:
            with unit.calling_back(context, nodes.side) as told:
                if skipped := list(results_of_skip(context, unit, nodes.side)):
                    told.is_left_out()
                    yield from skipped
                    return
                with (
                    unit.tries.of(context),
                    beating(context, unit.legacy_unit, nodes.side, unit.root),
                ):
                    yield from _build(context, unit, nodes, told)
            if stand_in:
                yield dg.MaterializeResult(asset_key=stand_in.key)

        yield from one_try() if nodes.side is Side.LEGACY else build_and_compare(compared, context, one_try)

    # Dagster looks this up a dozen times per definition.
    build.__signature__ = _SIGNATURE  # type: ignore[attr-defined]  # where `inspect` looks first
    step = UnitStep(
        name=unit.op_name(nodes.side),
        specs=specs,
        checks=[*nodes.checks.values(), *parity],
        can_subset=True,
        partitions=unit.offered,
        backfills=None if unit.event else backfill_policy(takes_ranges=unit.takes_ranges),
        config_schema=unit.config_schema,
        pool=unit.pool and f"{unit.pool}_{nodes.side.value}",
        tags={tags.UNIT: unit.unit},
    )
    return step.decorate(build)


def _shape(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """The signature that Dagster sees for every unit's function."""
    raise NotImplementedError


_SIGNATURE = inspect.signature(_shape)


def _stand_in(unit: DefinedUnit, nodes: UnitNodes) -> dg.AssetSpec:
    """The asset of a unit whose models are all defined by other units: it shows when the unit ran."""
    name = [unit.legacy_unit.dag_id, unit.legacy_unit.task_id]
    return dg.AssetSpec(
        key=[SHADOW, *name] if nodes.side is Side.CANDIDATE else name,
        description=f"{unit.unit} ran; everything that it builds is defined by other units.",
        kinds={"dbt"},
        deps=[
            nodes.translator.get_asset_spec(nodes.manifest, node, nodes.project).key
            for node in nodes.elsewhere
            if node in nodes.selected and node.split(".")[0] in ASSET_TYPES
        ],
    )


def _build(
    context: dg.AssetExecutionContext, unit: DefinedUnit, nodes: UnitNodes, told: Told
) -> Iterator[Any]:
    if nodes.side is Side.LEGACY:
        windows = moments_to_write(context, unit.legacy_unit, unit.times, Settings.from_process(unit.root))
    else:
        windows = moments_of_run(context, unit.times)
    told.begins()
    unit.environment.refuse_missing()
    part = _part(context, nodes)
    run_dir = nodes.workspace.target_path / "runs" / context.run.run_id / unit.op_name(nodes.side)
    start = Start()
    if nodes.side is Side.CANDIDATE:
        workspaces = unit.workspace(Side.LEGACY), unit.workspace(Side.CANDIDATE)
        refuse_legacy_relations(unit.unit, *workspaces, nodes.selected)
        tables = [output for output in unit.outputs_of(windows[0]) if isinstance(output, TableOutput)]
        running = nodes.selected if part is None else part
        began = _LegacyBegan(context, nodes, unit, windows[0])
        start = CandidateStart(
            unit.unit, *workspaces, nodes.selected, running, tables, began, unit.full_refresh
        ).make(run_dir / "state")
    variables = unit.variables.for_range(windows[0], windows[-1])
    environment = {
        **unit.environment.labelled(_run_names(context, unit)),
        **unit.environment.for_range(windows[0], windows[-1]),
    }
    event_time = unit.event_times.for_range(windows[0], windows[-1])
    flags = [part for end, value in event_time.items() for part in (f"--event-time-{end}", value)]
    flags += ["--full-refresh"] if unit.full_refresh else []
    context.log.info(f"{unit.unit} {nodes.side.value}: {windows[0]} … {windows[-1]} with {variables}")
    if nodes.shaped_by_window:
        context.log.warning(
            f"{len(nodes.shaped_by_window)} nodes depend on the window variables at parse time "
            f"({', '.join(nodes.shaped_by_window[:5])} …): the whole project is parsed again for this window. "
            "Read the variables only in the models' SQL, not in config, ref or enabled"
        )
    beside = ProgramsOfRun(context, unit, nodes.side, windows, environment, whole=part is None)
    beside.run(unit.programs_before)
    run = nodes.workspace.run(
        [unit.command, *_selection(unit, nodes, part), *flags, *start.flags],
        variables=variables,
        run_dir=run_dir,
        nodes=nodes.selected,
        parse_again=bool(nodes.shaped_by_window),
        timeout=beside.left.seconds(),
        limit=beside.left.limit,
        environment=environment,
    )
    metadata = {
        **window_metadata(windows),
        **{f"vars/{name}": _metadata_of(value) for name, value in variables.items()},
        **{f"env/{name}": shown(name, value) for name, value in environment.items()},
        **{f"event_time/{end}": value for end, value in event_time.items()},
    }
    if len(windows) > 1:
        # From one result, Dagster makes a materialization of each partition, with the bounds of its own window.
        keys = {spec.key for spec in nodes.models.values()} & context.selected_asset_keys
        for window in windows:
            assert not isinstance(window, Occasion)  # noqa: S101 - there is only one occasion
            partition = unit.partitions.key_of(window)
            for key in keys:
                context.add_asset_metadata(window_metadata([window]), asset_key=key, partition_key=partition)
    with tables_built_by(run, nodes.workspace) as built:
        for event in run.events():
            copied = start.copied.get(event["data"]["node_info"]["unique_id"])
            yield from _translate(
                context, nodes, built, event, {**metadata, tags.BASELINE: copied} if copied else metadata
            )
    beside.run(unit.programs_after)


def _run_names(context: dg.AssetExecutionContext, unit: DefinedUnit) -> RunNames:
    """Airflow's own try if its proxy launched the run."""
    number = context.run.tags.get(tags.AIRFLOW_TRY, str(context.retry_number + 1))
    return RunNames(unit.unit, context.run.run_id, int(number))


def _metadata_of(value: Any) -> Any:
    """A variable in a form that Dagster can show: plain metadata can hold neither null nor dates."""
    return value if isinstance(value, str | bool | int | float) else typed(value)


@dataclass(frozen=True)
class _LegacyBegan:
    """When legacy's run of this moment began, by a model's unique id; None if Dagster knows of no run."""

    context: dg.AssetExecutionContext
    nodes: UnitNodes
    unit: DefinedUnit
    moment: Moment

    def __call__(self, node_id: str) -> datetime | None:
        key = legacy_key(self.nodes.translator.get_asset_key(self.nodes.manifest["nodes"][node_id]))
        log = EventLog(self.context.instance, Settings.from_process(self.unit.root))
        moment = self.moment
        last = (
            log.last_write_in(key, moment.run_id)
            if isinstance(moment, Occasion)
            else log.last_write(key, self.unit.partitions.key_of(moment))
        )
        write = log.write(last)
        return write.began if write else None


def _part(context: dg.AssetExecutionContext, nodes: UnitNodes) -> list[str] | None:
    """The requested nodes, or None if all are requested."""
    models = [node_id for node_id, spec in nodes.models.items() if spec.key in context.selected_asset_keys]
    tests = [
        node_id for node_id, spec in nodes.checks.items() if spec.key in context.selected_asset_check_keys
    ]
    whole = len(models) == len(nodes.models) and len(tests) == len(nodes.checks)
    return None if whole else [*models, *tests]


def _selection(unit: DefinedUnit, nodes: UnitNodes, part: Sequence[str] | None) -> list[str]:
    """The unit's own selection or, if only a part was requested, that part's nodes by name."""
    if part is None:
        return unit.dbt_arguments()
    names = [_name_for_selection(nodes.manifest, node_id) for node_id in part]
    return ["--select", *names, "--indirect-selection", "empty"]


def _name_for_selection(manifest: Manifest, node_id: str) -> str:
    node = manifest["nodes"].get(node_id) or manifest["unit_tests"][node_id]
    return "fqn:" + ".".join(node["fqn"])


def _translate(
    context: dg.AssetExecutionContext,
    nodes: UnitNodes,
    built: BuiltTables,
    event: dict[str, Any],
    metadata: Mapping[str, Any],
) -> Iterator[Any]:
    """One dbt result as Dagster events; a node that another unit's mirror defines becomes an observation."""
    node_id = event["data"]["node_info"]["unique_id"]
    context.log.info(event["info"]["msg"])
    if node_id in nodes.elsewhere and node_id.split(".")[0] in ASSET_TYPES:
        spec = nodes.translator.get_asset_spec(nodes.manifest, node_id, nodes.project)
        yield dg.AssetObservation(
            spec.key,
            description=f"also built by {context.op_execution_context.op.name}",
            metadata={
                **metadata,
                "dbt/unique_id": node_id,
                tags.WRITTEN_BY: context.op_execution_context.op.tags[tags.UNIT],
            },
        )
    elif node_id in nodes.checks and not nodes.is_known_to_dagster_dbt(node_id):
        if nodes.checks[node_id].key in context.selected_asset_check_keys:
            yield _check_result(nodes.checks[node_id], event)
    elif node_id in nodes.models or node_id in nodes.checks:
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        for translated in message.to_default_asset_events(
            manifest=nodes.manifest,
            dagster_dbt_translator=nodes.translator,
            context=context,
            project=nodes.project,
        ):
            if isinstance(translated, dg.Output):
                facts = facts_of_table(nodes.manifest["nodes"][node_id], built)
                yield translated.with_metadata({**translated.metadata, **metadata, **facts})
            else:
                yield translated
    elif (key := nodes.check_key(node_id)) is not None and _runs_tests_alone(nodes):
        yield dg.AssetObservation(
            key.asset_key,
            description=f"{key.name}: {event['data']['status']}",
            metadata={**metadata, "dbt/unique_id": node_id},
        )


def _runs_tests_alone(nodes: UnitNodes) -> bool:
    """Whether the unit builds nothing: then it reports only tests of other units' models."""
    return not any(node_id.split(".")[0] in ASSET_TYPES for node_id in nodes.selected)


def _check_result(spec: dg.AssetCheckSpec, event: dict[str, Any]) -> dg.AssetCheckResult:
    status = event["data"]["status"].lower()  # the node's own status is empty while a unit test runs
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=status == "pass",
        severity=dg.AssetCheckSeverity.WARN if status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={"status": status, "unique_id": event["data"]["node_info"]["unique_id"]},
    )


def is_not_a_table(node: Mapping[str, Any]) -> bool:
    return node["config"]["materialized"] in ("view", "ephemeral")
