"""The mirror of a legacy task that calls a Python function: Dagster calls the same function."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.machinery import ModuleSpec
from typing import Annotated, Any, Literal

import dagster as dg

from dagster_defs.components.runs.callbacks import Told
from dagster_defs.components.runs.run_window import window_metadata
from dagster_defs.components.runs.tries import time_limit
from dagster_defs.components.runs.window_records import records_of_others
from dagster_defs.components.runs.xcoms import XComs
from dagster_defs.components.units.outputs_unit import output_key
from dagster_defs.components.units.scaffold import PythonUnitScaffolder
from dagster_defs.components.units.task_unit import TaskUnit
from dagster_defs.components.units.variables import Templates
from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle.identity import Claim
from dagster_defs.lifecycle.mirrors import Declared
from dagster_defs.lifecycle.operator_facets import SIDE
from dagster_defs.lifecycle.xcoms import RETURNED, XCom
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import Moment, Occasion, PartitionVars


@dataclass
class ExternalAsset(dg.Resolvable):
    """Something that no mirror produces, such as a landing folder."""

    key: str
    description: str | None = None
    kinds: Sequence[str] = field(default_factory=list)


@dataclass
class XComArgument(dg.Resolvable):
    """An argument that another task of the same window has left as an XCom."""

    argument: str
    task: Annotated[str, dg.Resolver.default(description="The task's id in its DAG.")]
    key: str = RETURNED
    text: Annotated[
        bool, dg.Resolver.default(description="As text, as a template with `ti.xcom_pull` gives it.")
    ] = False


@dg.scaffold_with(PythonUnitScaffolder)
@dataclass
class PythonUnit(TaskUnit):
    """A legacy PythonOperator or `@task`: both orchestrators call the same business function.

    The function gets `arguments`, rendered for the window, `xcoms`, and `side`, which is `legacy` or `candidate`; one
    that takes no side has no candidate (`shadow: never`). A mapping that it returns becomes the materialization's
    metadata, unless `returns` says that it is an XCom.
    """

    function: Annotated[
        str,
        dg.Resolver.default(
            description="Dotted path of the function.", examples=["include.ingest.load_trips"]
        ),
    ] = field(kw_only=True)
    arguments: Templates = field(default_factory=dict)
    xcoms: Annotated[
        Sequence[XComArgument],
        dg.Resolver.default(description="Arguments that are XComs of other tasks of the window."),
    ] = field(default_factory=list)
    returns: Annotated[
        Literal["metadata", "nothing", "xcom", "multiple_outputs"],
        dg.Resolver.default(
            description=(
                "What the function's value is: metadata, an XCom for the tasks below, or `multiple_outputs`, one for "
                "each key of it besides."
            )
        ),
    ] = "metadata"
    reads: Annotated[
        Sequence[ExternalAsset], dg.Resolver.default(description="External assets, defined here once.")
    ] = field(default_factory=list)
    rehearsal: Annotated[
        Mapping[str, str],
        dg.Resolver.default(
            description="Environment variables that make the function write into PARITY_REHEARSAL_DIR."
        ),
    ] = field(default_factory=dict)

    own_kind = "python"
    must_compare = False
    how_a_candidate_may = "Give its function a `side`, and drop `shadow: never`"

    @property
    def takes_ranges(self) -> bool:
        """XComs belong to one window."""
        return self.shadow is None and not self.xcoms and self.returns in ("metadata", "nothing")

    @cached_property
    def _wanted(self) -> Mapping[str, XCom]:
        return {each.argument: XCom(each.task, each.key, each.text) for each in self.xcoms}

    def declared(self) -> Declared:
        return replace(super().declared(), xcoms=self._wanted)

    @cached_property
    def variables(self) -> PartitionVars:
        return self.compile_templates(self.arguments, "arguments")

    @property
    def does(self) -> str:
        return self.function

    @property
    def bound_variables(self) -> Sequence[PartitionVars]:
        return (self.variables,)

    def claims(self, feeds: Mapping[str, dg.AssetKey]) -> Iterator[Claim]:
        yield from super().claims(feeds)
        for read in self.reads:
            claim = f"external {read.key} of {self.function}"
            yield Claim(read.key, f"{self.unit}:{read.key}", claim, self.unit, builds=True, is_written=True)

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        _ = self.variables
        self._find_module()
        named = [*self.variables.names, *(each.argument for each in self.xcoms)]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            reason = f"`arguments` and `xcoms` have {', '.join(twice)} more than once"
            raise BadUnit(self.unit, reason, "Keep one of them")

    def external_assets(self) -> list[dg.AssetSpec]:
        return [
            dg.AssetSpec(
                output_key(read.key),
                description=read.description,
                kinds=set(read.kinds),
                group_name=self.group_name(Side.LEGACY),
            )
            for read in self.reads
        ]

    def more_metadata(self) -> Mapping[str, Any]:
        return _code_references(self._find_module().origin)

    def work(
        self, context: dg.AssetExecutionContext, side: Side, told: Told
    ) -> Iterator[dg.MaterializeResult[None]]:
        windows = (
            self.windows_of_side(context, side) if self.takes_ranges else [self.window_of_side(context, side)]
        )
        told.begins()
        # In a run over many windows, each call returns its own facts.
        facts: dict[Moment, Mapping[str, Any]] = {}
        with self.tries.of(context):
            function = self._load_function()
            for window in windows:
                returned = self._call(context, side, window, function)
                is_fact = self.returns == "metadata" and isinstance(returned, Mapping)
                facts[window] = returned if is_fact else {}
        yield from self._materializations(context, facts)

    def _call(
        self, context: dg.AssetExecutionContext, side: Side, window: Moment, function: Callable[..., Any]
    ) -> Any:
        store, settings = self.window_store(side, window), Settings.from_process(self.root)
        xcoms = XComs(
            self.legacy_unit,
            context.run.run_id,
            store,
            self.returns,
            lambda: records_of_others(
                context,
                self.legacy_unit,
                store,
                settings,
                self.records_of_legacy(context, side, window),
            ),
        )
        arguments = self.variables.for_window(window)
        called = f"{self.function}({', '.join(filter(None, (str(arguments), *self._wanted)))})"
        context.log.info(f"{self.unit} {side.value}: {window}, {called}")
        told = {SIDE: side.value} if self._is_told(function) else {}
        with xcoms.leaving() as leave, time_limit(context, f"{called} of {window}", self.timeout):
            returned = function(**arguments, **xcoms.given(self._wanted), **told)
            leave(returned)
        return returned

    def _is_told(self, function: Callable[..., Any]) -> bool:
        """Whether the function is told its side. Raises BadUnit if it has to be, and cannot."""
        takes = inspect.signature(function).parameters
        if SIDE in takes or any(each.kind is each.VAR_KEYWORD for each in takes.values()):
            return True
        if self.shadow != "never":
            reason = f"{self.function} takes no `{SIDE}`, by which it would know where a candidate writes"
            raise BadUnit(self.unit, reason, "Give it one, or declare `shadow: never` and `because`")
        return False

    def _materializations(
        self, context: dg.AssetExecutionContext, facts: Mapping[Moment, Mapping[str, Any]]
    ) -> Iterator[dg.MaterializeResult[None]]:
        """One result per asset; Dagster turns it into one event per partition, each with its own window's facts."""
        for moment, known in facts.items():
            metadata = {**window_metadata([moment]), **_metadata(known)}
            if isinstance(moment, Occasion):
                yield from self.results(context, metadata)
                return
            for key in context.selected_asset_keys:
                partition = self.partitions.key_of(moment)
                context.add_asset_metadata(metadata, asset_key=key, partition_key=partition)
        yield from self.results(context)

    def _find_module(self) -> ModuleSpec:
        """The location of the function's module, without importing it. Raises BadUnit if it does not exist."""
        function = self.legacy_function(self.function)
        spec = function.find_module()
        if spec is None:
            raise BadUnit(
                self.unit,
                f"`function` names {self.function!r}, but there is no module {function.module!r} in "
                f"{self.python_path}/",
                "Fix `function` or `python_path` in its YAML",
            )
        return spec

    def _load_function(self) -> Callable[..., Any]:
        legacy_function = self.legacy_function(self.function)
        function = legacy_function.load()
        if function is None:
            raise BadUnit(
                self.unit,
                f"module {legacy_function.module!r} has no function {legacy_function.name!r}",
                "Fix `function` in its YAML",
            )
        return function


def _metadata(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The function's own facts, with `rows` as Dagster's row count."""
    return {("dagster/row_count" if name == "rows" else name): value for name, value in facts.items()}


def _code_references(source: str | None) -> Mapping[str, Any]:
    if source is None:
        return {}
    reference = dg.LocalFileCodeReference(file_path=source, label="the function's module")
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}
