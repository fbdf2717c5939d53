"""The YAML of comparisons and tolerances: what the files may contain, and the messages for what they may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pendulum
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from sqlglot import exp
from typing_extensions import Self

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.files import strict_yaml
from dagster_defs.adapters.files.wrong_input import in_words
from dagster_defs.adapters.warehouse.places import place_of_target
from dagster_defs.adapters.warehouse.seam import Files, Place, Table
from dagster_defs.errors import BadComparison, BadComparisonFile
from dagster_defs.older_python import date_of, datetime_of
from dagster_defs.parity import ComparisonSpec, Relation, Tolerance, ToleranceKind, Zones
from dagster_defs.parity.clocks import instant_of
from dagster_defs.parity.records import Bound
from dagster_defs.parity.text_types import DeclaredType
from dagster_defs.parity.tolerances import refuse_wrong
from dagster_defs.windows import zone_named


def declared_types(types: Mapping[str, str]) -> dict[str, DeclaredType]:
    """The types by column. Raises a ValueError that names the column whose type cannot be declared."""
    declared = {}
    for name, text in types.items():
        try:
            declared[name] = DeclaredType.parse(text)
        except ValueError as error:
            raise ValueError(f"type of {name}: {error}") from error
    return declared


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, written: Any) -> Any:
        """An empty `key:` means the same as leaving it out; if the key is required, it is missing."""
        if not isinstance(written, dict):
            return written
        return {name: value for name, value in written.items() if value is not None}


class ToleranceEntry(_Model):
    column: str
    kind: ToleranceKind
    value: Decimal | str | None = None
    reason: str = ""
    expires: date | None = None

    def tolerance(self) -> Tolerance:
        return Tolerance(self.column, self.kind, self.value, self.reason, self.expires)


class ReasonedTolerance(ToleranceEntry):
    """A tolerance in a unit's YAML needs a reason, for whoever reads the verdict months later."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class PlaceEntry(_Model):
    """Either `table` in a `database` (a DuckDB file) or `target` (in the dbt project's profile), or `files`."""

    database: str | None = None
    target: str | None = None
    db_schema: Annotated[str, Field(alias="schema")] = "main"
    table: str | None = None
    files: str | Annotated[list[str], Field(min_length=1)] | None = None
    types: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("database", "target", "files") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of database, target and files, not {' and '.join(given) or 'none'}")
        if (self.table is None) is (self.files is None):
            raise ValueError("a database or target needs a table, and files must not have one")
        if self.types and self.files is None:
            raise ValueError("`types` are for files only: a table has its own")
        declared_types(self.types)
        return self

    def place(self, folder: Path, project_dir: Path) -> Place:
        """Relative paths start at `folder`, where the file is, or else at the current folder."""
        if self.files is not None:
            listed = [self.files] if isinstance(self.files, str) else self.files
            paths = tuple(_resolve_path(path, folder) for path in listed)
            return Files(paths, tuple(declared_types(self.types).items()))
        if self.target is not None:
            names = (exp.to_identifier(name, quoted=True) for name in (self.db_schema, self.table or ""))
            return place_of_target(DbtWorkspace(project_dir, self.target), *names)
        return Table(_resolve_path(self.database or "", folder), self.db_schema, self.table or "")


def _resolve_path(path: str, folder: Path) -> Path:
    here = Path(path)
    return here if here.exists() and not (folder / path).exists() else folder / path


def _bound(value: Any) -> Any:
    """Accepts objects too: YAML has already parsed an unquoted date or time."""
    if value is None or (isinstance(value, str | int | date) and not isinstance(value, bool)):
        return value
    raise ValueError("a bound is a date, a time, a number or text")


_Bound = Annotated[Any, BeforeValidator(_bound)]


class WindowEntry(_Model):
    start: _Bound = None
    end: _Bound = None
    timezone: str | None = None

    def bounds(self) -> tuple[Bound | None, Bound | None]:
        """Raises ValueError for an unknown time zone, or for a bound that is not a time in it."""
        return in_zone(self.start, self.timezone), in_zone(self.end, self.timezone)


def _day_or_instant(value: Any) -> Any:
    """Text without a time of day is a day; pydantic would take it for midnight."""
    if isinstance(value, str):
        with suppress(ValueError):
            return date_of(value)
    return value


def _within_the_calendar(value: datetime | date | None) -> datetime | date | None:
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            value.astimezone(timezone.utc)
        except OverflowError:
            raise ValueError(f"{value.isoformat()} is out of range in UTC") from None
    return value


def _known_zone(name: str | None) -> str | None:
    if name is not None:
        zone_named(name)
    return name


def _known_types(types: Mapping[str, str]) -> Mapping[str, str]:
    declared_types(types)
    return types


class ComparisonEntry(_Model):
    name: str
    legacy: PlaceEntry
    candidate: PlaceEntry
    key: Sequence[str] = ()
    time_column: str | None = None
    declared: Annotated[Mapping[str, str], Field(alias="types"), AfterValidator(_known_types)] = {}
    naive_zone: Annotated[str | None, AfterValidator(_known_zone)] = None
    window: WindowEntry | None = None
    as_of: Annotated[
        datetime | date | None, BeforeValidator(_day_or_instant), AfterValidator(_within_the_calendar)
    ] = None
    tolerances: Sequence[ToleranceEntry] = ()
    masked: Sequence[str] = ()

    @property
    def types(self) -> Mapping[str, DeclaredType]:
        """The types of CSV columns, on both sides."""
        return declared_types(self.declared)

    @property
    def zones(self) -> Zones:
        return Zones(window=self.window.timezone if self.window else None, naive=self.naive_zone)

    @property
    def today(self) -> date:
        """The day on which tolerances are judged: the day of `as_of`, or the current day, in UTC."""
        if self.instant is not None:
            return self.instant.date()
        return self.as_of or pendulum.now("UTC").date()

    @property
    def instant(self) -> datetime | None:
        """`as_of` in UTC, if it has a time of day."""
        if not isinstance(self.as_of, datetime):
            return None
        return self.as_of.replace(tzinfo=self.as_of.tzinfo or timezone.utc).astimezone(timezone.utc)


def in_zone(bound: Bound | None, timezone: str | None) -> Bound | None:
    """The bound as an instant if a time zone is given and the bound has none itself; otherwise unchanged.

    A day becomes its first instant. Raises ValueError for an unknown time zone, for a bound that is not a date or
    time, and for a local time that occurs twice or never.
    """
    if bound is None or timezone is None:
        return bound
    zone = zone_named(timezone)
    if isinstance(bound, int):
        raise ValueError(f"{bound} is not a time in {timezone}")
    moment = _day_or_instant(bound)
    if isinstance(moment, str):
        moment = datetime_of(moment)
    return moment if isinstance(moment, datetime) and moment.tzinfo is not None else instant_of(moment, zone)


def read_comparisons(file: Path) -> list[ComparisonEntry | BadComparison]:
    """The entries of `comparisons:`, in order; a wrong entry is represented by its error.

    Raises BadComparisonFile if there is no such list.
    """
    document = _load(file)
    listed = document.get("comparisons") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise BadComparisonFile(file, "it has no `comparisons` list")
    unknown = sorted(map(str, set(document) - {"comparisons"}))
    if unknown:
        raise BadComparisonFile(file, f"unknown keys beside `comparisons`: {', '.join(map(repr, unknown))}")
    return [_entry(entry, number) for number, entry in enumerate(listed, 1)]


def _entry(entry: Any, number: int) -> ComparisonEntry | BadComparison:
    name = str(entry.get("name") or f"#{number}") if isinstance(entry, dict) else f"#{number}"
    try:
        return ComparisonEntry.model_validate(entry)
    except ValidationError as error:
        return BadComparison(name, in_words(error, entry))


def read_tolerances(file: Path) -> list[Tolerance]:
    """Reads a list of tolerances, at the top or below `tolerances:`. Raises BadComparisonFile."""
    document = _load(file)
    listed = document.get("tolerances") if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise BadComparisonFile(file, "it is not a list of tolerances")
    try:
        return [ToleranceEntry.model_validate(entry).tolerance() for entry in listed]
    except ValidationError as error:
        raise BadComparisonFile(file, in_words(error)) from error


def declared_tolerances(name: str, key: Sequence[str], entries: Sequence[Any]) -> tuple[Tolerance, ...]:
    """The tolerances of the output `name` in a unit's YAML, each with a reason.

    Raises UsageError for every mistake that can be detected without looking at the tables.
    """
    tolerances: list[Tolerance] = []
    for number, entry in enumerate(entries, 1):
        column = entry.get("column") if isinstance(entry, dict) else None
        try:
            tolerances.append(ReasonedTolerance.model_validate(entry).tolerance())
        except ValidationError as error:
            which = f"the tolerance of column {column!r}" if column else f"tolerance #{number}"
            raise BadComparison(name, f"{which}: {in_words(error, entry)}") from error
    nowhere = Relation("", "", "")
    refuse_wrong(ComparisonSpec(name, nowhere, nowhere, tuple(key), tolerances=tuple(tolerances)))
    return tuple(tolerances)


def _load(file: Path) -> Any:
    try:
        return strict_yaml.load(file)
    except OSError as error:
        raise BadComparisonFile(file, error.strerror or type(error).__name__) from error
    except ValueError as error:
        raise BadComparisonFile(file, str(error)) from error
