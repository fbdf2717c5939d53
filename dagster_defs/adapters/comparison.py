"""Comparing what both sides left behind, unit by unit and window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pendulum

from dagster_defs.adapters.dbt import DbtWorkspace
from dagster_defs.adapters.mirrors import load_mirrors
from dagster_defs.adapters.warehouse import DuckDBPair
from dagster_defs.errors import NoSuchUnit, UnknownPartition, UsageError, WindowMissing
from dagster_defs.lifecycle.mirrors import FileOutput, Mirror, Output, TableOutput
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Check, ComparisonSpec, Side, compare
from dagster_defs.windows import Window


def compare_windows(mirror: Mirror, windows: Sequence[Window]) -> Iterator[WindowCheck]:
    """One check for each output and window, oldest first; a wrong request becomes a check with `error` set.

    Raises DatabaseLocked if a run holds one of the DuckDB files for longer than the reader waits.
    """
    last = max(windows, default=None)
    for window in sorted(windows):
        for output in mirror.outputs_of(window):
            if output.as_a_whole and window != last:
                continue
            yield WindowCheck(
                unit=mirror.legacy_unit,
                partition=None if output.as_a_whole else mirror.partitions.key_of(window),
                check=compare_output(output),
            )


def check_units(names: Sequence[str], first: str, last: str) -> Iterator[WindowCheck]:
    """`compare_windows` for the named units (all if none is named), from one partition key to another.

    Raises NoSuchUnit for a name that nothing mirrors, WindowMissing without a partition, and UnknownPartition
    for a key that is none of a unit's.
    """
    if not first:
        raise WindowMissing()
    for mirror in mirrors_named(names):
        yield from compare_windows(mirror, windows_asked(mirror, first, last))


def mirrors_named(names: Sequence[str]) -> list[Mirror]:
    """The mirrors of these units, in this order; all if none is named. Raises NoSuchUnit."""
    mirrors = {str(mirror.legacy_unit): mirror for mirror in load_mirrors()}
    for name in names:
        if name not in mirrors:
            raise NoSuchUnit(name, list(mirrors))
    return [mirrors[name] for name in names or mirrors]


def windows_asked(mirror: Mirror, first: str, last: str) -> list[Window]:
    """The windows from one partition to another.

    Where the two are days and not keys of this unit: the windows that start on those days, or, for a schedule
    with longer windows, the one that the first day begins in. Raises UnknownPartition for anything else.
    """
    try:
        return mirror.partitions.windows_between(first, last)
    except UnknownPartition:
        try:
            days = [date.fromisoformat(day) for day in (first, last)]
        except ValueError:
            raise UnknownPartition(first, str(mirror.partitions.schedule), "it is no day either") from None
    if days[1] < days[0]:
        raise UnknownPartition(last, str(mirror.partitions.schedule), f"the range begins later, at {first}")
    zone = mirror.partitions.schedule.timezone
    start, end = (pendulum.datetime(day.year, day.month, day.day, tz=zone) for day in days)
    found = list(mirror.partitions.schedule.windows(start, end.add(days=1)))
    return found or [mirror.partitions.window_containing(start)]


def compare_output(output: Output, *, wait_s: float = 10.0) -> Check:
    """One output as it is now on both sides. A wrong request becomes a check with `error` set.

    Raises DatabaseLocked if a run holds one of the DuckDB files for longer than `wait_s` seconds.
    """
    with _reader(output, wait_s) as reader:
        try:
            return compare(_spec(output, reader), reader)
        except UsageError as error:
            return Check.of_wrong_request(output.name, str(error))


@contextmanager
def _reader(output: Output, wait_s: float) -> Iterator[DuckDBPair]:
    legacy: Path | None = None
    candidate: Path | None = None
    if isinstance(output, TableOutput):
        project = Path(output.project_dir)
        legacy = DbtWorkspace(project, output.legacy_target).database_file
        candidate = DbtWorkspace(project, output.candidate_target).database_file
    with DuckDBPair(legacy, candidate, wait_s=wait_s) as reader:
        yield reader


def _spec(output: Output, reader: DuckDBPair) -> ComparisonSpec:
    match output:
        case FileOutput():
            return ComparisonSpec(
                output.name,
                legacy=reader.files(Side.LEGACY, output.name, Path(output.legacy)),
                candidate=reader.files(Side.CANDIDATE, output.name, Path(output.candidate)),
                key=output.key,
            )
        case TableOutput():
            return ComparisonSpec(
                output.name,
                legacy=reader.relation(Side.LEGACY, output.schema, output.table),
                candidate=reader.relation(Side.CANDIDATE, output.schema, output.table),
                key=output.key,
                time_column=output.time_column,
                lower=output.lower,
                upper=output.upper,
            )
