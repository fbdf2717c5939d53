"""Dagster instances of tests: as `dagster.instance_for_test` makes them, from files that are made once.

Each instance has some fifty tables, each run has a database of its own, and SQLite waits for the disk after each table
and each event. For each event Dagster makes engines anew, which compile the same statements again; for each run, and
each instance, Alembic imports every migration that Dagster ever had.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy import event
from sqlalchemy.engine import Engine

_EventLog = sqlite_event_log.SqliteEventLogStorage
_STORAGES: tuple[Any, ...] = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)
_make_tables = _EventLog._initdb
_read_migrations = ScriptDirectory.from_config


@contextmanager
def instance_for_test(**options: Any) -> Iterator[dg.DagsterInstance]:
    """A persistent instance of its own; the options are those of `dagster.instance_for_test`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shutil.copytree(_empty(), folder, dirs_exist_ok=True)
        with dg.instance_for_test(temp_dir=folder, **options) as instance:
            yield instance


@lru_cache
def _empty() -> Path:
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with dg.instance_for_test(temp_dir=folder) as instance:
        assert instance.run_storage
        assert instance.event_log_storage
        assert instance.schedule_storage
    return Path(folder)


def keep_engines() -> None:
    """Let Dagster's SQLite storages in this process reuse engines, statements, migrations and an empty run's tables."""
    for storage in _STORAGES:
        storage.create_engine = _engine
    ScriptDirectory.from_config = _migrations  # type: ignore[method-assign]
    _EventLog._initdb = _copy_tables  # type: ignore[method-assign]


def _engine(url: str, poolclass: Any, connect_args: dict[str, Any] | None = None) -> Engine:
    return _engine_at(url, poolclass, tuple((connect_args or {}).items()))


@lru_cache(maxsize=500)
def _engine_at(url: str, poolclass: Any, connect_args: tuple[tuple[str, Any], ...]) -> Engine:
    engine = sqlalchemy.create_engine(url, poolclass=poolclass, connect_args=dict(connect_args))
    engine.dialect, engine._compiled_cache = _compiled()  # a statement is compiled for one dialect
    return engine


@cache
def _compiled() -> tuple[Any, Any]:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect():  # the dialect learns what its SQLite can do
        return engine.dialect, engine._compiled_cache


@cache
def _migrations_at(location: str) -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", location)
    return _read_migrations(config)


def _migrations(config: Config) -> ScriptDirectory:
    return _migrations_at(config.get_main_option("script_location") or "")


def _copy_tables(self: Any, engine: Engine, for_index_shard: bool = False) -> None:
    """The tables of a run, from the file of one that had no events; another process may make them, too."""
    file = Path(engine.url.database or "")
    if not for_index_shard and not file.exists():
        own = file.with_suffix(f".{os.getpid()}")
        own.write_bytes(make_an_empty_run())
        with suppress(FileExistsError):
            os.link(own, file)
        own.unlink()
    _make_tables(self, engine, for_index_shard)


@cache
def make_an_empty_run() -> bytes:
    """The database of a run that has no events yet."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        engine = sqlalchemy.create_engine(f"sqlite:///{file}", poolclass=sqlalchemy.NullPool)
        _make_tables(None, engine)  # type: ignore[arg-type]  # it makes no use of itself
        return file.read_bytes()


def never_wait_for_the_disk() -> None:
    """Let SQLite return before the disk has written, in this process: no test outlives a power cut."""
    event.listen(Engine, "connect", _without_waiting)


def _without_waiting(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("pragma synchronous = off")
