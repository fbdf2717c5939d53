"""Compares the output of both sides, unit by unit and window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path

import pendulum

from dagster_defs.adapters.dagster.mirrors import load_mirrors, select_mirrors
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.warehouse import places
from dagster_defs.adapters.warehouse.places import Readers, as_it_was, place_of_relation, relations_in
from dagster_defs.adapters.warehouse.seam import Files, Place
from dagster_defs.errors import (
    BadComparison,
    ParityError,
    TemplateFailed,
    UnknownPartition,
    UsageError,
    WindowMissing,
)
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mirrors import FileOutput, Mirror, Output
from dagster_defs.lifecycle.rendered import outputs_of
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.older_python import date_of
from dagster_defs.parity import Check, ComparisonSpec, Relation, Side, compare
from dagster_defs.settings import Settings
from dagster_defs.usecases.airflow_values import values_exported
from dagster_defs.usecases.compare.folders import compare_folders
from dagster_defs.usecases.compare.spec import declared_types
from dagster_defs.windows import EventSchedule, Scheduled


def compare_windows(
    settings: Settings, mirror: Mirror, windows: Sequence[Scheduled], readers: Readers | None = None
) -> Iterator[WindowCheck]:
    """One check for each output and window, oldest first; a wrong request becomes a check with `error` set.

    A window's bounds come from the configured inventory if it has them, else from the mirror. Raises what
    `compare_output` raises.
    """
    last = max(windows, default=None)
    with Readers() as own:
        for window in sorted(windows):
            calls = values_exported(settings, mirror.legacy_unit, window)
            for output in outputs_of(mirror, window, calls):
                if output.as_a_whole and window != last:
                    continue
                yield WindowCheck(
                    unit=mirror.legacy_unit,
                    partition=None if output.as_a_whole else mirror.partitions.key_of(window),
                    check=compare_output(output, readers=readers or own),
                )


def check_units(settings: Settings, names: Sequence[str], first: str, last: str) -> Iterator[WindowCheck]:
    """`compare_windows` for the named units (all if none is named), from one partition key to another. What units
    without windows have written is compared as it is now.

    Raises NoSuchUnit for a name without a mirror, WindowMissing without a partition, UnknownPartition for a key that
    a unit does not have. The fault of a broken unit is raised if the unit is named; otherwise it becomes a wrong
    request in place of the unit's checks.
    """
    mirrors = load_mirrors(settings.root)
    selected = select_mirrors(mirrors, names)
    if not first and not (names and all(mirror.event for mirror in selected)):
        raise WindowMissing()
    with Readers() as readers:
        for mirror in selected:
            try:
                mirror.refuse_faults(resolved=True)
            except ParityError as error:
                if names:
                    raise
                yield _broken(mirror.legacy_unit, str(error))
                continue
            if mirror.event is not None:
                yield from _compare_as_it_is(mirror, mirror.event, readers)
            else:
                yield from compare_windows(settings, mirror, requested_windows(mirror, first, last), readers)
    if not names:
        for unit, why in mirrors.broken_units.items():
            yield _broken(unit, why)


def _compare_as_it_is(mirror: Mirror, event: EventSchedule, readers: Readers) -> Iterator[WindowCheck]:
    try:
        outputs = list(mirror.outputs_of(event.example()))
    except TemplateFailed as error:  # a file is named after a run, and here there is none
        yield _broken(mirror.legacy_unit, str(error))
        return
    for output in outputs:
        if isinstance(output, FileOutput):
            why = "a file belongs to one run: the shadow sensor compares it after that run"
            yield WindowCheck(mirror.legacy_unit, None, Check.of_wrong_request(output.name, why))
        else:
            yield WindowCheck(mirror.legacy_unit, None, compare_output(output, readers=readers))


def _broken(unit: Unit, why: str) -> WindowCheck:
    return WindowCheck(unit, None, Check.of_wrong_request(str(unit), why))


def named_mirrors(settings: Settings, names: Sequence[str]) -> list[Mirror]:
    """The mirrors of these units, in this order; all mirrors if no unit is named. Raises NoSuchUnit."""
    return select_mirrors(load_mirrors(settings.root), names)


def requested_windows(mirror: Mirror, first: str, last: str) -> list[Scheduled]:
    """The windows from one partition to another.

    If the two are days rather than keys of this unit: the windows that start on those days or, for a schedule with
    longer windows, the window that the first day begins in. Raises UnknownPartition for anything else.
    """
    try:
        return mirror.partitions.windows_between(first, last)
    except UnknownPartition:
        try:
            days = [date_of(day) for day in (first, last)]
        except ValueError:
            raise UnknownPartition(first, str(mirror.partitions.schedule), "it is not a day either") from None
    if days[1] < days[0]:
        raise UnknownPartition(last, str(mirror.partitions.schedule), f"it is before the first day, {first}")
    zone = mirror.partitions.schedule.zone
    start, end = (pendulum.datetime(day.year, day.month, day.day, tz=zone) for day in days)
    windows = list(mirror.partitions.schedule.windows(start, end.add(days=1)))
    return windows or [mirror.partitions.window_containing(start)]


def compare_output(
    output: Output,
    *,
    wait_s: float = 10.0,
    as_of: datetime | None = None,
    today: date | None = None,
    readers: Readers | None = None,
) -> Check:
    """Compare one output on both sides. A wrong request becomes a check with `error` set.

    Both sides are read as they are now; with `as_of` (an instant with a time zone) legacy is read as it was then,
    which requires `keeps_its_past`. Tolerances are judged on `today`, by default the current day in UTC.

    Raises NotComparable for a warehouse that cannot be read, DatabaseLocked if a run holds one of the DuckDB files for
    longer than `wait_s` seconds, StatementFailed if a server denies access.
    """
    if isinstance(output, FileOutput) and output.each:
        return compare_folders(output, partial(compare_output, wait_s=wait_s, today=today, readers=readers))
    legacy, candidate = (place_of(output, side) for side in Side)
    if legacy == candidate:  # it would match, and prove nothing
        reason = "legacy and candidate are the same relation: give the candidate's dbt target its own schema"
        return Check.of_wrong_request(output.name, str(BadComparison(output.name, reason)))
    if as_of is not None:
        legacy = as_it_was(legacy, as_of)
    with Readers() as own:
        try:
            with (readers or own).of(legacy, candidate, wait_s) as reader:
                sides = relations_in(legacy, candidate, output.name, reader)
                return compare(
                    _spec(output, *sides),
                    reader,
                    today=today or pendulum.now("UTC").date(),
                    sample_limit=output.terms.samples,
                )
        except UsageError as error:
            return Check.of_wrong_request(output.name, str(error))


def keeps_its_past(output: Output) -> bool:
    """Whether the legacy side can be read as of a past instant. Raises what `compare_output` raises."""
    return places.keeps_its_past(place_of(output, Side.LEGACY))


def place_of(output: Output, side: Side) -> Place:
    """Raises NotComparable for a warehouse that cannot be read, DbtProjectUnreadable without the target."""
    if isinstance(output, FileOutput):
        path = Path(output.files(side))
        return Files((path,), tuple(declared_types(dict(output.types)).items()))
    target = output.legacy_target if side is Side.LEGACY else output.candidate_target
    return place_of_relation(DbtWorkspace(Path(output.project_dir), target), output.relation(side))


def _spec(output: Output, legacy: Relation, candidate: Relation) -> ComparisonSpec:
    spec = ComparisonSpec(
        output.name,
        legacy,
        candidate,
        output.key,
        tolerances=output.terms.tolerances,
        masked=output.terms.masked,
    )
    if isinstance(output, FileOutput):
        return spec
    return replace(
        spec, time_column=output.time_column, lower=output.lower, upper=output.upper, zones=output.zones
    )
