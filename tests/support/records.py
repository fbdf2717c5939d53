"""Stores of the record in the tests' own PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from dagster_defs.adapters.store.postgres.leases import SECONDS, Leases
from dagster_defs.adapters.store.postgres.session import SCHEMA, Address
from dagster_defs.adapters.store.postgres.store import PostgresStore
from tests.support.postgres import PostgresServer


def url_of(server: PostgresServer, user: str = "postgres") -> str:
    return f"postgresql://{user}@/parity?host={server.socket_dir}"


def forget(server: PostgresServer) -> None:
    """As if no store had ever been there."""
    server.run("set client_min_messages = warning", f"drop schema if exists {SCHEMA} cascade")


def store_at(
    url: str, folder: Path | None, *, who: str = "ada@ops", seconds: float = SECONDS
) -> PostgresStore:
    """`folder`: where Airflow reads its marks. `seconds`: how long a lease lasts."""
    address = Address.parse(url)
    return PostgresStore(address, folder, who=who, leases=Leases(address, seconds))
