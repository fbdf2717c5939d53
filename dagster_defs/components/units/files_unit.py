"""Units that write files: the files' names, each side's folder, and how they are compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

import dagster as dg

from dagster_defs.components.compare.terms import ComparisonTerms
from dagster_defs.components.units.shadows import shadow_key
from dagster_defs.components.units.unit import UnitComponent
from dagster_defs.errors import BadUnit, WritesToLegacy
from dagster_defs.lifecycle.mirrors import FileOutput, Output, Terms
from dagster_defs.parity import Side
from dagster_defs.usecases.compare.spec import declared_types
from dagster_defs.windows import PartitionVars, Window


@dataclass
class PythonOutput(ComparisonTerms):
    """One asset that the unit writes, and how its file is compared."""

    key: Annotated[str, dg.Resolver.default(description="Asset key, parts separated by slashes.")]
    description: str | None = None
    kinds: Sequence[str] = field(default_factory=lambda: ["python"])
    deps: Annotated[Sequence[str], dg.Resolver.default(description="Keys of the assets that it reads.")] = (
        field(default_factory=list)
    )
    dbt_source: Annotated[
        str | None,
        dg.Resolver.default(description="The dbt source that it feeds.", examples=["raw.trips"]),
    ] = None
    file: Annotated[
        str | None,
        dg.Resolver.passthrough(
            description=(
                "Template of the file that one window writes, relative to the side's folder; this file is compared."
            ),
            examples=["raw/trips/trips_{{ data_interval_start.strftime('%Y-%m') }}.parquet"],
        ),
    ] = None
    file_key: Annotated[
        Sequence[str], dg.Resolver.default(description="Columns that identify a row of the file.")
    ] = field(default_factory=list)
    file_types: Annotated[
        Mapping[str, str],
        dg.Resolver.default(
            description="Types of CSV columns, by name; by default text, or whatever type loses nothing.",
            examples=[{"placed": "date %d/%m/%Y"}],
        ),
    ] = field(default_factory=dict)


class FilesUnit(UnitComponent):
    """Base class of mirrors whose outputs are declared one by one; not a component type itself."""

    outputs: Sequence[PythonOutput]
    side_folders: Mapping[str, str]

    @cached_property
    def feeds(self) -> Mapping[str, dg.AssetKey]:
        """Keys of the outputs that are dbt sources, by `source_name.table`."""
        return {output.dbt_source: output_key(output.key) for output in self.outputs if output.dbt_source}

    def asset_keys(self) -> list[dg.AssetKey]:
        """Keys of the outputs on the legacy side."""
        return [output_key(output.key) for output in self.outputs]

    def compared_keys(self) -> dict[str, tuple[dg.AssetKey, dg.AssetKey]]:
        """Both keys of each output that writes a file."""
        return {
            output.key: (output_key(output.key), output_key(output.key, Side.CANDIDATE))
            for output in self.outputs
            if output.file
        }

    def outputs_of(self, window: Window) -> Iterator[Output]:
        for output, template in zip(self.outputs, self.file_templates, strict=True):
            if template is None:
                continue
            file = template.for_window(window)["file"]
            paths = {side: str((self.root / self.side_folders[side.value] / file).resolve()) for side in Side}
            yield FileOutput(
                name=output.key,
                legacy=paths[Side.LEGACY],
                candidate=paths[Side.CANDIDATE],
                key=tuple(output.file_key),
                terms=self.terms[output.key],
                types=tuple(output.file_types.items()),
            )

    @cached_property
    def terms(self) -> Mapping[str, Terms]:
        """By the output's key. Raises BadUnit for terms of an output that is not compared."""
        for output in self.outputs:
            if not output.file and (output.tolerances or output.masked):
                reason = f"`outputs.{output.key}` has tolerances or masks, but no `file` to compare"
                raise BadUnit(self.unit, reason, "Declare its `file`, or remove them")
            try:
                declared_types(output.file_types)
            except ValueError as error:
                reason = f"`outputs.{output.key}.file_types`: {error}"
                raise BadUnit(self.unit, reason, "Fix it in its YAML") from error
        return {
            output.key: output.terms(self.unit, f"outputs.{output.key}", output.key, output.file_key)
            for output in self.outputs
        }

    @cached_property
    def file_templates(self) -> list[PartitionVars | None]:
        return [
            self.compile_templates({"file": output.file}, f"outputs.{output.key}") if output.file else None
            for output in self.outputs
        ]

    def refuse_legacy_folder(self, windows: Sequence[Window]) -> None:
        """Raises WritesToLegacy if the candidate's folder, or one of its files, is or lies in legacy's folder."""
        folders = {side: (self.root / self.side_folders[side.value]).resolve() for side in Side}
        remedy = "Fix `side_folders` in its YAML, or the variables that it reads"
        if folders[Side.CANDIDATE].is_relative_to(folders[Side.LEGACY]):
            raise WritesToLegacy(self.unit, f"folder {folders[Side.LEGACY]}", remedy)
        for window in windows:
            for output in self.outputs_of(window):
                if isinstance(output, FileOutput) and output.legacy == output.candidate:
                    raise WritesToLegacy(self.unit, f"file {output.legacy}", remedy)


def output_key(text: str, side: Side = Side.LEGACY) -> dg.AssetKey:
    key = dg.AssetKey(text.split("/"))
    return shadow_key(key) if side is Side.CANDIDATE else key
