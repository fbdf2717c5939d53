"""Where one side of a comparison is: a table in a database file, data files, or a relation of a dbt target."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError
from typing_extensions import Self

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.warehouse.registry import FILES, SERVERS, titles, warehouse_of
from dagster_defs.adapters.warehouse.seam import (
    Files,
    KeyReader,
    Place,
    Session,
    Table,
    TargetTable,
    Warehouse,
    refuse_other_server,
)
from dagster_defs.errors import BadPlace, NotComparable
from dagster_defs.parity import Reader, Relation, Side

_SEPARATOR = "::"


def parse_place(text: str, project_dir: Path) -> Place:
    """`file.duckdb::schema.table`, `folder/*.parquet`, `folder`, or `target::schema.table` of the dbt project.

    Names with dots or quotes are put in double quotes, as in SQL; the default schema is `main`. Raises BadPlace and,
    for a target, what `place_of_target` raises.
    """
    where, separator, name = text.partition(_SEPARATOR)
    if not separator:
        if Path(where).suffix.lower() in FILES.suffixes or Path(where).is_dir():
            return Files((Path(where),))
        raise BadPlace(
            text, f"there is no {_SEPARATOR} in it, and it is no Parquet or CSV file, and no folder"
        )
    names = _names(text, name)
    if not Path(where).suffix and "/" not in where and not Path(where).exists():
        return place_of_target(DbtWorkspace(project_dir, where), *names)
    schema, table = (exp_name.name for exp_name in names)
    return Table(Path(where), schema, table)


def warehouse_of_target(workspace: DbtWorkspace) -> Warehouse:
    """Raises DbtProjectUnreadable for a target that is not in the profile, NotComparable for another warehouse."""
    return _warehouse_of(workspace, workspace.credentials)


def _warehouse_of(workspace: DbtWorkspace, credentials: Any) -> Warehouse:
    """`credentials`: the workspace's, which dbt reads from its profile anew each time."""
    warehouse = warehouse_of(credentials.type)
    if warehouse is None:
        raise NotComparable(workspace.target, credentials.type, titles())
    return warehouse


def place_of_target(
    workspace: DbtWorkspace,
    schema: exp.Identifier,
    table: exp.Identifier,
    database: exp.Identifier | None = None,
) -> Place:
    """Unquoted names follow the rules of the warehouse's SQL; the default database is the target's.

    Raises DbtProjectUnreadable for a target that is not in the profile, NotComparable for another warehouse.
    """
    credentials = workspace.credentials
    return _warehouse_of(workspace, credentials).place(workspace, credentials, schema, table, database)


def place_of_relation(workspace: DbtWorkspace, relation: str) -> Place:
    """A relation of a target as dbt writes it in SQL, quotes included. Raises what `place_of_target` raises."""
    credentials = workspace.credentials
    parts = exp.to_table(relation, dialect=credentials.type).parts
    database, schema, table = (part for part in parts if isinstance(part, exp.Identifier))
    return _warehouse_of(workspace, credentials).place(workspace, credentials, schema, table, database)


def relation_named(workspace: DbtWorkspace, name: str, *, in_own_schema: bool = False) -> str:
    """`table`, `schema.table` or `database.schema.table` in full, as the warehouse's SQL writes it; what it leaves out
    is the target's. `in_own_schema`: its schema and database are the target's whatever it says.

    Raises BadPlace for another name, DbtProjectUnreadable, and NotComparable for another warehouse.
    """
    credentials = workspace.credentials
    warehouse = _warehouse_of(workspace, credentials)
    try:
        parts = exp.to_table(name, dialect=credentials.type).parts
    except (ParseError, ValueError):
        parts = []
    names = [part for part in parts if isinstance(part, exp.Identifier) and part.name]
    if not 1 <= len(names) == len(parts) <= 3:
        raise BadPlace(name, "it is not the name of a table")
    *given, table = names
    database, schema = warehouse.home(credentials)
    if given and not in_own_schema:
        database, schema = given if len(given) > 1 else (database, given[0])
    return exp.Table(this=table, db=schema, catalog=database).sql(dialect=credentials.type)


def keeps_its_past(place: Place) -> bool:
    """Whether the place can be read as of a past instant."""
    return isinstance(place, TargetTable) and SERVERS[place.kind].keeps_its_past


def as_it_was(place: Place, instant: datetime) -> Place:
    """The place as of that instant (with a time zone) if its warehouse keeps its past, else unchanged."""
    if not isinstance(place, TargetTable) or not keeps_its_past(place):
        return place
    return replace(place, relation=replace(place.relation, as_of=instant))


def _names(text: str, name: str) -> tuple[exp.Identifier, exp.Identifier]:
    try:
        parts = list(exp.to_table(name, dialect="duckdb").parts)
    except (ParseError, ValueError):
        parts = [
            exp.to_identifier(part, quoted=False) for part in name.split(".")
        ]  # a-b, which SQL requires to be quoted
    identifiers = [part for part in parts if isinstance(part, exp.Identifier) and part.name]
    if not 1 <= len(identifiers) == len(parts) <= 2:
        raise BadPlace(text, f"{name!r} is not schema.table")
    schema = identifiers[0] if len(identifiers) == 2 else exp.to_identifier("main", quoted=False)
    return schema, identifiers[-1]


class Readers:
    """Opens what successive comparisons read.

    A session on a server stays open for the next one; database files are released at once, as others may be waiting.
    """

    def __init__(self) -> None:
        self._sessions: dict[Hashable, Session] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sessions.clear()
        self._open.close()

    @contextmanager
    def of(self, legacy: Place, candidate: Place, wait_s: float) -> Iterator[Reader]:
        """A reader of both sides. `wait_s`: seconds to wait for a locked database file.

        Raises BadPlace if no single warehouse has both sides, and WarehouseError if it denies access.
        """
        if isinstance(legacy, TargetTable) and isinstance(candidate, TargetTable):
            if legacy.kind != candidate.kind:
                raise _of_two_warehouses(candidate)
            refuse_other_server(legacy, candidate)
            session = self._session(legacy)
            try:
                yield session
            finally:
                session.rest()
        elif isinstance(legacy, TargetTable):
            raise _of_two_warehouses(legacy)
        elif isinstance(candidate, TargetTable):
            raise _of_two_warehouses(candidate)
        else:
            with FILES.pair(legacy, candidate, wait_s) as pair:
                yield pair

    @contextmanager
    def of_one(self, place: Place, name: str, wait_s: float) -> Iterator[tuple[KeyReader, Relation]]:
        """A reader of one side only, and that side's relation; see `of`. `name`: the output's name, for messages."""
        if isinstance(place, TargetTable):
            session = self._session(place)
            try:
                yield session, place.relation
            finally:
                session.rest()
        else:
            # DuckDB attaches a file once: the other side has no database.
            with FILES.pair(place, Files(()), wait_s) as pair:
                legacy, _ = FILES.relations(dict.fromkeys(Side, place), name, pair)
                yield pair, legacy

    def _session(self, place: TargetTable) -> Session:
        """The session that is already open, if it still answers; else a new one."""
        who = SERVERS[place.kind].who(place)
        known = self._sessions.get(who)
        if known is None or known.is_lost:
            opened = self._open.enter_context(SERVERS[place.kind].session(place))
            known = self._sessions[who] = opened
        return known


def relations_in(
    legacy: Place, candidate: Place, name: str, reader: Reader, time_column: str | None = None
) -> tuple[Relation, Relation]:
    """Both sides' relations in the reader. `time_column`: the one that bounds a window. Raises TypeOfNoColumn."""
    if isinstance(legacy, TargetTable) and isinstance(candidate, TargetTable):
        return legacy.relation, candidate.relation
    assert not isinstance(legacy, TargetTable), legacy  # noqa: S101 - `Readers.of` has ensured it
    assert not isinstance(candidate, TargetTable), candidate  # noqa: S101 - as above
    places = {Side.LEGACY: legacy, Side.CANDIDATE: candidate}
    return FILES.relations(places, name, reader, time_column)


def _of_two_warehouses(place: TargetTable) -> BadPlace:
    return BadPlace(str(place.relation), "both sides are compared inside one warehouse: copy the other there")
