"""What a warehouse must provide so that its tables can be compared, and candidate runs can start from legacy's.

A warehouse is a folder next to this file and an entry in `registry.py`. Nothing else imports the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from sqlglot import exp

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.errors import BadPlace
from dagster_defs.parity import NO_ZONES, Reader, Relation, Zones
from dagster_defs.parity.text_types import DeclaredType


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view in a database file. Names are taken literally."""

    database: Path
    schema: str
    table: str


@dataclass(frozen=True, slots=True)
class Files:
    """Parquet or CSV files; a path may be a glob or a folder. `types`: declared types of CSV columns."""

    paths: tuple[Path, ...]
    types: tuple[tuple[str, DeclaredType], ...] = ()


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A table or view on a server, read with the credentials of a dbt target.

    `kind`: the target's type. `server`: equal for two relations that one session can read; `said`: its name in
    messages, without an address.
    """

    kind: str
    relation: Relation
    server: str = field(repr=False)
    credentials: Any = field(compare=False, repr=False)  # contains a password
    said: str = field(default="", compare=False)


Place = Table | Files | TargetTable


class KeyReader(Reader, Protocol):
    """A reader that can ask for keys."""

    def unique_keys(self, relation: Relation) -> list[tuple[str, ...]]:
        """The columns of each key that the warehouse itself keeps unique and free of NULLs, the primary key first.

        Raises WarehouseError.
        """
        ...


class Session(KeyReader, Protocol):
    """A reader that is opened and closed. `is_lost`: whether the connection has failed, not just a statement."""

    is_lost: bool

    def __enter__(self) -> Session: ...

    def __exit__(self, *_: Any) -> None: ...

    def rest(self) -> None:
        """Called between two comparisons, so that the next one reads current data."""
        ...


@dataclass(frozen=True, slots=True)
class ReadModel:
    """A model outside the unit that the run reads from legacy. `name`: schema and table."""

    node_id: str
    title: str
    database: str | None
    name: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Past:
    """A model of the run that starts from what earlier runs left.

    The relations are written as in dbt's SQL. `time_column` and `lower`: where the run's window begins, both or
    neither. `began`: when legacy's run of the window began, None if unknown.
    """

    node_id: str
    legacy: str
    candidate: str
    legacy_name: tuple[str, str]
    candidate_name: tuple[str, str]
    time_column: str | None
    lower: str | None
    zones: Zones = NO_ZONES
    began: datetime | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """What one candidate run takes from legacy; both targets are of the warehouse's type.

    `out_of_reach` makes the error for what legacy does not have, from what, why, and what to do.
    """

    legacy: DbtWorkspace
    candidate: DbtWorkspace
    legacy_credentials: Any = field(repr=False)
    candidate_credentials: Any = field(repr=False)
    read: Sequence[ReadModel]
    pasts: Sequence[Past]
    out_of_reach: Callable[[str, str, str], Exception]
    wait_s: float


@dataclass(frozen=True, slots=True)
class Begun:
    """`places`: where the candidate reads each legacy model, None for its place in legacy. `copied`: why the rows of
    the run's window may be legacy's own. Both are keyed by unique id."""

    places: Mapping[str, Relation | None] = field(default_factory=dict)
    copied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CandidateWork:
    """What a candidate's SQL needs besides: legacy's target, the schemas and the tables that it may write.

    `lacking`: for each table that the SQL expects to be there, a query that fails if legacy does not have it, and the
    statement that makes an empty one. `tables`: schema and name as the warehouse has them.
    """

    unit: str
    legacy: DbtWorkspace
    schemas: Sequence[str]
    lacking: Sequence[tuple[str, str]]
    tables: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SqlWork:
    """SQL that a task runs, on the target of its side. `timeout`: seconds; `candidate`: None on the legacy side.

    A candidate's SQL runs in one transaction, whatever `autocommit` says.
    """

    workspace: DbtWorkspace
    statements: Sequence[str]
    parameters: Any
    autocommit: bool
    timeout: float | None
    say: Callable[[str], None]
    candidate: CandidateWork | None = None

    def run(self, cursor: Any) -> None:
        """As Airflow's hooks: no parameters are not the same as empty ones to a driver."""
        for statement in self.statements:
            self.say(f"Running statement: {statement}")
            if self.parameters:
                cursor.execute(statement, self.parameters)
            else:
                cursor.execute(statement)
            if (rows := getattr(cursor, "rowcount", -1)) >= 0:
                self.say(f"Rows affected: {rows}")


class Warehouse(Protocol):
    """An entry in the registry."""

    kind: ClassVar[str]
    """dbt's name for the type of the target."""
    title: ClassVar[str]
    keeps_its_past: ClassVar[bool]
    """Whether a relation can be read as of a past instant."""

    def place(
        self,
        workspace: DbtWorkspace,
        credentials: Any,
        schema: exp.Identifier,
        table: exp.Identifier,
        database: exp.Identifier | None,
    ) -> Place:
        """A relation of a dbt target; the default database is the target's. Names follow the warehouse's rules."""
        ...

    def server(self, credentials: Any, project_dir: Path) -> tuple[str, str]:
        """A key that two targets share if the same name means the same relation, and its name in messages."""
        ...

    def home(self, credentials: Any) -> tuple[exp.Identifier, exp.Identifier]:
        """The target's database and schema, quoted if dbt quotes them."""
        ...

    def legacy_seen_as(self, candidate: Any, legacy: Any) -> str:
        """The name of legacy's database in a session of the candidate's credentials; empty if it is its own."""
        ...

    def execute(self, work: SqlWork) -> None:
        """Run a task's SQL. Raises StatementFailed, WritesToLegacy, DatabaseLocked, DatabaseUnreadable."""
        ...

    def begin(self, begin: Begin) -> Begun:
        """Take from legacy what a candidate run needs. Raises WarehouseErrors, and what `out_of_reach` makes."""
        ...


class ServerWarehouse(Warehouse, Protocol):
    """A warehouse whose relations are reached through a session."""

    def session(self, place: TargetTable) -> Session:
        """A session that is not open yet."""
        ...

    def who(self, place: TargetTable) -> Hashable:
        """Identifies user and connection: comparisons with the same key share a session."""
        ...


def home(credentials: Any, *, quoted: bool) -> tuple[exp.Identifier, exp.Identifier]:
    """The database and the schema of a dbt target; `quoted`: taken literally."""
    return (
        exp.to_identifier(credentials.database, quoted=quoted),
        exp.to_identifier(credentials.schema, quoted=quoted),
    )


def refuse_other_server(legacy: TargetTable, candidate: TargetTable) -> None:
    if legacy.server != candidate.server:
        raise BadPlace(
            str(candidate.relation),
            f"it is in {candidate.said}, and not {legacy.said}"
            if legacy.said != candidate.said
            else "it is on another server",
        )
