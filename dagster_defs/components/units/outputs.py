"""What a task without dbt writes, as its YAML declares it: tables, files, folders, or nothing that can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import dagster as dg

from dagster_defs.components.compare.terms import TimeTerms
from dagster_defs.errors import BadUnit
from dagster_defs.usecases.compare.spec import declared_types

_PLACES = ("file", "folder", "table")
_OF_TABLES = ("legacy", "candidate", "time_column", "lower", "upper", "naive_zone", "bound_zone")


@dataclass
class UnitOutput(TimeTerms):
    """One asset that the unit writes, and how it is compared: as a table, a file, or the files of a folder."""

    key: Annotated[str, dg.Resolver.default(description="Asset key, parts separated by slashes.")]
    description: str | None = None
    kinds: Annotated[
        Sequence[str], dg.Resolver.default(description="Dagster's kinds; by default the unit's own.")
    ] = field(default_factory=list)
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
    folder: Annotated[
        str | None,
        dg.Resolver.passthrough(
            description="Template of the folder that one window writes, relative to the side's folder.",
            examples=["exports/{{ ds }}"],
        ),
    ] = None
    pattern: Annotated[
        str,
        dg.Resolver.default(
            description="Which files of the folder are compared; by default all data files, or with `each` all files.",
            examples=["*.parquet", "**/*.csv"],
        ),
    ] = ""
    each: Annotated[
        bool,
        dg.Resolver.default(
            description="Compare the folder file by file; by default its files are one data set."
        ),
    ] = False
    table: Annotated[
        str | None,
        dg.Resolver.passthrough(
            description=(
                "The table, `table` or `schema.table`, in the dbt target of each side; without a schema in the "
                "target's own. With one, the candidate's is in the candidate target's schema if both targets share a "
                "database. May be a template."
            ),
            examples=["sales.orders", "staging_{{ ds_nodash }}"],
        ),
    ] = None
    legacy: Annotated[
        str | None,
        dg.Resolver.passthrough(
            description="Legacy's table, in place of `table`.", examples=["sales.orders"]
        ),
    ] = None
    candidate: Annotated[
        str | None,
        dg.Resolver.passthrough(
            description="The candidate's table, in place of `table`.", examples=["sales_candidate.orders"]
        ),
    ] = None
    lower: Annotated[
        str | None,
        dg.Resolver.passthrough(
            description="Template of the window's first value of `time_column`.",
            examples=["{{ data_interval_start }}"],
        ),
    ] = None
    upper: Annotated[
        str | None,
        dg.Resolver.passthrough(
            description="Template of the first value of `time_column` after the window.",
            examples=["{{ data_interval_end }}"],
        ),
    ] = None
    row_key: Annotated[
        Sequence[str],
        dg.Resolver.default(description="Columns that identify a row; without them, rows are a multiset."),
    ] = field(default_factory=list)
    file_key: Annotated[
        Sequence[str], dg.Resolver.default(description="An older name of `row_key`, for files.")
    ] = field(default_factory=list)
    file_types: Annotated[
        Mapping[str, str],
        dg.Resolver.default(
            description="Types of CSV columns, by name; by default text, or whatever type loses nothing.",
            examples=[{"placed": "date %d/%m/%Y"}],
        ),
    ] = field(default_factory=dict)

    @property
    def is_table(self) -> bool:
        return any((self.table, self.legacy, self.candidate))

    @property
    def is_compared(self) -> bool:
        return bool(self.file or self.folder or self.is_table)

    @property
    def keyed_by(self) -> tuple[str, ...]:
        return tuple(self.row_key or self.file_key)

    @property
    def templates(self) -> dict[str, str]:
        """What depends on the window, by attribute."""
        names = ("file", "folder", "table", "legacy", "candidate")
        given = {name: getattr(self, name) for name in names}
        bounds = {name: {"template": getattr(self, name), "bound": name} for name in ("lower", "upper")}
        return {
            **{name: text for name, text in given.items() if text},
            **{name: each for name, each in bounds.items() if each["template"]},
        }

    def refuse_faults(self, unit: str) -> None:
        """Raises BadUnit for what contradicts itself."""
        if fault := self._fault():
            raise BadUnit(unit, f"`outputs.{self.key}` {fault}", "Fix it in its YAML")

    def _fault(self) -> str:
        places = [name for name in _PLACES if (self.is_table if name == "table" else getattr(self, name))]
        if len(places) > 1:
            return f"has both {' and '.join(places)}: declare an output for each"
        if self.is_table and not (self.table or (self.legacy and self.candidate)):
            return "names the table of one side only"
        if self.table and self.legacy and self.candidate:
            return "has `table`, which says nothing beside `legacy` and `candidate`"
        if self.row_key and self.file_key:
            return "has both `row_key` and its older name `file_key`"
        if not places and (self.tolerances or self.masked or self.row_key):
            return "has tolerances or masks, but no `file`, `folder` or `table` to compare"
        if not self.is_table and (given := [name for name in _OF_TABLES if getattr(self, name)]):
            return f"has `{given[0]}`, which only a table has"
        if not self.folder and (self.pattern or self.each):
            return "has `pattern` or `each`, which only a `folder` has"
        if self.is_table and self.file_types:
            return "has `file_types`, which only files have: a table has its own types"
        if (self.lower or self.upper) and not self.time_column:
            return "has `lower` or `upper`, but no `time_column` that they bound"
        try:
            declared_types(self.file_types)
        except ValueError as error:
            return f"has wrong `file_types`: {error}"
        return ""


@dataclass
class NoOutputs(dg.Resolvable):
    """The task writes nothing that can be compared."""

    none: Annotated[bool, dg.Resolver.default(description="`true`: there is no output to compare.")]
    because: Annotated[str, dg.Resolver.default(description="Why not; the gates show and accept this.")]

    def refuse_faults(self, unit: str) -> None:
        """Raises BadUnit for what says nothing."""
        if not self.none:
            raise BadUnit(unit, "`outputs.none` is false", "Declare the outputs, or write `none: true`")
        if not self.because.strip():
            raise BadUnit(unit, "`outputs.none` has no `because`", "Say why nothing can be compared")


@dataclass
class OutputWarehouse(dg.Resolvable):
    """Where the tables are that a unit writes."""

    project: Annotated[
        str, dg.Resolver.default(description="The dbt project whose profile names the targets.")
    ] = "dbt"
    legacy: Annotated[
        str | None,
        dg.Resolver.default(description="The target of the legacy side; by default `PARITY_LEGACY_TARGET`."),
    ] = None
    candidate: Annotated[
        str | None,
        dg.Resolver.default(
            description="The target of the candidate side; by default `PARITY_CANDIDATE_TARGET`."
        ),
    ] = None
