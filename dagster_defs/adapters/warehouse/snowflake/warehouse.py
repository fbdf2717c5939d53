"""Snowflake's entry in the registry."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

from sqlglot import exp

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.warehouse.seam import Begin, Begun, Place, Session, SqlWork, TargetTable, home
from dagster_defs.adapters.warehouse.snowflake.execute import execute
from dagster_defs.adapters.warehouse.snowflake.reader import SnowflakeReader
from dagster_defs.adapters.warehouse.snowflake.start import begin_with_legacy, holds_copy_of
from dagster_defs.errors import StatementFailed
from dagster_defs.parity import Relation


class SnowflakeWarehouse:
    kind: ClassVar[str] = "snowflake"
    title: ClassVar[str] = "Snowflake"
    keeps_its_past: ClassVar[bool] = True

    def place(
        self,
        workspace: DbtWorkspace,
        credentials: Any,
        schema: exp.Identifier,
        table: exp.Identifier,
        database: exp.Identifier | None,
    ) -> Place:
        """Unquoted names are in upper case, as in Snowflake's SQL."""
        return TargetTable(
            self.kind,
            _relation(database or exp.to_identifier(credentials.database), schema, table),
            credentials.account,
            credentials,
            f"account {credentials.account}",
        )

    def server(self, credentials: Any, project_dir: Path) -> tuple[str, str]:
        account = f"snowflake {credentials.account}"
        return account, account

    def session(self, place: TargetTable) -> Session:
        return SnowflakeReader(place.credentials)

    def who(self, place: TargetTable) -> Hashable:
        credentials = place.credentials
        return (self.kind, place.server, credentials.user, credentials.role, credentials.warehouse)

    def home(self, credentials: Any) -> tuple[exp.Identifier, exp.Identifier]:
        return home(credentials, quoted=False)

    def legacy_seen_as(self, candidate: Any, legacy: Any) -> str:
        return ""

    def execute(self, work: SqlWork) -> None:
        execute(work)

    def begin(self, begin: Begin) -> Begun:
        places = {model.node_id: None for model in begin.read}
        if not begin.pasts:
            return Begun(places)
        copied: dict[str, str] = {}
        with SnowflakeReader(begin.candidate_credentials) as session:
            for past in begin.pasts:
                legacy = _stored(past.legacy, begin.legacy_credentials)
                candidate = _stored(past.candidate, begin.candidate_credentials)
                try:
                    begin_with_legacy(
                        session, legacy, candidate, past.time_column, past.lower, past.began, past.zones
                    )
                except StatementFailed as error:
                    remedy = "Give legacy's table a longer data_retention_time_in_days, or fill the candidate's by hand"
                    raise begin.out_of_reach(f"the past of {legacy}", error.why, remedy) from error
                if why := holds_copy_of(session, candidate, past.lower):
                    copied[past.node_id] = why
        return Begun(places, copied)


def _stored(relation: str, credentials: Any) -> Relation:
    """The relation as dbt writes it in SQL."""
    parts = [
        part for part in exp.to_table(relation, dialect="snowflake").parts if isinstance(part, exp.Identifier)
    ]
    *databases, schema, table = parts
    # Quoted only if necessary.
    return _relation(databases[0] if databases else exp.to_identifier(credentials.database), schema, table)


def _relation(database: exp.Identifier, schema: exp.Identifier, table: exp.Identifier) -> Relation:
    catalog, inside, name = (
        part.name if part.quoted else part.name.upper() for part in (database, schema, table)
    )
    return Relation(catalog, inside, name)
