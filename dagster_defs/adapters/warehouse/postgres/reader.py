"""Reads both sides of a comparison on PostgreSQL: one session, one snapshot; only the results leave the server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar

from typing_extensions import Self

from dagster_defs.errors import StatementFailed
from dagster_defs.parity import Column, Dialect, Relation

APPLICATION = "parity-compare"
OLDEST = 140_000  # the first version with `bit_xor` and infinite numbers
# A value's text determines its hash, so no setting of the server, database or user may influence it.
_SETTINGS = (
    "set timezone = 'UTC'",
    "set datestyle = 'ISO, YMD'",
    "set intervalstyle = 'postgres'",
    "set extra_float_digits = 1",
    "set bytea_output = 'hex'",
    "set lc_monetary = 'C'",
    "set standard_conforming_strings = on",
)
_COLUMNS = """
with recursive found as (
    select a.attnum, a.attname, a.atttypid as kind, a.atttypmod as modifier
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'v', 'm', 'p', 'f')
        and a.attnum > 0 and not a.attisdropped
    union all
    select f.attnum, f.attname, t.typbasetype, case when t.typtypmod = -1 then f.modifier else t.typtypmod end
    from found f
    join pg_catalog.pg_type t on t.oid = f.kind and t.typtype = 'd'
)
select f.attname, pg_catalog.format_type(f.kind, f.modifier), t.typtype = 'e'
from found f
join pg_catalog.pg_type t on t.oid = f.kind and t.typtype <> 'd'
order by f.attnum
"""
# An index on a table with children does not cover the children's rows, which a query of the table returns too.
_UNIQUE_KEYS = """
select array_agg(a.attname::text order by k.place)
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral unnest(i.indkey::smallint[]) with ordinality as k(attnum, place)
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
where n.nspname = %s and c.relname = %s and not (c.relkind = 'r' and c.relhassubclass)
    and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null and k.place <= i.indnkeyatts
group by i.indexrelid, i.indisprimary
having bool_and(a.attnotnull)
order by i.indisprimary desc, i.indexrelid
"""


class PostgresSession:
    """A session of dbt's own connection, with its credentials and role; in UTC, and named.

    Opening raises StatementFailed if PostgreSQL denies access. Each statement ends after `timeout` seconds. Messages
    contain no address, and no values except what the server quotes in its first line.
    """

    dialect: ClassVar[Dialect] = Dialect.POSTGRES

    def __init__(self, credentials: Any, *, timeout: int = 3600, writes: bool = False) -> None:
        """`credentials`: those of a dbt target (`DbtWorkspace.credentials`)."""
        self._credentials = credentials
        self._timeout = timeout
        self._writes = writes
        self._session: Any = None
        self.is_lost = False  # the connection has failed, and not only a statement

    def __enter__(self) -> Self:
        self._session = connect(self._credentials)
        try:
            self._session.commit()  # dbt has set its role
            self._session.set_session(
                isolation_level="REPEATABLE READ", readonly=not self._writes, autocommit=False
            )
            if self._session.server_version < OLDEST:
                raise StatementFailed(
                    f"PostgreSQL 14 is the oldest that can be compared, and this is {_of(self)}"
                )
            for setting in (
                *_SETTINGS,
                f"set statement_timeout = '{self._timeout}s'",
                f"set application_name = '{APPLICATION}'",
            ):
                self._answer(setting)
            self.rest()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the session, rolling back what is not committed."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def rest(self) -> None:
        """End the transaction; the next statement begins another, with a new snapshot."""
        if self._session is not None and not self._session.closed:
            self._session.commit()

    def columns(self, relation: Relation) -> list[Column] | None:
        """A domain counts as its base type; an enumeration is `ENUM(name)`."""
        _, described = self._answer(_COLUMNS, (relation.schema, relation.table))
        return [
            Column(name, f"ENUM({kind})" if is_enumeration else kind)
            for name, kind, is_enumeration in described
        ] or None

    def unique_keys(self, relation: Relation) -> list[tuple[str, ...]]:
        """Those of constraints, and of valid indexes that cover all rows."""
        _, answer = self._answer(_UNIQUE_KEYS, (relation.schema, relation.table))
        return [tuple(names) for (names,) in answer]

    def rows(self, statement: str) -> list[dict[str, Any]]:
        names, values = self._answer(statement)
        return [dict(zip(names, row, strict=True)) for row in values]

    def _answer(
        self, statement: str, parameters: Sequence[str | None] | None = None
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        if self._session is None:
            raise StatementFailed("the session is not open")
        import psycopg2

        try:
            with self._session.cursor() as cursor:
                cursor.execute(statement, parameters)
                described = cursor.description
                return [each.name for each in described or ()], cursor.fetchall() if described else []
        except psycopg2.Error as error:
            with suppress(psycopg2.Error):
                self._session.rollback()
            self.is_lost = bool(self._session.closed)
            raise StatementFailed(said_of(error)) from None  # the original error reveals more than that


def _of(session: PostgresSession) -> str:
    version = session._session.server_version
    return f"{version // 10_000}.{version % 10_000}"


def connect(credentials: Any) -> Any:
    from dbt.adapters.contracts.connection import Connection, ConnectionState
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    connection = Connection(
        type="postgres", name=APPLICATION, state=ConnectionState.INIT, credentials=credentials
    )
    try:
        return PostgresConnectionManager.open(connection).handle
    except Exception as error:  # the driver's and dbt's errors have no common base class
        raise StatementFailed(without_address(str(error))) from None  # as above


def said_of(error: Any) -> str:
    """The server's own words, without values and addresses."""
    return getattr(error.diag, "message_primary", None) or without_address(str(error))


def without_address(message: str) -> str:
    """The reason of a failed connection, without the server, the database and the user."""
    message = (
        message.strip().removeprefix("Database Error").strip()
    )  # dbt's heading above the driver's message
    line = (message or "the connection failed").splitlines()[0]
    _, failed, reason = line.rpartition(" failed: ")
    if failed:
        line = reason
    elif "translate host name" in line:
        line = "the name of the server is not known here"
    line = re.sub(r"\"[^\"]*\"|'[^']*'", "…", line)
    return re.sub(
        r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*\b|\bport \d+\b", "…", line
    )
