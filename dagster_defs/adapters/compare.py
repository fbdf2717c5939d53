"""`parity compare`: any two relations, whatever made them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pendulum

from dagster_defs.adapters.comparison_file import (
    ComparisonEntry,
    in_zone,
    read_comparisons,
    read_tolerances,
)
from dagster_defs.adapters.places import Place, parse_place, reader_of, relation_in, warehouse_of
from dagster_defs.adapters.snowflake import SnowflakeReader
from dagster_defs.adapters.warehouse import DuckDBPair
from dagster_defs.errors import BadComparison, ParityError, UsageError, WarehouseError
from dagster_defs.parity import SAMPLE_LIMIT, Check, ComparisonSpec, Relation, Side, Verdict, compare

_NOWHERE = Relation("", "", "")


@dataclass
class Comparer:
    """Compares one after another; a reader stays open as long as the next one needs no other."""

    sample_limit: int = SAMPLE_LIMIT
    _open: ExitStack = field(default_factory=ExitStack)
    _reader: DuckDBPair | SnowflakeReader | None = None
    _warehouse: Hashable = None

    def __enter__(self) -> Comparer:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def compare(self, spec: ComparisonSpec, legacy: Place, candidate: Place, today: date) -> Check:
        """The relations of `spec` are filled in here. What is wrong is in the check, whose request it was."""
        try:
            reader = self._opened(legacy, candidate)
            spec = replace(
                spec,
                legacy=relation_in(legacy, Side.LEGACY, spec.name, reader),
                candidate=relation_in(candidate, Side.CANDIDATE, spec.name, reader),
            )
            return compare(spec, reader, sample_limit=self.sample_limit, today=today)
        except UsageError as error:
            return _failed(spec.name, error)
        except WarehouseError as error:
            return Check(spec.name, Verdict.INCONCLUSIVE, str(error))

    def _opened(self, legacy: Place, candidate: Place) -> DuckDBPair | SnowflakeReader:
        wanted = warehouse_of(legacy, candidate)
        if self._reader is None or wanted != self._warehouse:
            self._open.close()
            self._reader = None
            reader = reader_of(legacy, candidate)
            self._open.enter_context(reader)
            self._reader, self._warehouse = reader, wanted
        return self._reader


def compare_file(file: Path, project_dir: Path, sample_limit: int = SAMPLE_LIMIT) -> Iterator[Check]:
    """A check for each comparison of the file, in its order; one that is wrong does not stop the others.

    Raises BadComparisonFile, before anything is compared.
    """
    entries = read_comparisons(file)
    with Comparer(sample_limit) as comparer:
        for entry in entries:
            yield (
                _failed(entry.name, entry)
                if isinstance(entry, BadComparison)
                else _compare_entry(entry, comparer, file.parent, project_dir)
            )


def _compare_entry(entry: ComparisonEntry, comparer: Comparer, folder: Path, project_dir: Path) -> Check:
    try:
        lower, upper = entry.window.bounds() if entry.window else (None, None)
        legacy, candidate = (side.place(folder, project_dir) for side in (entry.legacy, entry.candidate))
    except ParityError as error:
        return _failed(entry.name, error)
    except ValueError as error:
        return _failed(entry.name, BadComparison(entry.name, f"window: {error}"))
    spec = ComparisonSpec(
        entry.name,
        _NOWHERE,
        _NOWHERE,
        key=tuple(entry.key),
        time_column=entry.time_column,
        lower=lower,
        upper=upper,
        tolerances=tuple(tolerance.tolerance() for tolerance in entry.tolerances),
        masked=tuple(entry.masked),
    )
    return comparer.compare(spec, legacy, candidate, entry.today)


@dataclass(frozen=True)
class Request:
    """One comparison in the words of the command line; `zone` is that of both bounds."""

    legacy: str
    candidate: str
    key: Sequence[str] = ()
    time_column: str | None = None
    bounds: tuple[str | None, str | None] = (None, None)
    zone: str | None = None
    tolerances: Path | None = None
    masked: Sequence[str] = ()


def compare_two(request: Request, project_dir: Path, sample_limit: int = SAMPLE_LIMIT) -> Check:
    """One comparison, judged today (in UTC). Raises BadPlace and BadComparisonFile."""
    legacy, candidate = (parse_place(text, project_dir) for text in (request.legacy, request.candidate))
    name = f"{request.legacy} and {request.candidate}"
    tolerances = read_tolerances(request.tolerances) if request.tolerances else []
    try:
        lower, upper = (in_zone(bound, request.zone) for bound in request.bounds)
    except ValueError as error:
        return _failed(name, BadComparison(name, f"window: {error}"))
    spec = ComparisonSpec(
        name,
        _NOWHERE,
        _NOWHERE,
        key=tuple(request.key),
        time_column=request.time_column,
        lower=lower,
        upper=upper,
        tolerances=tuple(tolerances),
        masked=tuple(request.masked),
    )
    with Comparer(sample_limit) as comparer:
        return comparer.compare(spec, legacy, candidate, pendulum.now("UTC").date())


def _failed(name: str, error: ParityError) -> Check:
    return Check(name, Verdict.INCONCLUSIVE, str(error), error=True)
