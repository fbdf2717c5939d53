"""The corruptible estate on PostgreSQL: raw tables instead of raw files, both sides in one database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tests.support.corruptions import CorruptibleEstate
from tests.support.postgres import PostgresServer

DATABASE = "taxi"
_TYPES = {"VARCHAR": "text", "DOUBLE": "double precision"}
# DuckDB has a function of that name, which makes the statement that calls it fail.
_ERROR = """
create function error(said text) returns boolean language plpgsql as $$ begin raise exception '%', said; end $$
"""


def settings_of(server: PostgresServer) -> dict[str, str]:
    """The environment that makes both sides run on the server."""
    return {
        "PARITY_LEGACY_TARGET": "postgres",
        "PARITY_CANDIDATE_TARGET": "postgres_candidate",
        "TAXI_DBT_TARGET": "postgres",
        "POSTGRES_HOST": server.socket_dir,
        "POSTGRES_USER": "postgres",
        "POSTGRES_DATABASE": DATABASE,
    }


@dataclass
class PostgresEstate(CorruptibleEstate):
    """`keep` copies the database by its name, `restore` brings it back."""

    server: PostgresServer | None = None

    @property
    def postgres(self) -> PostgresServer:
        assert self.server is not None
        return self.server

    def ingest(self) -> None:
        super().ingest()
        self.postgres.run(f"create database {DATABASE}")
        self.postgres.run(
            "create schema raw", "create table public.faults (name text)", _ERROR, database=DATABASE
        )
        for table in ("zones", "trips"):
            self._load(table)

    def _load(self, table: str) -> None:
        files = self.root / "data" / "legacy" / "raw" / table / "*.parquet"
        csv = self.root / f"{table}.csv"
        with duckdb.connect() as connection:
            rows = connection.sql(f"from read_parquet('{files}')")
            columns = ", ".join(
                f"{name} {_TYPES.get(str(kind), str(kind))}"
                for name, kind in zip(rows.columns, rows.types, strict=True)
            )
            rows.write_csv(str(csv), header=False)
        self.postgres.run(f"create table raw.{table} ({columns})", database=DATABASE)
        self.postgres.load(f"raw.{table}", csv, database=DATABASE)

    @contextlib.contextmanager
    def planted(self, fault: str) -> Iterator[None]:
        """Faults are rows of a table: the server runs as another user and does not see the files of the tests."""
        with super().planted(fault):
            self.postgres.run(f"insert into public.faults values ('{fault}')", database=DATABASE)  # noqa: S608 - fixed
            try:
                yield
            finally:
                self.postgres.run("delete from public.faults", database=DATABASE)

    def keep(self, name: str) -> None:
        super().keep(name)
        self._copy(DATABASE, f"kept_{name}")

    def restore(self, name: str) -> None:
        super().restore(name)
        self.postgres.run(f"drop database {DATABASE} with (force)")
        self._copy(f"kept_{name}", DATABASE)

    def _copy(self, database: str, copy: str) -> None:
        alone = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"  # noqa: S608 - fixed
        self.postgres.run(alone, f"create database {copy} template {database}")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.postgres.run(query, database=DATABASE)


def estate_on(server: PostgresServer, root: Path, airflow_url: str, inventory: Path) -> PostgresEstate:
    return PostgresEstate(root, airflow_url, inventory, settings=settings_of(server), server=server)
