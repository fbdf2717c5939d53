"""A task's SQL on DuckDB: the candidate has a file of its own, beside which legacy's is attached for reading only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlglot import exp

from dagster_defs.adapters.dbt.run import working_directory_kept
from dagster_defs.adapters.warehouse.duckdb.new_file import make_for_all
from dagster_defs.adapters.warehouse.duckdb.reader import until_unlocked
from dagster_defs.adapters.warehouse.seam import CandidateWork, SqlWork
from dagster_defs.errors import StatementFailed
from dagster_defs.parity.fragments import quoted

LEGACY = "parity_legacy"  # the name of legacy's database, if the candidate's has the same one
_SECONDS_FOR_LOCKS = 60.0


def execute(work: SqlWork) -> None:
    import duckdb

    try:
        with _cursor(work) as cursor, _limit(cursor, work.timeout):
            if work.candidate is not None:
                _make_lacking(cursor, work.candidate)
            cursor.execute(f"use {_own(work)}")
            explicit = work.candidate is not None or not work.autocommit
            if explicit:
                cursor.execute("begin")  # closing rolls back
            work.run(cursor)
            if explicit:
                cursor.execute("commit")
    except duckdb.Error as error:
        raise StatementFailed(str(error).splitlines()[0]) from error


@contextmanager
def _cursor(work: SqlWork) -> Iterator[Any]:
    from dbt.adapters.duckdb import environments

    project_dir, credentials = work.workspace.project_dir, work.workspace.credentials
    file = work.workspace.database_file
    make_for_all(file)
    with working_directory_kept():
        os.chdir(project_dir)  # file paths are relative to it, as in dbt
        environment = environments.create(credentials)
        try:
            handle = until_unlocked(file, environment.handle, _SECONDS_FOR_LOCKS)
            cursor = handle.cursor()
            if work.candidate is not None:
                _attach(cursor, file, work)
            yield cursor
            handle.close()
        finally:
            environment.close()


def _attach(cursor: Any, file: Path, work: SqlWork) -> None:
    """Legacy's file for reading only, under its own name if that is free."""
    assert work.candidate is not None  # noqa: S101 - only called for one
    legacy = work.candidate.legacy
    legacy_file, name = legacy.database_file, legacy.credentials.database
    if legacy_file == file or not legacy_file.exists():
        return
    seen_as = LEGACY if name == work.workspace.credentials.database else name
    text = exp.Literal.string(str(legacy_file)).sql(dialect="duckdb")
    attach = f"attach {text} as {quoted(seen_as).sql(dialect='duckdb')} (read_only)"
    until_unlocked(legacy_file, lambda: cursor.execute(attach), _SECONDS_FOR_LOCKS)


def _make_lacking(cursor: Any, candidate: CandidateWork) -> None:
    import duckdb

    for schema in candidate.schemas:
        cursor.execute(f"create schema if not exists {schema}")
    for probe, make in candidate.lacking:
        with suppress(duckdb.CatalogException, duckdb.BinderException):  # legacy does not have it either
            cursor.execute(probe)
            cursor.execute(make)


def _own(work: SqlWork) -> str:
    credentials = work.workspace.credentials
    return ".".join(quoted(name).sql(dialect="duckdb") for name in (credentials.database, credentials.schema))


@contextmanager
def _limit(cursor: Any, seconds: float | None) -> Iterator[None]:
    """DuckDB gives no signal to Python while it works."""
    timer = threading.Timer(seconds, cursor.interrupt) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
