"""`parity compare`: any two relations, whatever produced them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pendulum

from dagster_defs.adapters.warehouse.places import Readers, as_it_was, parse_place, relations_in
from dagster_defs.adapters.warehouse.seam import Files, Place
from dagster_defs.errors import BadComparison, ParityError, UsageError, WarehouseError
from dagster_defs.parity import (
    NO_ZONES,
    SAMPLE_LIMIT,
    Bound,
    Check,
    ComparisonSpec,
    Tolerance,
    Verdict,
    Zones,
    compare,
)
from dagster_defs.parity.text_types import DeclaredType
from dagster_defs.usecases.compare.spec import (
    ComparisonEntry,
    declared_types,
    in_zone,
    read_comparisons,
    read_tolerances,
)
from dagster_defs.windows import zone_named


@dataclass(frozen=True)
class Request:
    """One comparison of two places; tolerances are judged on the day `today`."""

    name: str
    legacy: Place
    candidate: Place
    today: date
    key: Sequence[str] = ()
    time_column: str | None = None
    lower: Bound | None = None
    upper: Bound | None = None
    tolerances: Sequence[Tolerance] = ()
    masked: Sequence[str] = ()
    zones: Zones = NO_ZONES


@dataclass
class Comparer:
    """Runs one comparison at a time; waits up to `wait_s` seconds for a locked DuckDB file."""

    sample_limit: int = SAMPLE_LIMIT
    wait_s: float = 10.0
    _readers: Readers = field(default_factory=Readers)

    def __enter__(self) -> Comparer:
        return self

    def __exit__(self, *_: object) -> None:
        self._readers.close()

    def compare(self, request: Request) -> Check:
        """Never raises for a wrong request or a warehouse's fault: the check says what is wrong."""
        try:
            with self._readers.of(request.legacy, request.candidate, self.wait_s) as reader:
                windowed = request.lower is not None or request.upper is not None
                legacy, candidate = relations_in(
                    request.legacy,
                    request.candidate,
                    request.name,
                    reader,
                    request.time_column if windowed else None,
                )
                spec = ComparisonSpec(
                    request.name,
                    legacy=legacy,
                    candidate=candidate,
                    key=tuple(request.key),
                    time_column=request.time_column,
                    lower=request.lower,
                    upper=request.upper,
                    tolerances=tuple(request.tolerances),
                    masked=tuple(request.masked),
                    zones=request.zones,
                )
                return compare(spec, reader, sample_limit=self.sample_limit, today=request.today)
        except UsageError as error:
            return Check.of_wrong_request(request.name, str(error))
        except WarehouseError as error:
            return Check(request.name, Verdict.INCONCLUSIVE, str(error))


def compare_file(file: Path, project_dir: Path, sample_limit: int = SAMPLE_LIMIT) -> Iterator[Check]:
    """A check for each comparison of the file, in file order; a wrong one does not stop the others.

    Raises BadComparisonFile before anything is compared.
    """
    entries = read_comparisons(file)
    with Comparer(sample_limit) as comparer:
        for entry in entries:
            yield (
                Check.of_wrong_request(entry.name, str(entry))
                if isinstance(entry, BadComparison)
                else _compare_entry(entry, comparer, file.parent, project_dir)
            )


def _compare_entry(entry: ComparisonEntry, comparer: Comparer, folder: Path, project_dir: Path) -> Check:
    try:
        lower, upper = entry.window.bounds() if entry.window else (None, None)
        legacy, candidate = (
            _typed(side.place(folder, project_dir), entry.types) for side in (entry.legacy, entry.candidate)
        )
        if entry.instant is not None:
            legacy = as_it_was(legacy, entry.instant)
    except ParityError as error:
        return Check.of_wrong_request(entry.name, str(error))
    except ValueError as error:
        return Check.of_wrong_request(entry.name, str(BadComparison(entry.name, f"window: {error}")))
    return comparer.compare(
        Request(
            entry.name,
            legacy,
            candidate,
            entry.today,
            entry.key,
            entry.time_column,
            lower,
            upper,
            [tolerance.tolerance() for tolerance in entry.tolerances],
            entry.masked,
            entry.zones,
        )
    )


def _typed(place: Place, types: Mapping[str, DeclaredType]) -> Place:
    """The place with the types declared for both sides; the place's own types take precedence."""
    return (
        replace(place, types=tuple({**types, **dict(place.types)}.items()))
        if isinstance(place, Files)
        else place
    )


def compare_two(
    legacy: str,
    candidate: str,
    project_dir: Path,
    *,
    key: Sequence[str] = (),
    time_column: str | None = None,
    bounds: tuple[str | None, str | None] = (None, None),
    zone: str | None = None,
    naive_zone: str | None = None,
    types: Sequence[str] = (),
    tolerances: Path | None = None,
    masked: Sequence[str] = (),
    sample_limit: int = SAMPLE_LIMIT,
) -> Check:
    """One comparison from command-line arguments, judged today (in UTC); `zone` applies to both bounds.

    `naive_zone`: see `Zones.naive`. `types`: `column=type`, for CSV files.

    Raises BadPlace, BadComparisonFile for the tolerances, BadComparison for a bound that is not a time in the zone.
    """
    name = f"{legacy} and {candidate}"
    today = pendulum.now("UTC").date()
    try:
        lower, upper = (in_zone(bound, zone) for bound in bounds)
        if naive_zone is not None:
            zone_named(naive_zone)
    except ValueError as error:
        raise BadComparison(name, f"window: {error}") from error
    try:
        declared = declared_types(dict(_column_and_type(each) for each in types))
    except ValueError as error:
        raise BadComparison(name, f"--type: {error}") from error
    tolerated = read_tolerances(tolerances) if tolerances else []
    with Comparer(sample_limit) as comparer:
        return comparer.compare(
            Request(
                name,
                _typed(parse_place(legacy, project_dir), declared),
                _typed(parse_place(candidate, project_dir), declared),
                today,
                key,
                time_column,
                lower,
                upper,
                tolerated,
                masked,
                Zones(window=zone, naive=naive_zone),
            )
        )


def _column_and_type(text: str) -> tuple[str, str]:
    name, equals, kind = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is not COLUMN=TYPE")
    return name, kind
