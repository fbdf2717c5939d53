"""Reads legacy and candidate for a comparison: two DuckDB files, and Parquet or CSV files of either side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from sqlglot import exp
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter
from typing_extensions import Self

from dagster_defs.adapters.warehouse.duckdb.data_files import FileRows, read_files
from dagster_defs.adapters.warehouse.duckdb.text_reading import TextReading, refuse_unknown
from dagster_defs.errors import (
    DatabaseLocked,
    DatabaseUnreadable,
    DriverMissing,
    RelationUnreadable,
    StatementFailed,
)
from dagster_defs.parity import Column, Dialect, Relation, Side
from dagster_defs.parity.fragments import stored
from dagster_defs.parity.text_types import DeclaredType

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

_HOLDER = re.compile(r"\(PID (\d+)\)")
# Another process holds the file, or this process has it open for writing.
_LOCKED = re.compile("Could not set lock|Unique file handle conflict|different configuration", re.IGNORECASE)


class _LockedError(Exception):
    """A failure that may be retried; it never leaves this module."""


class DuckDBPair:
    """The two sides as catalogs `legacy` and `candidate` of one in-memory connection, read-only, in UTC.

    A missing file is not an error here: asking for one of its relations raises RelationUnreadable, which a comparison
    turns into `inconclusive`. A side of None has no database (only files are compared). Opening raises DatabaseLocked
    after waiting for `wait_s` seconds, DatabaseUnreadable for a file that is not a database, DriverMissing without
    DuckDB. Both files are held (shared with other readers) until the pair is closed: keep it short.

    What a comparison needs beyond `memory_limit` goes to a separate temporary folder, which is removed on closing.
    """

    dialect = Dialect.DUCKDB

    def __init__(
        self,
        legacy: Path | None,
        candidate: Path | None,
        *,
        wait_s: float = 10.0,
        memory_limit: str = "500MB",
    ) -> None:
        self._files = {Side.LEGACY: legacy, Side.CANDIDATE: candidate}
        self._wait_s = wait_s
        self._memory_limit = memory_limit
        self._overflow: TemporaryDirectory[str] | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._unreadable: dict[Relation, str] = {}
        self._read: dict[Relation, FileRows] = {}

    def __enter__(self) -> Self:
        try:
            import duckdb
        except ModuleNotFoundError as error:
            raise DriverMissing("DuckDB", "duckdb") from error

        self._overflow = TemporaryDirectory(prefix="parity-compare-")
        try:
            self._connection = duckdb.connect(
                config={
                    "memory_limit": self._memory_limit,
                    "temp_directory": self._overflow.name,
                    # Rows are counted and summed: their order does not matter, and keeping it takes memory.
                    "preserve_insertion_order": False,
                }
            )
            self._connection.execute("set timezone = 'UTC'")
            for side, file in self._files.items():
                if file is not None and file.exists():
                    self._attach(side, file)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._overflow is not None:
            self._overflow.cleanup()
            self._overflow = None

    def relation(self, side: Side, schema: str, table: str) -> Relation:
        """A table or view of that side's database, whether or not it exists."""
        return Relation(side.value, schema, table)

    def files(self, side: Side, name: str, files: Path | Sequence[Path]) -> Relation:
        """One relation over Parquet or CSV files (by their suffix), under `name` in `<side>_files`.

        A path may be a glob or a folder. CSV files have a header, and columns of text (`read_texts` gives them types);
        an empty field is NULL and a quoted empty one an empty string. Files that cannot be read make the comparison
        inconclusive.
        """
        paths = [files] if isinstance(files, Path) else list(files)
        relation = Relation("memory", f"{side}_files", name)
        self._unreadable.pop(relation, None)
        self._read.pop(relation, None)
        try:
            self._run(f"create schema if not exists {side}_files")
            view = read_files(lambda statement: self._answer(statement)[1], paths)
            self._run(f"create or replace view {_sql(relation)} as {view.query}")
            self._read[relation] = view
        except StatementFailed as error:
            self._unreadable[relation] = error.why
        return relation

    def read_texts(
        self,
        legacy: Relation,
        candidate: Relation,
        declared: Mapping[Side, Mapping[str, DeclaredType]],
        time_column: str | None = None,
    ) -> None:
        """Give the CSV columns types in which they lose nothing, considering each column's partner on the other side.

        `time_column`: the one that bounds a window, which must not be mere text. Values that cannot be read as declared
        make the comparison inconclusive. Raises TypeOfNoColumn for the type of a column that no CSV file has.
        """
        relations = {Side.LEGACY: legacy, Side.CANDIDATE: candidate}
        read = {side: self._read[each] for side, each in relations.items() if each in self._read}
        texts = {side: files for side, files in read.items() if files.is_text}
        if self._unreadable.keys().isdisjoint(relations.values()):
            refuse_unknown(texts, declared)
        if not texts:
            return
        columns = {side: [Column(*each) for each in files.columns] for side, files in read.items()}
        for side, relation in relations.items():
            if side not in columns:
                with suppress(RelationUnreadable):
                    columns[side] = self.columns(relation) or []
        reading = TextReading(self.rows, texts, columns, declared)
        for side, relation in relations.items():
            if side not in texts or relation in self._unreadable:
                continue
            try:
                query = reading.query(side, time_column)
                self._run(f"create or replace view {_sql(relation)} as {query}")
            except StatementFailed as error:
                self._unreadable[relation] = error.why

    def columns(self, relation: Relation) -> list[Column] | None:
        if relation in self._unreadable:
            raise RelationUnreadable(str(relation), self._unreadable[relation])
        if relation.catalog in list(Side):
            file = self._files[Side(relation.catalog)]
            if file is None:
                raise RelationUnreadable(str(relation), f"no {relation.catalog} database was given")
            if not self._attached(relation.catalog):
                raise RelationUnreadable(str(relation), f"the file {file} does not exist")
        if relation in self._read:
            described = self.rows(f"describe select * from {_sql(relation)}")  # noqa: S608 - quoted
            return [Column(row["column_name"], row["column_type"]) for row in described]
        _, answer = self._answer(
            "select column_name, data_type from duckdb_columns()"
            " where database_name = ? and schema_name = ? and table_name = ? order by column_index",
            [relation.catalog, relation.schema, relation.table],
        )
        return [Column(name, kind) for name, kind in answer] or None

    def unique_keys(self, relation: Relation) -> list[tuple[str, ...]]:
        """A file has none."""
        _, answer = self._answer(
            "select constraint_type, constraint_column_names from duckdb_constraints()"
            " where database_name = ? and schema_name = ? and table_name = ?"
            " order by constraint_type, constraint_index",  # PRIMARY KEY before UNIQUE
            [relation.catalog, relation.schema, relation.table],
        )
        filled = {name for kind, names in answer if kind in ("NOT NULL", "PRIMARY KEY") for name in names}
        keys = (tuple(names) for kind, names in answer if kind in ("PRIMARY KEY", "UNIQUE"))
        return [key for key in keys if filled.issuperset(key)]

    def rows(self, statement: str) -> list[dict[str, Any]]:
        names, values = self._answer(statement)
        return [dict(zip(names, row, strict=True)) for row in values]

    def _attach(self, side: Side, file: Path) -> None:
        attach = exp.Literal.string(str(file)).sql(dialect="duckdb")
        until_unlocked(file, lambda: self._run(f"attach {attach} as {side} (read_only)"), self._wait_s)

    def _attached(self, catalog: str) -> bool:
        query = "select 1 from duckdb_databases() where database_name = ?"
        return bool(self._answer(query, [catalog])[1])

    def _run(self, statement: str) -> None:
        self._answer(statement)

    def _answer(
        self, statement: str, parameters: list[str] | None = None
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The column names, and the rows. DuckDB may fail as late as while fetching them."""
        import duckdb

        if self._connection is None:
            raise StatementFailed("the pair of databases is not open")
        try:
            result = self._connection.execute(statement, parameters)
            return [column[0] for column in result.description or ()], result.fetchall()
        except duckdb.Error as error:
            raise StatementFailed(str(error).splitlines()[0]) from error


def until_unlocked(file: Path, attempt: Callable[[], T], wait_s: float) -> T:
    """The result of `attempt` to open the file, which is repeated while another process or connection holds it.

    Raises DatabaseLocked after `wait_s` seconds, DatabaseUnreadable for any other fault of the file.
    """
    import duckdb

    held: list[str] = []

    def once() -> T:
        try:
            return attempt()
        except (StatementFailed, duckdb.Error) as error:
            why = error.why if isinstance(error, StatementFailed) else str(error).splitlines()[0]
            if not _LOCKED.search(why):
                raise DatabaseUnreadable(file, why) from error
            held.append(why)
            raise _LockedError from error

    retrying = Retrying(
        retry=retry_if_exception_type(_LockedError),
        stop=stop_after_delay(wait_s),
        wait=wait_exponential_jitter(multiplier=0.05, max=1.0, jitter=0.05),
        reraise=True,
    )
    try:
        return retrying(once)
    except _LockedError as error:
        holder = _HOLDER.search(held[-1])
        raise DatabaseLocked(file, int(holder[1]) if holder else None, wait_s) from error


def _sql(relation: Relation) -> str:
    return stored(relation).sql(dialect="duckdb")
