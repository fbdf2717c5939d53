"""Where one side of a comparison lies: a table of a DuckDB file, data files, or a relation of a dbt target."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlglot import exp
from sqlglot.errors import ParseError

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.warehouse.duckdb.data_files import SUFFIXES
from dagster_defs.adapters.warehouse.duckdb.reader import DuckDBPair
from dagster_defs.adapters.warehouse.snowflake.reader import SnowflakeReader
from dagster_defs.errors import BadPlace, NotComparable
from dagster_defs.parity import Relation, Side
from dagster_defs.parity.text_types import DeclaredType

_SEPARATOR = "::"


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view of a DuckDB file. Names are taken as they are."""

    database: Path
    schema: str
    table: str


@dataclass(frozen=True, slots=True)
class Files:
    """Parquet or CSV files; a path may be a glob or a folder. `types`: declared ones, of CSV files."""

    paths: tuple[Path, ...]
    types: tuple[tuple[str, DeclaredType], ...] = ()


@dataclass(frozen=True, slots=True)
class SnowflakeTable:
    """A table or view on Snowflake, read with the credentials of a dbt target."""

    relation: Relation
    account: str
    credentials: Any = field(compare=False)


Place = Table | Files | SnowflakeTable


def parse_place(text: str, project_dir: Path) -> Place:
    """`file.duckdb::schema.table`, `folder/*.parquet`, `folder`, or `target::schema.table` of the dbt project.

    Names with dots or quotes are written in double quotes, as in SQL; without a schema it is `main`. Raises BadPlace,
    and for a target what `place_of_target` raises.
    """
    where, separator, name = text.partition(_SEPARATOR)
    if not separator:
        if Path(where).suffix.lower() in SUFFIXES or Path(where).is_dir():
            return Files((Path(where),))
        raise BadPlace(
            text, f"there is no {_SEPARATOR} in it, and it is no Parquet or CSV file, and no folder"
        )
    names = _names(text, name)
    if not Path(where).suffix and "/" not in where and not Path(where).exists():
        return place_of_target(DbtWorkspace(project_dir, where), *names)
    schema, table = (exp_name.name for exp_name in names)
    return Table(Path(where), schema, table)


def place_of_target(
    workspace: DbtWorkspace,
    schema: exp.Identifier,
    table: exp.Identifier,
    database: exp.Identifier | None = None,
) -> Place:
    """Names that are not quoted are in capitals on Snowflake, as in its SQL; without a database, the target's.

    Raises DbtProjectUnreadable for a target that is not in the profile, NotComparable for another warehouse.
    """
    credentials = workspace.credentials
    if credentials.type == "duckdb":
        return Table(workspace.database_file, schema.name, table.name)
    if credentials.type != "snowflake":
        raise NotComparable(workspace.target, credentials.type, "DuckDB and Snowflake")
    if database is None:
        database = exp.to_identifier(credentials.database)  # quoted where it cannot be written without
    catalog, inside, name = (
        part.name if part.quoted else part.name.upper() for part in (database, schema, table)
    )
    return SnowflakeTable(Relation(catalog, inside, name), credentials.account, credentials)


def place_of_relation(workspace: DbtWorkspace, relation: str) -> Place:
    """A relation of a target as dbt writes it in SQL, with the quotes of its project. Raises as `place_of_target`."""
    parts = exp.to_table(relation, dialect=workspace.credentials.type).parts
    database, schema, table = (part for part in parts if isinstance(part, exp.Identifier))
    return place_of_target(workspace, schema, table, database)


def as_it_was(place: Place, instant: datetime) -> Place:
    """The place at that instant (with a time zone), where its warehouse keeps its past: Snowflake. Else as it is."""
    if not isinstance(place, SnowflakeTable):
        return place
    return replace(place, relation=replace(place.relation, as_of=instant))


def _names(text: str, name: str) -> tuple[exp.Identifier, exp.Identifier]:
    try:
        parts = list(exp.to_table(name, dialect="duckdb").parts)
    except (ParseError, ValueError):
        parts = [
            exp.to_identifier(part, quoted=False) for part in name.split(".")
        ]  # a-b, which SQL wants quoted
    identifiers = [part for part in parts if isinstance(part, exp.Identifier) and part.name]
    if not 1 <= len(identifiers) == len(parts) <= 2:
        raise BadPlace(text, f"{name!r} is not schema.table")
    schema = identifiers[0] if len(identifiers) == 2 else exp.to_identifier("main", quoted=False)
    return schema, identifiers[-1]


def reader_of(legacy: Place, candidate: Place, wait_s: float = 10.0) -> DuckDBPair | SnowflakeReader:
    """A reader of both sides, not opened yet. Raises BadPlace where no single warehouse has both.

    `wait_s`: seconds to wait for a DuckDB file that somebody else has locked.
    """
    if isinstance(legacy, SnowflakeTable) and isinstance(candidate, SnowflakeTable):
        if legacy.account == candidate.account:
            return SnowflakeReader(legacy.credentials)
        raise BadPlace(
            str(candidate.relation), f"it is in account {candidate.account}, and not {legacy.account}"
        )
    for place in (legacy, candidate):
        if isinstance(place, SnowflakeTable):
            raise BadPlace(
                str(place.relation), "both sides are compared inside one warehouse: copy the other there"
            )
    return DuckDBPair(_database(legacy), _database(candidate), wait_s=wait_s)


def _session_of(place: SnowflakeTable) -> Hashable:
    """Who reads, and with what: comparisons in which that is the same share a session."""
    credentials = place.credentials
    return (place.account, credentials.user, credentials.role, credentials.warehouse)


class Readers:
    """Opens what one comparison after another reads.

    A session on Snowflake stays open for the next; DuckDB files are let go at once: somebody may wait for them.
    """

    def __init__(self) -> None:
        self._sessions: dict[Hashable, SnowflakeReader] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sessions.clear()
        self._open.close()

    @contextmanager
    def of(self, legacy: Place, candidate: Place, wait_s: float) -> Iterator[DuckDBPair | SnowflakeReader]:
        """Raises BadPlace as `reader_of`, and WarehouseError where the warehouse does not let us in."""
        reader = reader_of(legacy, candidate, wait_s)
        if isinstance(reader, SnowflakeReader):
            assert isinstance(legacy, SnowflakeTable)  # noqa: S101 - reader_of has seen to it
            yield self._session(_session_of(legacy), reader)
            return
        with reader:
            yield reader

    def _session(self, key: Hashable, reader: SnowflakeReader) -> SnowflakeReader:
        """The session that is open already, if it still answers; else this one."""
        known = self._sessions.get(key)
        if known is None or known.is_lost:
            known = self._sessions[key] = self._open.enter_context(reader)
        return known


def relations_in(
    legacy: Place,
    candidate: Place,
    name: str,
    reader: DuckDBPair | SnowflakeReader,
    time_column: str | None = None,
) -> tuple[Relation, Relation]:
    """Both sides for the reader. `time_column`: the one that bounds a window. Raises TypeOfNoColumn."""
    places = {Side.LEGACY: legacy, Side.CANDIDATE: candidate}
    relations = (
        _relation_in(legacy, Side.LEGACY, name, reader),
        _relation_in(candidate, Side.CANDIDATE, name, reader),
    )
    if isinstance(reader, DuckDBPair):
        declared = {side: dict(place.types) for side, place in places.items() if isinstance(place, Files)}
        reader.read_texts(*relations, declared, time_column)
    return relations


def _relation_in(place: Place, side: Side, name: str, reader: DuckDBPair | SnowflakeReader) -> Relation:
    if isinstance(place, SnowflakeTable):
        return place.relation
    assert isinstance(reader, DuckDBPair), place  # noqa: S101 - reader_of has seen to it
    if isinstance(place, Files):
        return reader.files(side, name, place.paths)
    return reader.relation(side, place.schema, place.table)


def _database(place: Place) -> Path | None:
    return place.database if isinstance(place, Table) else None
