"""Entries of one cutover, and stores of the record in the tests' own PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from dagster_defs.adapters.store.channels import Folders
from dagster_defs.adapters.store.marks_folders import MarksFolders
from dagster_defs.adapters.store.postgres.leases import SECONDS, Leases
from dagster_defs.adapters.store.postgres.session import SCHEMA, Address
from dagster_defs.adapters.store.postgres.store import PostgresStore
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move
from tests.support.postgres import PostgresServer

UNIT, OTHER = Unit("taxi_daily", "dbt_daily"), Unit("taxi_daily", "dbt_zones")
NIGHT = datetime(2024, 3, 9, 22, tzinfo=timezone.utc)
INTENT = Entry("a1", NIGHT, "ada@ops", UNIT, Move.CUTOVER, Kind.INTENDED, Stage.SHADOWED)
DONE = replace(INTENT, kind=Kind.DONE)
LEASE = 2.0  # seconds; so that a test need not wait for long


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
    channel = Folders(MarksFolders(folder), address.shown)
    return PostgresStore(address, channel, who=who, leases=Leases(address, seconds))
