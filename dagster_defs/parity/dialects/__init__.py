"""The warehouses whose SQL the comparison speaks: one row for each.

Whatever differs between them is looked up here, so that nothing else branches on a dialect's name.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagster_defs.parity.dialects.duckdb import DuckDBSql
from dagster_defs.parity.dialects.postgres import PostgresSql
from dagster_defs.parity.dialects.snowflake import SnowflakeSql
from dagster_defs.parity.dialects.sql import Sql
from dagster_defs.parity.records import Dialect

__all__ = ["Sql", "in_a_file", "sql_of", "told_apart_by"]

_ROWS: Mapping[Dialect, Sql] = {sql.dialect: sql for sql in (DuckDBSql(), PostgresSql(), SnowflakeSql())}


def sql_of(dialect: Dialect) -> Sql:
    return _ROWS[dialect]


def in_a_file(kind: str) -> bool:
    """Whether databases of a dbt target of that type are files with one writer."""
    return any(sql.in_a_file for dialect, sql in _ROWS.items() if dialect.value == kind)


def told_apart_by(kind: str) -> str:
    """The field of a dbt target's credentials that distinguishes its warehouse from others, and is not an address."""
    return next(
        (sql.told_apart_by for dialect, sql in _ROWS.items() if dialect.value == kind), "unique_field"
    )
