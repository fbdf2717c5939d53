"""Dagster instances of tests: as `dagster.instance_for_test` makes them, from files that are made once.

Each instance has some fifty tables, and SQLite waits for the disk after each of them and after each event.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import event
from sqlalchemy.engine import Engine


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


def never_wait_for_the_disk() -> None:
    """Let SQLite return before the disk has written, in this process: no test outlives a power cut."""
    event.listen(Engine, "connect", _without_waiting)


def _without_waiting(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("pragma synchronous = off")
