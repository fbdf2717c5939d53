"""Reads both sides of a comparison on Snowflake: one session, one warehouse; only the results leave the server."""

from __future__ import annotations

import re
import warnings
from types import TracebackType
from typing import Any

from sqlglot import exp
from typing_extensions import Self

from dagster_defs.errors import RelationUnreadable, StatementFailed
from dagster_defs.parity import Column, Dialect, Relation

QUERY_TAG = "parity-compare"
_NOT_THERE = re.compile(r"does not exist|\b002003\b", re.IGNORECASE)


class SnowflakeReader:
    """A session of dbt's own connection, with its credentials, role and warehouse; in UTC, and tagged.

    Opening raises StatementFailed if Snowflake denies access. Each statement ends after `timeout` seconds.
    """

    dialect = Dialect.SNOWFLAKE

    def __init__(self, credentials: Any, *, timeout: int = 3600) -> None:
        """`credentials`: those of a dbt target (`DbtWorkspace.credentials`)."""
        self._credentials = credentials
        self._timeout = timeout
        self._session: Any = None
        self.is_lost = False  # the connection has failed, and not only a statement

    def __enter__(self) -> Self:
        self._session = connect(self._credentials, QUERY_TAG)
        try:
            self.rows(f"alter session set timezone = 'UTC', query_tag = '{QUERY_TAG}'")
            self.rows(f"alter session set statement_timeout_in_seconds = {self._timeout}")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def rest(self) -> None:
        """Nothing to do: each statement reads the data as of its own start."""

    def columns(self, relation: Relation) -> list[Column] | None:
        """Asks as dbt does, for tables and views. Snowflake does not distinguish missing from forbidden."""
        try:
            described = self.rows(f"describe table {_quoted(relation)}")
        except StatementFailed as error:
            if _NOT_THERE.search(error.why):
                return None
            raise RelationUnreadable(str(relation), error.why) from error
        return [Column(row["name"], row["type"]) for row in described]

    def unique_keys(self, relation: Relation) -> list[tuple[str, ...]]:
        """None: Snowflake enforces no key."""
        del relation
        return []

    def rows(self, statement: str) -> list[dict[str, Any]]:
        if self._session is None:
            raise StatementFailed("the session is not open")
        from snowflake.connector import DictCursor
        from snowflake.connector.errors import Error, InterfaceError, OperationalError

        try:
            with self._session.cursor(DictCursor) as cursor:
                cursor.execute(statement)
                return [dict(row) for row in cursor.fetchall()]
        except Error as error:
            self.is_lost = isinstance(error, InterfaceError | OperationalError)
            raise StatementFailed(first_line(error)) from error


def connect(credentials: Any, name: str) -> Any:
    """A connection of dbt's own. Raises StatementFailed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the connector warns about other installed packages
        from dbt.adapters.contracts.connection import Connection, ConnectionState
        from dbt.adapters.snowflake.connections import SnowflakeConnectionManager

        connection = Connection(
            type="snowflake", name=name, state=ConnectionState.INIT, credentials=credentials
        )
        try:
            return SnowflakeConnectionManager.open(connection).handle
        except Exception as error:  # the connector's and dbt's errors have no common base class
            raise StatementFailed(first_line(error)) from error


def _quoted(relation: Relation) -> str:
    names = (relation.catalog, relation.schema, relation.table)
    catalog, schema, table = (exp.to_identifier(name, quoted=True) for name in names)
    return exp.Table(this=table, db=schema, catalog=catalog).sql(dialect="snowflake")


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
