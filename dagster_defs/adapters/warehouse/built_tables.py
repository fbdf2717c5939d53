"""What a run of dbt has left in its relations: rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlglot import exp

from dagster_defs.adapters.dbt.child_run import ChildRun
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.run import DbtRun
from dagster_defs.adapters.warehouse.places import Readers, place_of_relation
from dagster_defs.errors import ParityError
from dagster_defs.parity import Reader, Relation
from dagster_defs.parity.fragments import as_, select, stored

_SECONDS_FOR_LOCKS = 10.0  # to wait for a file that another process opens as soon as dbt has released it


class BuiltTables(Protocol):
    """Asked while a result of dbt's is being handled."""

    def count_rows(self, relation: str) -> int | None:
        """`relation`: named as in the manifest. None if the warehouse refuses."""
        ...

    def columns_of(self, node: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Name and type of each column of a node's relation; empty if the warehouse does not say."""
        ...


@contextmanager
def tables_built_by(run: DbtRun | ChildRun, workspace: DbtWorkspace) -> Iterator[BuiltTables]:
    """A dbt in this process is asked on its own connection. Beside another process, the target is read as for a
    comparison."""
    if isinstance(run, DbtRun):
        yield run
        return
    with Readers() as readers:
        yield _ReadTables(workspace, readers)


@dataclass(frozen=True)
class _ReadTables:
    workspace: DbtWorkspace
    readers: Readers

    def count_rows(self, relation: str) -> int | None:
        try:
            with self._of(relation) as (reader, table):
                rows = select(as_(exp.Count(this=exp.Star()), "n")).from_(stored(table))
                [counted] = reader.rows(rows.sql(dialect=reader.dialect.value, identify=True))
        except ParityError:
            return None
        return int(counted["n"])

    def columns_of(self, node: Mapping[str, Any]) -> list[tuple[str, str]]:
        try:
            with self._of(node["relation_name"]) as (reader, table):
                return [(column.name, column.type) for column in reader.columns(table) or ()]
        except ParityError:
            return []

    @contextmanager
    def _of(self, relation: str) -> Iterator[tuple[Reader, Relation]]:
        place = place_of_relation(self.workspace, relation)
        with self.readers.of_one(place, relation, _SECONDS_FOR_LOCKS) as found:
            yield found
