"""The start of a candidate run on DuckDB: what it needs from legacy's file is copied into the candidate's.

Each side has its own file, and a file has one writer, so dbt must not read legacy's while Airflow may want to write it.
Legacy's file is held, read-only, only while copying, and nothing is left attached.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlglot import exp
from typing_extensions import Self

from dagster_defs.adapters.dbt.run import working_directory_kept
from dagster_defs.adapters.warehouse.duckdb.new_file import make_for_all
from dagster_defs.adapters.warehouse.duckdb.reader import until_unlocked
from dagster_defs.adapters.warehouse.duckdb.views import Name, columns_of, definitions, kind_of
from dagster_defs.errors import StatementFailed
from dagster_defs.older_python import datetime_of
from dagster_defs.parity import NO_ZONES, ComparisonSpec, Dialect, Relation, Zones
from dagster_defs.parity.bounds import reversed_bounds, window_filter
from dagster_defs.parity.families import parse_type
from dagster_defs.parity.fragments import stored
from dagster_defs.parity.schema import find_column

PREFIX = "legacy__"  # of the candidate schemas with copies of legacy's relations
_LEGACY = "parity_legacy"  # the name of legacy's file, if the candidate's has the same one
_KEPT = (f"{PREFIX}parity", "baselines")  # records which candidate tables began with a copy


class CandidateFile:
    """The candidate's file, open for writing as dbt opens it, with legacy's file attached.

    Raises DatabaseLocked if one of the files is held for longer than `wait_s` seconds, DatabaseUnreadable for a file
    that is not a database, StatementFailed if DuckDB refuses a statement.
    """

    def __init__(
        self, legacy: Path, candidate: Path, credentials: Any, project_dir: Path, *, wait_s: float
    ) -> None:
        """`credentials`: those of the dbt project's candidate target, `candidate`."""
        self._legacy_file = legacy
        self._candidate_file = candidate
        self._credentials = credentials
        self._project_dir = project_dir
        self._wait_s = wait_s
        self._signature = ""
        self._open = ExitStack()
        self._cursor: Any = None
        self.catalog: str = credentials.database
        self._own = legacy.stem
        # Views that DuckDB wrote before 2.0 name their own file.
        self._legacy = self._own if self._own.casefold() != self.catalog.casefold() else _LEGACY

    def __enter__(self) -> Self:
        from dbt.adapters.duckdb import environments

        make_for_all(self._candidate_file)
        with ExitStack() as opening:
            opening.enter_context(working_directory_kept())
            os.chdir(self._project_dir)  # file paths in views are relative to it, as in dbt
            environment = environments.create(self._credentials)
            opening.callback(environment.close)
            handle = until_unlocked(self._candidate_file, environment.handle, self._wait_s)
            opening.callback(handle.close)
            self._cursor = handle.cursor()
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def attach_legacy(self) -> None:
        """Call this before any query on legacy, whose file must exist."""
        if self._legacy_file == self._candidate_file:
            self._legacy = self.catalog  # one file, with separate schemas
            return
        file = exp.Literal.string(str(self._legacy_file)).sql(dialect="duckdb")
        until_unlocked(
            self._legacy_file,
            lambda: self._run(f"attach {file} as {_quoted(self._legacy)} (read_only)"),
            self._wait_s,
        )
        # Read while nobody can write the file: any later write changes its times or sizes.
        self._signature = " ".join(_state_of(self._legacy_file))

    def has_in_legacy(self, name: Name) -> bool:
        return self._kind(self._legacy, name) is not None

    def has_in_candidate(self, name: Name) -> bool:
        return self._kind(self.catalog, name) is not None

    def copy(self, name: Name) -> Name:
        """Copy a relation of legacy's; returns the name of the copy.

        A table is copied unless legacy's file is unchanged since the last copy. A view that ultimately reads only files
        is copied as its definition, along with the views that it reads; any other view is copied as rows.
        """
        if self._kind(self._legacy, name) == "table":
            self._copy_rows(name, self._signature)
        elif not self._copy_views(name):
            # The view's files or functions may change while legacy's file does not, so there is no signature.
            self._copy_rows(name, "")
        return _copied(name)

    def begin_with_legacy(
        self,
        name: Name,
        candidate: Name,
        time_column: str | None,
        lower: str | None,
        zones: Zones = NO_ZONES,
    ) -> None:
        """Copy legacy's rows before `lower` (all rows without a time column) as if the candidate had built them.

        Does nothing if there are none: legacy began with this window too, and so does the candidate.
        """
        source = exp.select("*").from_(stored(Relation(self._legacy, *name)))
        if time_column is not None and lower is not None:
            source = source.where(self._before(name, time_column, lower, zones))
        if not self._run(source.copy().limit(1).sql(dialect="duckdb")).fetchall():
            return
        for schema in (candidate[0], _KEPT[0]):
            self._make_schema(schema)
        kept = self._place(_KEPT)
        self._run(
            f"create table if not exists {kept} (schema_name text, table_name text, copied_at text, until text)"
        )
        copied_at = datetime.now(timezone.utc).isoformat(sep=" ")
        self._run("begin")  # an interrupted run leaves neither; closing rolls back
        self._run(f"delete from {kept} where schema_name = ? and table_name = ?", [*candidate])  # noqa: S608 - quoted
        self._run(f"insert into {kept} values (?, ?, ?, ?)", [*candidate, copied_at, lower])  # noqa: S608 - quoted
        self._run(f"create table {self._place(candidate)} as {source.sql(dialect='duckdb')}")
        self._run("commit")

    def holds_copy_of(self, candidate: Name, lower: str | None, legacy_began: datetime | None) -> str:
        """Why the rows of a window may be a copy of legacy's instead of the candidate's work; empty if they are not.

        `lower`: the start of the window, for a table with a time column. `legacy_began`: when legacy's run of the
        window began, None if unknown.
        """
        if self._kind(self.catalog, _KEPT) is None:
            return ""
        kept = self._run(
            f"select copied_at, until from {self._place(_KEPT)} where schema_name = ? and table_name = ?",  # noqa: S608 - quoted
            [*candidate],
        ).fetchall()
        for copied_at, until in kept:
            if until is not None and lower is not None:
                if reversed_bounds(until, lower):
                    return (
                        f"the candidate began with a copy of legacy's rows before {until}, this window's too"
                    )
            elif legacy_began is None or legacy_began <= datetime_of(copied_at):
                return (
                    f"the candidate began with a copy of legacy of {copied_at}, which has this window in it"
                )
        return ""

    def _copy_rows(self, name: Name, signature: str) -> None:
        copy = _copied(name)
        if signature and self._comment(copy) == signature:
            return
        self._make_room(copy, "table")
        self._run(
            f"create or replace table {self._place(copy)} as from {_sql(Relation(self._legacy, *name))}"
        )
        if signature:
            literal = exp.Literal.string(signature).sql(dialect="duckdb")
            self._run(f"comment on table {self._place(copy)} is {literal}")

    def _copy_views(self, name: Name) -> bool:
        """False if it is not a view of files, or cannot be created here: it may call a function in legacy's file."""
        try:
            for view, query in (definitions(self._run, self._legacy, name, _moved, self._own) or {}).items():
                copy = _copied(view)
                columns = ", ".join(_quoted(each.name) for each in columns_of(self._run, self._legacy, view))
                self._make_room(copy, "view")
                self._run(f"create or replace view {self._place(copy)} ({columns}) as {query}")
                self._run(f"from {self._place(copy)} limit 0")
        except StatementFailed:
            return False
        return self._kind(self.catalog, _copied(name)) == "view"

    def _make_room(self, copy: Name, kind: str) -> None:
        self._make_schema(copy[0])
        if (there := self._kind(self.catalog, copy)) not in (None, kind):
            self._run(f"drop {there} {self._place(copy)}")

    def _make_schema(self, name: str) -> None:
        self._run(f"create schema if not exists {_sql(Relation(self.catalog, name, ''))}")

    def _before(self, name: Name, time_column: str, lower: str, zones: Zones) -> exp.Expr:
        relation = Relation(self._legacy, *name)
        time = find_column(time_column, columns_of(self._run, self._legacy, name))
        if time is None:
            raise StatementFailed(
                f"{relation} has no column {time_column!r}: mend `time_column` in the unit's YAML"
            )
        spec = ComparisonSpec(name[1], relation, relation, time_column=time.name, upper=lower, zones=zones)
        return window_filter(spec, time, parse_type(time.type), Dialect.DUCKDB)

    def _kind(self, catalog: str, name: Name) -> str | None:
        return kind_of(self._run, catalog, name)

    def _comment(self, name: Name) -> str | None:
        rows = self._run(
            "select comment from duckdb_tables() where database_name = ? and schema_name = ? and table_name = ?",
            [self.catalog, *name],
        ).fetchall()
        return rows[0][0] if rows else None

    def _place(self, name: Name) -> str:
        return _sql(Relation(self.catalog, *name))

    def _run(self, statement: str, parameters: list[Any] | None = None) -> Any:
        import duckdb

        try:
            return self._cursor.execute(statement, parameters)
        except duckdb.Error as error:
            raise StatementFailed(str(error).splitlines()[0]) from error


def _moved(schema: str) -> str:
    return f"{PREFIX}{schema}"


def _copied(name: Name) -> Name:
    schema, table = name
    return _moved(schema), table


def _sql(relation: Relation) -> str:
    names = (relation.catalog, relation.schema, relation.table)
    return ".".join(_quoted(name) for name in names if name)


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")


def _state_of(file: Path) -> Iterator[str]:
    """Times and sizes of a DuckDB file and of its write-ahead log."""
    for path in (file, file.with_name(file.name + ".wal")):
        if path.exists():
            status = path.stat()
            yield f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"
