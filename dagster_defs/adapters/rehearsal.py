"""A rehearsal: Airflow's commands and Dagster's runs of the same windows, side by side, without an Airflow.

What is decided here, and why, stands in docs/decisions/0011-rehearsal.md.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar, cast

from dagster_defs.adapters.comparison import compare_windows
from dagster_defs.adapters.inventory import read_inventory
from dagster_defs.adapters.mirrors import PROJECT_ROOT, load_mirrors
from dagster_defs.adapters.rehearsal_place import Place, environment
from dagster_defs.adapters.rehearsal_sides import (
    CandidateJob,
    LegacyDbt,
    Statuses,
    call_legacy_function,
    reason_of,
)
from dagster_defs.adapters.rehearsal_upstream import (
    PythonMirror,
    Upstream,
    as_dbt,
    refuse_missing_files,
    upstream_of,
)
from dagster_defs.adapters.verify import inventory_file
from dagster_defs.errors import (
    InventoryMissing,
    NoSuchUnit,
    NotRehearsable,
    NotRendered,
    Unaligned,
    WindowMissing,
)
from dagster_defs.inventory.document import Dag, Inventory, Task
from dagster_defs.inventory.replay import DbtCall, FunctionCall, dbt_calls, function_calls
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mirrors import Declared, FileOutput, Mirror, Output, TableOutput
from dagster_defs.lifecycle.rehearsals import Rehearsal, results_check
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Check, Side, Verdict
from dagster_defs.windows import Bound, PartitionedSchedule, PartitionVars, Window

Calls = Mapping[Window, Sequence[DbtCall] | FunctionCall]
T = TypeVar("T")


class Progress(Protocol):
    """Where progress goes."""

    def step(self, title: str) -> AbstractContextManager[None]: ...

    def each(self, windows: Sequence[T]) -> Iterator[T]:
        """The windows one by one, with what is done and an estimate of what is left."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """The last so many windows, or those from one partition key to another."""

    last: int = 0
    first_key: str = ""
    last_key: str = ""


def rehearse(unit: str, span: Span, file: Path | None, progress: Progress) -> Rehearsal:
    """Run the windows on both sides and compare them; what fails in one window leaves the others alone.

    Raises before anything is run: NoSuchUnit, InventoryMissing, WindowMissing, NotRendered, NotRehearsable,
    NoRehearsal; DbtFailed if what is upstream cannot be built.
    """
    inventory = _inventory(file)
    if not (span.last or span.first_key):
        raise WindowMissing()
    place = Place()
    with environment(place.settings), progress.step(f"What {unit} runs, and what it reads"):
        mirrors = load_mirrors()
        mirror = _mirror(mirrors, unit)
        dag, task = _task(inventory, mirror.legacy_unit)
        calls = dbt_calls(task, dag) if as_dbt(mirror) else function_calls(task)
        windows = _windows(mirror, dag, calls, span)
        upstream = upstream_of(mirror, mirrors)
        if upstream is not None:
            refuse_missing_files(mirror, upstream, mirrors, windows)
            _refuse_unsafe(place, upstream, calls, windows)
    with place.emptied(), environment(place.settings):
        if upstream is not None:
            place.make_folders(upstream.mirror.project_dir)
            with progress.step(f"{len(upstream.nodes)} models upstream built on both sides"):
                for side in Side:
                    run_dir = place.folder / "run" / f"upstream-{side.value}"
                    upstream.build(side, (windows[0], windows[-1]), run_dir)
        with _moved(mirror, place, windows) as moved:
            with progress.step("Candidate job loaded"):
                stage = _Stage.of(moved, place, calls)
            return stage.play(windows, progress)


def _inventory(file: Path | None) -> Inventory:
    found = file or inventory_file()
    if found is None:
        raise InventoryMissing()
    return read_inventory(found)


def _mirror(mirrors: Sequence[Mirror], unit: str) -> Mirror:
    for mirror in mirrors:
        if str(mirror.legacy_unit) == unit:
            return mirror
    raise NoSuchUnit(unit, [str(mirror.legacy_unit) for mirror in mirrors])


def _task(inventory: Inventory, unit: Unit) -> tuple[Dag, Task]:
    for dag in inventory.dags:
        for task in dag.tasks:
            if isinstance(task, Task) and (dag.dag_id, task.task_id) == (unit.dag_id, unit.task_id):
                return dag, task
    raise NotRehearsable(str(unit), "the inventory has no such task")


def _windows(mirror: Mirror, dag: Dag, calls: Calls, span: Span) -> list[Window]:
    """The windows asked for, oldest first. Raises NotRendered, UnknownPartition."""
    if span.first_key:
        asked = mirror.partitions.windows_between(span.first_key, span.last_key or span.first_key)
        missing = [window for window in asked if window not in calls]
        if missing:
            raise _not_rendered(mirror, dag, missing)
        return asked
    over = [window for window in sorted(calls) if window.end <= datetime.now(UTC)]
    if len(over) < span.last:
        every = sorted(Window.between(*bounds) for bounds in dag.windows if bounds[0] < bounds[1])
        asked = [window for window in every if window.end <= datetime.now(UTC)][-span.last :]
        raise _not_rendered(mirror, dag, [window for window in asked if window not in calls] or every[-1:])
    return over[-span.last :]


def _not_rendered(mirror: Mirror, dag: Dag, missing: Sequence[Window]) -> NotRendered:
    names = [_name(mirror, window) for window in missing]
    if not missing:
        return NotRendered(str(mirror.legacy_unit), ["any window"], "DATE", "DATE", "START/END")
    zone = dag.schedule.timezone
    first, last = (window.start.in_timezone(zone) for window in (missing[0], missing[-1]))
    return NotRendered(
        str(mirror.legacy_unit),
        names,
        first.to_date_string(),
        last.to_date_string(),
        f"{first.to_date_string()}/{last.add(days=1).to_date_string()}",
    )


def _name(mirror: Mirror, window: Window) -> str:
    """The partition's key, or the interval if the mirror has no such partition."""
    try:
        return mirror.partitions.key_of(window)
    except Unaligned:
        return str(window)


def _refuse_unsafe(place: Place, upstream: Upstream, calls: Calls, windows: Sequence[Window]) -> None:
    given = [{**call.literal, **call.rendered} for window in windows for call in _dbt(calls[window])]
    distinct = list({tuple(sorted(variables.items())): variables for variables in given}.values())
    place.refuse_shared_targets(upstream.mirror.project_dir, distinct)
    for side in Side:
        place.refuse_foreign_databases(upstream.mirror.workspace(side), upstream.own | upstream.nodes)


def _dbt(calls: Sequence[DbtCall] | FunctionCall) -> Sequence[DbtCall]:
    return () if isinstance(calls, FunctionCall) else calls


@contextlib.contextmanager
def _moved(mirror: Mirror, place: Place, windows: Sequence[Window]) -> Iterator[Mirror]:
    """The mirror under an environment in which its function writes below the folder; a dbt unit as it is.

    Raises NotRehearsable if one of the files that are compared would lie somewhere else.
    """
    if as_dbt(mirror) is not None:
        yield mirror
        return
    unit = str(mirror.legacy_unit)
    settings: Mapping[str, str] = getattr(mirror, "rehearsal", {})
    # A relative path in the YAML starts at the project's root.
    with environment(settings), contextlib.chdir(PROJECT_ROOT):
        moved = _mirror(load_mirrors(), unit)
        files = [
            file
            for window in windows
            for output in moved.outputs_of(window)
            if isinstance(output, FileOutput)
            for file in (output.legacy, output.candidate)
        ]
        if not files:
            raise NotRehearsable(unit, "it declares no `file` that could be compared")
        if outside := [file for file in files if not Path(file).is_relative_to(place.folder)]:
            reason = f"{outside[0]} is not below {place.folder}. Declare `rehearsal` in its YAML"
            raise NotRehearsable(unit, reason)
        yield moved


@dataclass(frozen=True)
class _Stage:
    """Both sides of one unit, ready to run windows."""

    mirror: Mirror
    calls: Calls
    legacy: LegacyDbt | None
    candidate: CandidateJob

    @classmethod
    def of(cls, mirror: Mirror, place: Place, calls: Calls) -> _Stage:
        run_dir = place.folder / "run"
        dbt = as_dbt(mirror)
        legacy = None
        if dbt is not None:
            legacy = LegacyDbt(dbt.workspace(Side.LEGACY), run_dir / "legacy", place.settings)
        return cls(mirror, calls, legacy, CandidateJob.of(mirror, PROJECT_ROOT, run_dir / "candidate.log"))

    def play(self, windows: Sequence[Window], progress: Progress) -> Rehearsal:
        began = time.monotonic()
        checks: list[WindowCheck] = []
        for window in progress.each(windows):
            checks += self._window(window)
        complete = _NOT_RUN.isdisjoint(checked.check.name for checked in checks)
        whole = list(self._whole_tables(windows[-1], complete))
        names = tuple(_name(self.mirror, window) for window in windows)
        seconds = time.monotonic() - began
        return Rehearsal(self.mirror.legacy_unit, names, seconds, (*checks, *whole))

    def _window(self, window: Window) -> Iterator[WindowCheck]:
        """The candidate runs first: whatever it takes from the legacy side is of the windows before."""
        try:
            key = self.mirror.partitions.key_of(window)
        except Unaligned as error:
            yield self._failed(str(window), _NO_PARTITION, str(error))
            return
        found: dict[Side, Statuses] = {}
        runs: Mapping[Side, Callable[[], Statuses]] = {
            Side.CANDIDATE: lambda: self.candidate.run(window, key),
            Side.LEGACY: lambda: self._run_legacy(window, key),
        }
        for side, run in runs.items():
            try:
                found[side] = run()
            except Exception as error:  # a window that fails is a verdict; the others go on
                yield self._failed(key, _RUN_OF[side], reason_of(error))
        if len(found) < len(Side):
            return
        yield from compare_windows(_Windowed(self.mirror, self.calls), [window])
        if self.legacy is not None:
            check = results_check(found[Side.LEGACY], found[Side.CANDIDATE])
            yield WindowCheck(self.mirror.legacy_unit, key, check)

    def _run_legacy(self, window: Window, key: str) -> Statuses:
        calls = self.calls[window]
        if isinstance(calls, FunctionCall):
            python = cast("PythonMirror", self.mirror)
            return call_legacy_function(calls, (python.root / python.python_path).resolve())
        assert self.legacy is not None  # noqa: S101 - only a dbt unit has dbt calls
        return self.legacy.run(calls, key)

    def _whole_tables(self, last: Window, complete: bool) -> Iterator[WindowCheck]:
        """Both sides began empty and ran the same windows: then their tables are equal as wholes too, also
        outside of the windows."""
        tables = _Whole(self.mirror)
        if complete:
            yield from compare_windows(tables, [last])
            return
        for output in tables.outputs_of(last):
            reason = "a run has failed, so the sides have not done the same"
            yield WindowCheck(self.mirror.legacy_unit, None, Check(output.name, Verdict.INCONCLUSIVE, reason))

    def _failed(self, key: str, name: str, reason: str) -> WindowCheck:
        return WindowCheck(self.mirror.legacy_unit, key, Check(name, Verdict.INCONCLUSIVE, reason))


# Names of rows that say why a window was not compared; no model's name has a blank.
_RUN_OF = {Side.LEGACY: "legacy run", Side.CANDIDATE: "candidate run"}
_NO_PARTITION = "no partition"
_NOT_RUN = frozenset({*_RUN_OF.values(), _NO_PARTITION})


@dataclass(frozen=True)
class _Part:
    """Some of a mirror's outputs, as a mirror."""

    mirror: Mirror

    @property
    def legacy_unit(self) -> Unit:
        return self.mirror.legacy_unit

    @property
    def partitions(self) -> PartitionedSchedule:
        return self.mirror.partitions

    def declared(self) -> Declared:
        return self.mirror.declared()

    def outputs_of(self, window: Window) -> Iterator[Output]:
        raise NotImplementedError


class _Whole(_Part):
    """All tables, without any window."""

    def outputs_of(self, window: Window) -> Iterator[Output]:
        for output in self.mirror.outputs_of(window):
            if isinstance(output, TableOutput):
                yield replace(output, time_column=None, lower=None, upper=None)


@dataclass(frozen=True)
class _Windowed(_Part):
    """What has a window, between the bounds that Airflow rendered: the mirror's own may be what is wrong."""

    calls: Calls

    def outputs_of(self, window: Window) -> Iterator[Output]:
        bounds = {bound: value for call in _dbt(self.calls[window]) for bound, value in self._bounds(call)}
        for output in self.mirror.outputs_of(window):
            if isinstance(output, FileOutput):
                yield output
            elif output.time_column is not None:
                lower, upper = bounds.get(Bound.LOWER), bounds.get(Bound.UPPER)
                yield replace(output, lower=lower or output.lower, upper=upper or output.upper)

    def _bounds(self, call: DbtCall) -> Iterator[tuple[Bound, str]]:
        declared = self.mirror.declared()
        for rendering, said in ((declared.variables, call.vars), (declared.event_times, call.event_time)):
            for variable in rendering.variables if isinstance(rendering, PartitionVars) else ():
                if variable.bound is not Bound.NONE and variable.name in said:
                    yield variable.bound, said[variable.name]
