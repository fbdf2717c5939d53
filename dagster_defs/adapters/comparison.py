"""Comparing what both sides left behind, unit by unit and window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagster_defs.adapters.dbt import DbtWorkspace
from dagster_defs.adapters.warehouse import DuckDBPair
from dagster_defs.errors import UsageError
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mirrors import FileOutput, Mirror, Output, TableOutput
from dagster_defs.parity import Check, ComparisonSpec, Side, Verdict, compare
from dagster_defs.windows import Window


@dataclass(frozen=True, slots=True)
class WindowCheck:
    """The verdict on one output of one unit for one window.

    `window` is None for a table that every run rebuilds: it is compared once, as a whole, as it is now.
    """

    unit: Unit
    partition: str
    window: Window | None
    check: Check


def compare_windows(mirror: Mirror, windows: Sequence[Window]) -> Iterator[WindowCheck]:
    """One check for each output and window, oldest first; a wrong request becomes a check with `error` set.

    Raises DatabaseLocked if a run holds one of the DuckDB files for longer than the reader waits.
    """
    last = max(windows, default=None)
    for window in sorted(windows):
        for output in mirror.outputs_of(window):
            as_a_whole = isinstance(output, TableOutput) and output.time_column is None
            if as_a_whole and window != last:
                continue
            yield WindowCheck(
                unit=mirror.legacy_unit,
                partition=mirror.partitions.key_of(window),
                window=None if as_a_whole else window,
                check=_compare(output),
            )


def worst(checks: Iterable[Check]) -> Verdict:
    """`mismatch` before `inconclusive` before `match`; nothing compared is inconclusive."""
    order = (Verdict.MATCH, Verdict.INCONCLUSIVE, Verdict.MISMATCH)
    return max((check.verdict for check in checks), key=order.index, default=Verdict.INCONCLUSIVE)


def _compare(output: Output) -> Check:
    with _reader(output) as reader:
        try:
            return compare(_spec(output, reader), reader)
        except UsageError as error:
            return Check(output.name, Verdict.INCONCLUSIVE, str(error), error=True)


@contextmanager
def _reader(output: Output) -> Iterator[DuckDBPair]:
    match output:
        case FileOutput():
            files = (None, None)
        case TableOutput():
            project = Path(output.project_dir)
            legacy, candidate = (
                DbtWorkspace(project, target).database_file
                for target in (output.legacy_target, output.candidate_target)
            )
            files = (legacy, candidate)
    with DuckDBPair(*files) as reader:
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
