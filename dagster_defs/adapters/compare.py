"""`parity compare`: any two relations, whatever made them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pendulum

from dagster_defs.adapters.comparison_file import (
    ComparisonEntry,
    in_zone,
    read_comparisons,
    read_tolerances,
)
from dagster_defs.adapters.places import Place, Readers, as_it_was, parse_place, relation_in
from dagster_defs.errors import BadComparison, ParityError, UsageError, WarehouseError
from dagster_defs.parity import (
    NO_ZONES,
    SAMPLE_LIMIT,
    Bound,
    Check,
    ComparisonSpec,
    Side,
    Tolerance,
    Verdict,
    Zones,
    compare,
)
from dagster_defs.parity.clocks import zone_named


@dataclass(frozen=True)
class Request:
    """One comparison of two places; `today` is the day on which tolerances are judged."""

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
    """Compares one after another; `wait_s`: seconds to wait for a DuckDB file that somebody else has locked."""

    sample_limit: int = SAMPLE_LIMIT
    wait_s: float = 10.0
    _readers: Readers = field(default_factory=Readers)

    def __enter__(self) -> Comparer:
        return self

    def __exit__(self, *_: object) -> None:
        self._readers.close()

    def compare(self, request: Request) -> Check:
        """What is wrong with the request, or with a warehouse, is in its check."""
        try:
            with self._readers.of(request.legacy, request.candidate, self.wait_s) as reader:
                spec = ComparisonSpec(
                    request.name,
                    legacy=relation_in(request.legacy, Side.LEGACY, request.name, reader),
                    candidate=relation_in(request.candidate, Side.CANDIDATE, request.name, reader),
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
    """A check for each comparison of the file, in its order; one that is wrong does not stop the others.

    Raises BadComparisonFile, before anything is compared.
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
        legacy, candidate = (side.place(folder, project_dir) for side in (entry.legacy, entry.candidate))
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
    tolerances: Path | None = None,
    masked: Sequence[str] = (),
    sample_limit: int = SAMPLE_LIMIT,
) -> Check:
    """One comparison in the words of the command line, judged today (in UTC); `zone` is that of both bounds.

    `naive_zone`: as `Zones.naive`.

    Raises BadPlace, BadComparisonFile for the tolerances, BadComparison for a bound that is no time of the zone.
    """
    name = f"{legacy} and {candidate}"
    today = pendulum.now("UTC").date()
    try:
        lower, upper = (in_zone(bound, zone) for bound in bounds)
        if naive_zone is not None:
            zone_named(naive_zone)
    except ValueError as error:
        raise BadComparison(name, f"window: {error}") from error
    told = read_tolerances(tolerances) if tolerances else []
    with Comparer(sample_limit) as comparer:
        return comparer.compare(
            Request(
                name,
                parse_place(legacy, project_dir),
                parse_place(candidate, project_dir),
                today,
                key,
                time_column,
                lower,
                upper,
                told,
                masked,
                Zones(window=zone, naive=naive_zone),
            )
        )
