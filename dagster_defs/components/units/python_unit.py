"""The mirror of a legacy task that calls a Python function: Dagster calls the same function."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import ModuleSpec
from typing import Annotated, Any

import dagster as dg

from dagster_defs.components.runs.one_writer import moments_to_write
from dagster_defs.components.runs.run_window import moments_of_run, window_metadata
from dagster_defs.components.runs.tries import time_limit
from dagster_defs.components.units.outputs_unit import OutputsUnit, output_key
from dagster_defs.components.units.scaffold import PythonUnitScaffolder
from dagster_defs.components.units.variables import Templates
from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle.identity import Claim
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import Moment, Occasion, PartitionVars


@dataclass
class ExternalAsset(dg.Resolvable):
    """Something that no mirror produces, such as a landing folder."""

    key: str
    description: str | None = None
    kinds: Sequence[str] = field(default_factory=list)


@dg.scaffold_with(PythonUnitScaffolder)
@dataclass
class PythonUnit(OutputsUnit):
    """A legacy PythonOperator: both orchestrators call the same business function.

    The function gets `arguments`, rendered for the window, and `side`, which is `legacy` or `candidate`; a mapping that
    it returns becomes the materialization's metadata.
    """

    function: Annotated[
        str,
        dg.Resolver.default(
            description="Dotted path of the function.", examples=["include.ingest.load_trips"]
        ),
    ]
    arguments: Templates = field(default_factory=dict)
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

    def work(self, context: dg.AssetExecutionContext, side: Side) -> Iterator[dg.MaterializeResult[None]]:
        if side is Side.LEGACY:
            windows = moments_to_write(
                context, self.legacy_unit, self.times, Settings.from_process(self.root)
            )
        else:
            windows = moments_of_run(context, self.times)
            self.refuse_legacy_places(windows)
        # In a run over many windows, each call returns its own facts.
        facts: dict[Moment, Mapping[str, Any]] = {}
        with self.tries.of(context):
            function = self._load_function()
            for window in windows:
                arguments = self.variables.for_window(window)
                called = f"{self.function}({arguments})"
                context.log.info(f"{self.unit} {side.value}: {window}, {called}")
                with time_limit(context, f"{called} of {window}", self.timeout):
                    returned = function(**arguments, side=side.value)
                facts[window] = returned if isinstance(returned, Mapping) else {}
        yield from self._materializations(context, facts)

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
