"""Two in-memory databases under the names that a comparison uses, and a reader of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import duckdb
import pytest

from dagster_defs.parity import Column, Dialect, Relation, Side

Put = Callable[[Side, Mapping[str, str], Iterable[tuple[Any, ...]]], Relation]


class MemoryReader:
    """Keeps every statement that it was asked, so that a test can say what was not asked."""

    dialect = Dialect.DUCKDB

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.statements: list[str] = []

    def columns(self, relation: Relation) -> list[Column] | None:
        found = self.connection.execute(
            "select column_name, data_type from duckdb_columns()"
            " where database_name = ? and table_name = ? order by column_index",
            [relation.catalog, relation.table],
        ).fetchall()
        return [Column(*row) for row in found] or None

    def rows(self, statement: str) -> list[dict[str, Any]]:
        self.statements.append(statement)
        result = self.connection.execute(statement)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.fixture(scope="session")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        # What is compared must not depend on it.
        connection.execute("set timezone = 'Asia/Kathmandu'")
        for side in Side:
            connection.execute(f"attach ':memory:' as {side}")
        yield connection


@pytest.fixture(scope="session")
def reader(connection: duckdb.DuckDBPyConnection) -> MemoryReader:
    return MemoryReader(connection)


@pytest.fixture(scope="session")
def put(connection: duckdb.DuckDBPyConnection) -> Put:
    """Replaces the one table of a side: names and types of its columns, then its rows."""

    def put(side: Side, columns: Mapping[str, str], rows: Iterable[tuple[Any, ...]]) -> Relation:
        listed = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, kind in columns.items())
        connection.execute(f"create or replace table {side}.main.t ({listed})")
        rows = list(rows)
        if rows:
            marks = ", ".join([f"({', '.join('?' for _ in columns)})"] * len(rows))
            values = [value for row in rows for value in row]
            connection.execute(f"insert into {side}.main.t values {marks}", values)  # noqa: S608 - fixed
        return Relation(side.value, "main", "t")

    return put
