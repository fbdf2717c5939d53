"""One PostgreSQL server for a test session, and databases in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
import psycopg2.extensions

from demo.postgres import running_postgres

_DATABASE = "parity"


@dataclass(frozen=True)
class PostgresServer:
    """A server that listens only on a socket, and admits its owner without a password."""

    socket_dir: str

    def credentials(self, database: str = _DATABASE, **more: Any) -> Any:
        """The credentials of a dbt target."""
        from dbt.adapters.postgres import PostgresCredentials

        place = {"host": self.socket_dir, "port": 5432, "user": "postgres", "password": ""}
        return PostgresCredentials(**{**place, "database": database, "schema": "legacy", **more})

    def profile(self, schema: str, database: str = _DATABASE) -> dict[str, Any]:
        """A target of a dbt profile."""
        place = {"host": self.socket_dir, "port": 5432, "user": "postgres", "password": ""}
        return {"type": "postgres", **place, "dbname": database, "schema": schema, "threads": 2}

    def run(self, *statements: str, database: str = _DATABASE) -> list[tuple[Any, ...]]:
        """Execute each statement separately; returns the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        with self._connected(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def load(self, table: str, csv: Path, database: str = _DATABASE) -> None:
        """The rows of a CSV file without a header."""
        with self._connected(database) as connection, connection.cursor() as cursor, csv.open() as rows:
            cursor.copy_expert(f"copy {table} from stdin with (format csv)", rows)

    @contextmanager
    def _connected(self, database: str) -> Iterator[psycopg2.extensions.connection]:
        connection = psycopg2.connect(host=self.socket_dir, user="postgres", dbname=database)
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def serving() -> Iterator[PostgresServer]:
    """A server that ends with the tests, however they end.

    Its folder is not pytest's: under root the server runs as another user, and each pytest that starts closes the
    folder of all of pytest's to others.
    """
    with (
        TemporaryDirectory(prefix="parity-postgres-", ignore_cleanup_errors=True) as folder,
        running_postgres(Path(folder, "data"), (_DATABASE,)) as running,
    ):
        server = PostgresServer(running.socket_dir)
        # Nothing has to survive a crash of the machine.
        server.run(
            "alter system set fsync = off",
            "alter system set full_page_writes = off",
            "select pg_reload_conf()",
        )
        yield server
