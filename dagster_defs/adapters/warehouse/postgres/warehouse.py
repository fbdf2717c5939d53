"""PostgreSQL's entry in the registry."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

from sqlglot import exp

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.warehouse.postgres.execute import execute
from dagster_defs.adapters.warehouse.postgres.reader import PostgresSession
from dagster_defs.adapters.warehouse.postgres.start import begin_with_legacy, holds_copy_of
from dagster_defs.adapters.warehouse.seam import Begin, Begun, Place, Session, SqlWork, TargetTable, home
from dagster_defs.parity import Relation


class PostgresWarehouse:
    kind: ClassVar[str] = "postgres"
    title: ClassVar[str] = "PostgreSQL"
    keeps_its_past: ClassVar[bool] = False

    def place(
        self,
        workspace: DbtWorkspace,
        credentials: Any,
        schema: exp.Identifier,
        table: exp.Identifier,
        database: exp.Identifier | None,
    ) -> Place:
        """Unquoted names are in lower case, as in PostgreSQL's SQL."""
        server, shown = self.server(credentials, workspace.project_dir)
        return TargetTable(
            self.kind, _relation(database, schema, table, credentials), server, credentials, shown
        )

    def server(self, credentials: Any, project_dir: Path) -> tuple[str, str]:
        """The database: a session cannot see other databases on its server."""
        del project_dir
        shown = f"PostgreSQL database {credentials.database!r}"
        return f"{credentials.host}:{credentials.port} {shown}", shown

    def session(self, place: TargetTable) -> Session:
        return PostgresSession(place.credentials)

    def who(self, place: TargetTable) -> Hashable:
        return (self.kind, place.server, place.credentials.user, place.credentials.role)

    def home(self, credentials: Any) -> tuple[exp.Identifier, exp.Identifier]:
        return home(credentials, quoted=True)

    def legacy_seen_as(self, candidate: Any, legacy: Any) -> str:
        return ""

    def execute(self, work: SqlWork) -> None:
        execute(work)

    def begin(self, begin: Begin) -> Begun:
        """Both sides are in one database, so legacy's models are read where they are."""
        places = {model.node_id: None for model in begin.read}
        if not begin.pasts:
            return Begun(places)
        copied: dict[str, str] = {}
        with PostgresSession(begin.candidate_credentials, writes=True) as session:
            for past in begin.pasts:
                legacy = _stored(past.legacy, begin.legacy_credentials)
                candidate = _stored(past.candidate, begin.candidate_credentials)
                begin_with_legacy(session, legacy, candidate, past.time_column, past.lower, past.zones)
                if why := holds_copy_of(session, candidate, past.lower, past.began):
                    copied[past.node_id] = why
        return Begun(places, copied)


def _stored(relation: str, credentials: Any) -> Relation:
    """The relation as dbt writes it in SQL."""
    parts = exp.to_table(relation, dialect=PostgresWarehouse.kind).parts
    *databases, schema, table = (part for part in parts if isinstance(part, exp.Identifier))
    return _relation(databases[0] if databases else None, schema, table, credentials)


def _relation(
    database: exp.Identifier | None, schema: exp.Identifier, table: exp.Identifier, credentials: Any
) -> Relation:
    catalog = credentials.database if database is None else _name(database)
    return Relation(catalog, _name(schema), _name(table))


def _name(part: exp.Identifier) -> str:
    return part.name if part.quoted else part.name.lower()
