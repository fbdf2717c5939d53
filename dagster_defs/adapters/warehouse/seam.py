"""What a warehouse has to offer so that its tables are compared, and candidate runs begin from legacy's.

A warehouse is a folder beside this file and a row of `registry.py`. Nothing outside imports the folder.
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
    """A table or view of a database that is a file. Names are taken as they are."""

    database: Path
    schema: str
    table: str


@dataclass(frozen=True, slots=True)
class Files:
    """Parquet or CSV files; a path may be a glob or a folder. `types`: declared ones, of CSV files."""

    paths: tuple[Path, ...]
    types: tuple[tuple[str, DeclaredType], ...] = ()


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A table or view on a server, read with the credentials of a dbt target.

    `kind`: the target's type. `server`: what two relations have in common that one session can read, and `said` how
    messages name it, without an address.
    """

    kind: str
    relation: Relation
    server: str = field(repr=False)
    credentials: Any = field(compare=False, repr=False)  # a password is in it
    said: str = field(default="", compare=False)


Place = Table | Files | TargetTable


class Session(Reader, Protocol):
    """A reader that is opened and closed. `is_lost`: the connection has failed, and not only a statement."""

    is_lost: bool

    def __enter__(self) -> Session: ...

    def __exit__(self, *_: Any) -> None: ...

    def rest(self) -> None:
        """Between two comparisons: what the next one reads is as it is then."""
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
    """A model of the run that starts from what earlier runs have left.

    The relations are written as dbt has them in SQL. `time_column` and `lower`: where the run's window begins in it,
    both or neither. `began`: when legacy's run of the window did, None if nobody knows.
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

    `out_of_reach` makes the error for what legacy does not have: what, why, and what to do.
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
    """`places`: where the candidate reads each model of legacy's, None for where legacy has it. `copied`: why the rows
    of the run's window may be legacy's own. Both by unique id."""

    places: Mapping[str, Relation | None] = field(default_factory=dict)
    copied: Mapping[str, str] = field(default_factory=dict)


class Warehouse(Protocol):
    """A row of the registry."""

    kind: ClassVar[str]
    """dbt's name for the type of the target."""
    title: ClassVar[str]
    keeps_its_past: ClassVar[bool]
    """Whether a relation can be read as it was at an instant."""

    def place(
        self,
        workspace: DbtWorkspace,
        credentials: Any,
        schema: exp.Identifier,
        table: exp.Identifier,
        database: exp.Identifier | None,
    ) -> Place:
        """A relation of a dbt target; without a database, the target's. Names follow the rules of the warehouse."""
        ...

    def server(self, credentials: Any, project_dir: Path) -> tuple[str, str]:
        """What two targets share if a relation of one name is one relation, and how messages call it."""
        ...

    def begin(self, begin: Begin) -> Begun:
        """Take from legacy what a candidate run needs. Raises WarehouseErrors, and what `out_of_reach` makes."""
        ...


class ServerWarehouse(Warehouse, Protocol):
    """One whose relations are reached over a session."""

    def session(self, place: TargetTable) -> Session:
        """Not opened yet."""
        ...

    def who(self, place: TargetTable) -> Hashable:
        """Who reads, and with what: comparisons in which that is the same share a session."""
        ...


def refuse_other_server(legacy: TargetTable, candidate: TargetTable) -> None:
    if legacy.server != candidate.server:
        raise BadPlace(
            str(candidate.relation),
            f"it is in {candidate.said}, and not {legacy.said}"
            if legacy.said != candidate.said
            else "it is on another server",
        )
