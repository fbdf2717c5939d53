"""Comparisons and tolerances as YAML: what may stand in the files, and what is said where something may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

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

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.files import strict_yaml
from dagster_defs.adapters.files.wrong_input import in_words
from dagster_defs.adapters.warehouse.places import place_of_target
from dagster_defs.adapters.warehouse.seam import Files, Place, Table
from dagster_defs.errors import BadComparison, BadComparisonFile
from dagster_defs.parity import ComparisonSpec, Relation, Tolerance, ToleranceKind, Zones
from dagster_defs.parity.clocks import instant_of
from dagster_defs.parity.records import Bound
from dagster_defs.parity.text_types import DeclaredType
from dagster_defs.parity.tolerances import refuse_wrong
from dagster_defs.windows import zone_named


def declared_types(types: Mapping[str, str]) -> dict[str, DeclaredType]:
    """By column. Raises ValueError that names the column whose type cannot be declared."""
    found = {}
    for name, said in types.items():
        try:
            found[name] = DeclaredType.parse(said)
        except ValueError as error:
            raise ValueError(f"type of {name}: {error}") from error
    return found


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, written: Any) -> Any:
        """`key:` with nothing behind it says what leaving it out says; of what is required, that it is missing."""
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
    """As a unit's YAML declares it: who reads a verdict months later has to be told why."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class PlaceEntry(_Model):
    """Either `database` (a DuckDB file) or `target` (of the dbt project's profile) with `table`, or `files`."""

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
            raise ValueError("a database or target needs a table, and files have none")
        if self.types and self.files is None:
            raise ValueError("only files have `types`: a table has its own")
        declared_types(self.types)
        return self

    def place(self, folder: Path, project_dir: Path) -> Place:
        """Paths are relative to the folder of the file that they stand in, or else to the current one."""
        if self.files is not None:
            listed = [self.files] if isinstance(self.files, str) else self.files
            paths = tuple(_found(path, folder) for path in listed)
            return Files(paths, tuple(declared_types(self.types).items()))
        if self.target is not None:
            names = (exp.to_identifier(name, quoted=True) for name in (self.db_schema, self.table or ""))
            return place_of_target(DbtWorkspace(project_dir, self.target), *names)
        return Table(_found(self.database or "", folder), self.db_schema, self.table or "")


def _found(path: str, folder: Path) -> Path:
    here = Path(path)
    return here if here.exists() and not (folder / path).exists() else folder / path


def _bound(value: Any) -> Any:
    """YAML has turned an unquoted date or time into an object already."""
    if value is None or (isinstance(value, str | int | date) and not isinstance(value, bool)):
        return value
    raise ValueError("a bound is a date, a time, a number or a text")


_Bound = Annotated[Any, BeforeValidator(_bound)]


class WindowEntry(_Model):
    start: _Bound = None
    end: _Bound = None
    timezone: str | None = None

    def bounds(self) -> tuple[Bound | None, Bound | None]:
        """Raises ValueError for a time zone that there is not, or for a bound that is no time in it."""
        return in_zone(self.start, self.timezone), in_zone(self.end, self.timezone)


def _day_or_instant(value: Any) -> Any:
    """A text without a time of day is a day; pydantic would take it for a midnight."""
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value)
    return value


def _within_the_calendar(value: datetime | date | None) -> datetime | date | None:
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            value.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{value.isoformat()} is no time of UTC") from None
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
        """Of columns of CSV files, on both sides."""
        return declared_types(self.declared)

    @property
    def zones(self) -> Zones:
        return Zones(window=self.window.timezone if self.window else None, naive=self.naive_zone)

    @property
    def today(self) -> date:
        """The day on which tolerances are judged: that of `as_of`, or the current one, in UTC."""
        if self.instant is not None:
            return self.instant.date()
        return self.as_of or pendulum.now("UTC").date()

    @property
    def instant(self) -> datetime | None:
        """`as_of` in UTC, if it has a time of day."""
        if not isinstance(self.as_of, datetime):
            return None
        return self.as_of.replace(tzinfo=self.as_of.tzinfo or UTC).astimezone(UTC)


def in_zone(bound: Bound | None, timezone: str | None) -> Bound | None:
    """The bound as an instant, if a time zone is given and the bound says none itself; else as it is.

    A day is its first instant. Raises ValueError for a time zone that there is not, for a bound that is no date or
    time, and for a local time that its clocks show twice or never.
    """
    if bound is None or timezone is None:
        return bound
    zone = zone_named(timezone)
    if isinstance(bound, int):
        raise ValueError(f"{bound} is no time in {timezone}")
    found = _day_or_instant(bound)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    return found if isinstance(found, datetime) and found.tzinfo is not None else instant_of(found, zone)


def read_comparisons(file: Path) -> list[ComparisonEntry | BadComparison]:
    """What `comparisons:` lists, in its order; an entry that is wrong is what is wrong with it.

    Raises BadComparisonFile where there is no such list.
    """
    document = _load(file)
    listed = document.get("comparisons") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise BadComparisonFile(file, "it has no list `comparisons`")
    unknown = sorted(map(str, set(document) - {"comparisons"}))
    if unknown:
        raise BadComparisonFile(file, f"it has {', '.join(map(repr, unknown))} beside `comparisons`")
    return [_entry(entry, number) for number, entry in enumerate(listed, 1)]


def _entry(entry: Any, number: int) -> ComparisonEntry | BadComparison:
    name = str(entry.get("name") or f"#{number}") if isinstance(entry, dict) else f"#{number}"
    try:
        return ComparisonEntry.model_validate(entry)
    except ValidationError as error:
        return BadComparison(name, in_words(error, entry))


def read_tolerances(file: Path) -> list[Tolerance]:
    """A list of tolerances, or one below `tolerances:`. Raises BadComparisonFile."""
    document = _load(file)
    listed = document.get("tolerances") if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise BadComparisonFile(file, "it is no list of tolerances")
    try:
        return [ToleranceEntry.model_validate(entry).tolerance() for entry in listed]
    except ValidationError as error:
        raise BadComparisonFile(file, in_words(error)) from error


def declared_tolerances(name: str, key: Sequence[str], entries: Sequence[Any]) -> tuple[Tolerance, ...]:
    """Those of the output `name` in a unit's YAML, each with its reason.

    Raises UsageError for whatever is wrong with one and can be said without a look at the tables.
    """
    found: list[Tolerance] = []
    for number, entry in enumerate(entries, 1):
        column = entry.get("column") if isinstance(entry, dict) else None
        try:
            found.append(ReasonedTolerance.model_validate(entry).tolerance())
        except ValidationError as error:
            which = f"the tolerance of column {column!r}" if column else f"tolerance #{number}"
            raise BadComparison(name, f"{which}: {in_words(error, entry)}") from error
    nowhere = Relation("", "", "")
    refuse_wrong(ComparisonSpec(name, nowhere, nowhere, tuple(key), tolerances=tuple(found)))
    return tuple(found)


def _load(file: Path) -> Any:
    try:
        return strict_yaml.load(file)
    except OSError as error:
        raise BadComparisonFile(file, error.strerror or type(error).__name__) from error
    except ValueError as error:
        raise BadComparisonFile(file, str(error)) from error
