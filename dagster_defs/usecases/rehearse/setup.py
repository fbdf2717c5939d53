"""What a rehearsal needs before its first window: commands, exclusive targets, and the upstream models."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from dagster_defs.adapters.dagster.mirrors import load_mirrors, select_mirrors
from dagster_defs.adapters.dbt.run import working_directory_kept
from dagster_defs.adapters.dbt.workspaces import workspace_of
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.adapters.processes.waiting import reminding
from dagster_defs.errors import NotRehearsable, WindowMissing
from dagster_defs.inventory.replay import DbtCall, FunctionCall, dbt_calls, function_calls
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mirrors import FileOutput, Mirror
from dagster_defs.parity import Side
from dagster_defs.settings import Settings, process_environment
from dagster_defs.usecases.inventory import ProjectOnDisk
from dagster_defs.usecases.rehearse.folder import RehearsalFolder
from dagster_defs.usecases.rehearse.sides import command_environment
from dagster_defs.usecases.rehearse.upstream import Upstream, refuse_missing_files, upstream_of
from dagster_defs.usecases.rehearse.windows import Span, windows_in
from dagster_defs.usecases.verify import inventory_at_hand, task_of
from dagster_defs.windows import Scheduled

Calls = Mapping[Scheduled, Sequence[DbtCall] | FunctionCall]
T = TypeVar("T")


class Progress(Protocol):
    """Where progress is reported."""

    def step(self, title: str) -> AbstractContextManager[None]: ...

    def each(self, windows: Sequence[T]) -> Iterator[T]:
        """The windows one by one, reporting progress and an estimate of the time left."""
        ...

    def say(self, line: str) -> None: ...


@dataclass(frozen=True)
class Ready:
    """A unit ready to be rehearsed in the folder: its windows, and Airflow's calls in each."""

    folder: RehearsalFolder
    mirror: Mirror
    calls: Calls
    windows: Sequence[Scheduled]

    @property
    def run_dir(self) -> Path:
        return _run_dir(self.folder)

    def dbt_calls(self, window: Scheduled) -> Sequence[DbtCall]:
        return _dbt(self.calls[window])


@contextlib.contextmanager
def ready(
    settings: Settings, unit: str, span: Span, file: Path | None, progress: Progress
) -> Iterator[Ready]:
    """Build the unit's upstream on both sides, and put this process into the rehearsal's environment.

    Before anything is run, raises NoSuchUnit, InventoryMissing, WindowMissing, NotRendered, NotRehearsable or
    NoRehearsal; then DbtFailed if the upstream cannot be built.
    """
    named = Unit.named(unit)  # any other name is refused below
    inventory = inventory_at_hand(settings_of_dag(settings, named.dag_id) if named else settings, file)
    if span.is_empty:
        raise WindowMissing()
    folder = RehearsalFolder(settings)
    with (
        process_environment(folder.variables),
        progress.step(f"What {unit} runs, and what it reads"),
        reminding("waiting for dbt to parse the project", progress.say),
    ):
        mirrors = load_mirrors(settings.root)
        [mirror] = select_mirrors(mirrors, [unit])
        if mirror.event is not None:
            raise NotRehearsable(unit, f"its DAG has {mirror.event}, so Airflow has rendered no window of it")
        dag, task = task_of(inventory, mirror.legacy_unit)
        if dag is None or task is None:
            raise NotRehearsable(unit, "the inventory has no such task")
        if dbt := mirror.dbt_mirror:
            calls: Calls = dbt_calls(task, dag, ProjectOnDisk(dbt.project_dir).reads)
        else:
            if mirror.declared().operator_itself:
                raise NotRehearsable(
                    unit, "Airflow runs its operator itself, so it is unknown where that writes"
                )
            calls = function_calls(task)
        windows = windows_in(span, mirror, dag, calls)
        upstream = upstream_of(mirror, mirrors)
        if upstream is not None:
            refuse_missing_files(mirror, upstream, mirrors, windows)
            _refuse_unsafe(folder, upstream, [call for window in windows for call in _dbt(calls[window])])
    with folder.emptied(), process_environment(folder.variables):
        if upstream is not None:
            _build(upstream, folder, windows, progress)
        with _moved(mirror, folder, windows) as moved:
            yield Ready(folder, moved, calls, windows)


def _run_dir(folder: RehearsalFolder) -> Path:
    return folder.folder / "run"


def _dbt(calls: Sequence[DbtCall] | FunctionCall) -> Sequence[DbtCall]:
    return () if isinstance(calls, FunctionCall) else calls


def _refuse_unsafe(folder: RehearsalFolder, upstream: Upstream, calls: Sequence[DbtCall]) -> None:
    environments = [command_environment(call, folder, _run_dir(folder)) for call in calls]
    distinct = {tuple(sorted(variables.items())): variables for variables in environments}
    folder.refuse_shared_targets(upstream.mirror.project_dir, distinct.values())
    for side in Side:
        folder.refuse_foreign_databases(workspace_of(upstream.mirror, side), upstream.own | upstream.nodes)


def _build(
    upstream: Upstream, folder: RehearsalFolder, windows: Sequence[Scheduled], progress: Progress
) -> None:
    folder.make_folders(upstream.mirror.project_dir)
    with progress.step(f"{len(upstream.nodes)} models upstream built on both sides"):
        for side in Side:
            with reminding(f"waiting for dbt to build the upstream models, {side.value} side", progress.say):
                upstream.build(side, (windows[0], windows[-1]), _run_dir(folder) / f"upstream-{side.value}")


@contextlib.contextmanager
def _moved(mirror: Mirror, folder: RehearsalFolder, windows: Sequence[Scheduled]) -> Iterator[Mirror]:
    """The mirror in an environment in which its function writes into the folder; a dbt unit is left unchanged.

    Raises NotRehearsable if one of the compared files would be outside it.
    """
    if mirror.dbt_mirror is not None:
        yield mirror
        return
    unit = str(mirror.legacy_unit)
    # A relative path in the YAML starts at the project's root.
    with process_environment(mirror.rehearsal), working_directory_kept():
        os.chdir(folder.settings.root)
        [moved] = select_mirrors(load_mirrors(folder.settings.root), [unit])
        files = [
            file
            for window in windows
            for output in moved.outputs_of(window)
            if isinstance(output, FileOutput)
            for file in (output.legacy, output.candidate)
        ]
        if not files:
            raise NotRehearsable(unit, "it declares no `file` to compare")
        if outside := [file for file in files if not Path(file).is_relative_to(folder.folder)]:
            reason = f"{outside[0]} is outside {folder.folder}. Declare `rehearsal` in its YAML"
            raise NotRehearsable(unit, reason)
        yield moved
