"""DuckDB's entry in the registry: database files, and Parquet and CSV files, which it reads too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from sqlglot import exp

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.warehouse.duckdb import read_only
from dagster_defs.adapters.warehouse.duckdb.data_files import SUFFIXES
from dagster_defs.adapters.warehouse.duckdb.execute import LEGACY, execute
from dagster_defs.adapters.warehouse.duckdb.reader import DuckDBPair
from dagster_defs.adapters.warehouse.duckdb.start import CandidateFile
from dagster_defs.adapters.warehouse.seam import (
    Begin,
    Begun,
    Files,
    Past,
    Place,
    ReadModel,
    SqlWork,
    Table,
    home,
)
from dagster_defs.parity import Reader, Relation, Side


class DuckDBWarehouse:
    kind: ClassVar[str] = "duckdb"
    title: ClassVar[str] = "DuckDB"
    keeps_its_past: ClassVar[bool] = False
    suffixes: ClassVar[frozenset[str]] = frozenset(SUFFIXES)
    """The suffixes of the data files that it reads."""

    def place(
        self,
        workspace: DbtWorkspace,
        credentials: Any,
        schema: exp.Identifier,
        table: exp.Identifier,
        database: exp.Identifier | None,
    ) -> Place:
        return Table(_file(workspace.project_dir, credentials), schema.name, table.name)

    def server(self, credentials: Any, project_dir: Path) -> tuple[str, str]:
        file = str(_file(project_dir, credentials))
        return file, file

    def pair(self, legacy: Table | Files, candidate: Table | Files, wait_s: float) -> DuckDBPair:
        """A reader that is not open yet. `wait_s`: seconds to wait for a locked database file."""
        return DuckDBPair(_database(legacy), _database(candidate), wait_s=wait_s)

    def relations(
        self,
        places: Mapping[Side, Table | Files],
        name: str,
        reader: Reader,
        time_column: str | None = None,
    ) -> tuple[Relation, Relation]:
        """Both sides' relations in the open pair. `time_column`: the one that bounds windows. Raises TypeOfNoColumn."""
        assert isinstance(reader, DuckDBPair), reader  # noqa: S101 - it is `pair`'s
        legacy, candidate = (_relation_in(places[side], side, name, reader) for side in Side)
        declared = {side: dict(place.types) for side, place in places.items() if isinstance(place, Files)}
        reader.read_texts(legacy, candidate, declared, time_column)
        return legacy, candidate

    def for_reading(self, output: Mapping[str, Any]) -> Mapping[str, Any]:
        """A profile's target on connections that cannot write."""
        return read_only.output(output)

    def wait_for(self, file: Path, wait_s: float) -> None:
        """Wait until nobody holds the file. Raises DatabaseLocked, DatabaseUnreadable."""
        with DuckDBPair(file, None, wait_s=wait_s):
            pass

    def home(self, credentials: Any) -> tuple[exp.Identifier, exp.Identifier]:
        return home(credentials, quoted=True)

    def legacy_seen_as(self, candidate: Any, legacy: Any) -> str:
        return LEGACY if legacy.database == candidate.database else ""

    def execute(self, work: SqlWork) -> None:
        execute(work)

    def begin(self, begin: Begin) -> Begun:
        """Each side has its own file, so whatever is read from legacy's is copied into the candidate's."""
        if not (begin.read or begin.pasts):
            return Begun()
        legacy = _file(begin.candidate.project_dir, begin.legacy_credentials)
        candidate = _file(begin.candidate.project_dir, begin.candidate_credentials)
        there = legacy.exists()
        if begin.read and not there:
            raise _not_built(begin, begin.read, legacy)
        with CandidateFile(
            legacy, candidate, begin.candidate_credentials, begin.candidate.project_dir, wait_s=begin.wait_s
        ) as file:
            new = [past for past in begin.pasts if not file.has_in_candidate(past.candidate_name)]
            if there and (begin.read or new):
                file.attach_legacy()
            # A database other than legacy's own is attached by the profile: dbt reads it where it is.
            own = begin.legacy_credentials.database
            copies = [model for model in begin.read if model.database == own and legacy != candidate]
            if missing := [model for model in copies if not file.has_in_legacy(model.name)]:
                raise _not_built(begin, missing, legacy)
            places: dict[str, Relation | None] = {model.node_id: None for model in begin.read}
            places |= {model.node_id: Relation(file.catalog, *file.copy(model.name)) for model in copies}
            for past in new if there else ():
                _begin(file, past)
            copied = {
                past.node_id: why
                for past in begin.pasts
                if (why := file.holds_copy_of(past.candidate_name, past.lower, past.began))
            }
        return Begun(places, copied)


def _begin(file: CandidateFile, past: Past) -> None:
    if file.has_in_legacy(past.legacy_name):
        file.begin_with_legacy(
            past.legacy_name, past.candidate_name, past.time_column, past.lower, past.zones
        )


def _not_built(begin: Begin, models: Iterable[ReadModel], file: Path) -> Exception:
    names = ", ".join(model.title for model in models)
    return begin.out_of_reach(names, f"there is no such relation in {file}", "Let Airflow build it first")


def _file(project_dir: Path, credentials: Any) -> Path:
    return Path(project_dir, credentials.path).resolve()  # a relative path starts where dbt runs


def _relation_in(place: Table | Files, side: Side, name: str, reader: DuckDBPair) -> Relation:
    if isinstance(place, Files):
        return reader.files(side, name, place.paths)
    return reader.relation(side, place.schema, place.table)


def _database(place: Place) -> Path | None:
    return place.database if isinstance(place, Table) else None
