"""`proxied_state/<dag_id>.yaml`, in Airlift's own format: which tasks Airflow hands to Dagster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from filelock import FileLock

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.store import marks as one_dag
from dagster_defs.errors import LedgerUnwritable, MarkedAsAWhole, ProxiedStateUnreadable
from dagster_defs.lifecycle import Unit

SET_UP = ".parity-marks"
SET_UP_TEXT = "Moves of airflow-parity write this folder, and tasks in Airflow read their marks here.\n"


@dataclass(frozen=True, eq=False)
class Marks(Mapping[Unit, bool]):
    """Which units are marked; a unit without a mark is missing, and a DAG that is marked as a whole lists no units.

    A look-up raises ProxiedStateUnreadable if the mark is in doubt: what Airflow does not honour decides nothing here.
    `doubt_of`: why nothing is known about a DAG that is not in `by_dag`; empty if it has no marks.
    """

    by_dag: Mapping[str, one_dag.Marks] = field(default_factory=dict)
    doubt_of: Callable[[str], str] = lambda dag_id: ""

    def __getitem__(self, unit: Unit) -> bool:
        marks = self.of_dag(unit.dag_id)
        if problem := marks.problem_of(unit.task_id):
            raise ProxiedStateUnreadable(marks.files[0] if marks.files else Path(unit.dag_id), problem)
        return marks.tasks[unit.task_id] if marks.whole is None else marks.whole

    def __iter__(self) -> Iterator[Unit]:
        for dag_id, marks in self.by_dag.items():
            yield from (Unit(dag_id, task_id) for task_id in marks.tasks)

    def __len__(self) -> int:
        return sum(len(marks.tasks) for marks in self.by_dag.values())

    @property
    def whole(self) -> Mapping[str, bool]:
        """The marks of whole DAGs."""
        return {dag_id: marks.whole for dag_id, marks in self.by_dag.items() if marks.whole is not None}

    @property
    def problems(self) -> Mapping[str, Sequence[str]]:
        """What Airflow does not honour, by DAG."""
        return {dag_id: marks.problems for dag_id, marks in self.by_dag.items() if marks.problems}

    def honoured(self, unit: Unit) -> bool:
        """The mark as Airflow acts on it: a task whose mark is in doubt runs there, as its own operator."""
        return self.of_dag(unit.dag_id).honoured(unit.task_id)

    def position(self, unit: Unit) -> int | None:
        """Of the unit's mark in the ledger; None for a mark that no move has set."""
        return self.of_dag(unit.dag_id).positions.get(unit.task_id)

    def doubt(self, unit: Unit) -> str:
        """Why it is unknown whether the unit is marked; empty if it is known."""
        return self.of_dag(unit.dag_id).problem_of(unit.task_id)

    def of_dag(self, dag_id: str) -> one_dag.Marks:
        return self.by_dag.get(dag_id) or one_dag.Marks(broken=self.doubt_of(dag_id))


def read_marks(folder: Path, dag_id: str = "") -> Marks:
    """All marks, or those of one DAG. A broken file affects only its own DAG.

    Raises ProxiedStateUnreadable if the folder itself cannot be read; a missing folder has no marks.
    """
    if dag_id:
        return Marks({dag_id: one_dag.read_marks(folder, dag_id)})
    try:
        names = sorted({path.stem for path in folder.iterdir() if path.suffix in one_dag.SUFFIXES})
    except FileNotFoundError:
        return Marks()
    except OSError as error:
        raise ProxiedStateUnreadable(folder, error.strerror or str(error)) from error
    return Marks({name: one_dag.read_marks(folder, name) for name in names})


def refuse_unmarkable(folder: Path, unit: Unit) -> None:
    """Raises MarkedAsAWhole if the DAG is marked as a whole: only Airflow knows which tasks that means."""
    marks = one_dag.read_marks(folder, unit.dag_id)
    if marks.whole is not None:
        raise MarkedAsAWhole(str(unit), marks.files[0])


def set_up(folder: Path) -> None:
    """Say that moves write this folder. Without that a task with a switch takes an empty one for a failed mount."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SET_UP).exists():
        atomic.write_text(folder / SET_UP, SET_UP_TEXT, mode=atomic.SHARED)


def write_mark(folder: Path, unit: Unit, *, proxied: bool, position: int | None = None) -> Path:
    """Mark one unit; the file is replaced atomically, so no reader sees half of it. `position`: of the entry in the
    ledger that the mark follows from.

    What Airflow honours in the file is kept. What it does not honour is dropped, and the old file is kept next to the
    new one under a name that nobody reads: a broken file must not prevent a rollback.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Without a lock, two commands marking tasks of one DAG at the same time would undo each other's change.
    with FileLock(folder / ".marks.lock", timeout=10):
        refuse_unmarkable(folder, unit)
        return _write_mark(folder, unit, proxied, position)


def tell_airflow(folder: Path, unit: Unit, *, proxied: bool, position: int | None) -> None:
    """`write_mark`; raises LedgerUnwritable, with the file, for whatever the file system refuses."""
    try:
        write_mark(folder, unit, proxied=proxied, position=position)
    except OSError as error:
        path = folder / f"{unit.dag_id}.yaml"
        raise LedgerUnwritable(str(path), error.strerror or str(error)) from error


def _write_mark(folder: Path, unit: Unit, proxied: bool, position: int | None) -> Path:
    marks = one_dag.read_marks(folder, unit.dag_id)
    tasks = {**marks.tasks, unit.task_id: proxied}
    positions = {task: at for task, at in marks.positions.items() if task != unit.task_id}
    if position is not None:
        positions[unit.task_id] = position
    path, *others = marks.files or (folder / f"{unit.dag_id}.yaml",)
    if marks.problems and os.path.lexists(path):
        _keep(path, others)
    _replace(path, tasks, positions)
    # Not earlier: for a moment, only the other file would exist and be honoured.
    for other in others:
        _set_aside(other)
    return path


def _keep(path: Path, others: list[Path]) -> None:
    if not path.is_file():  # a folder, a pipe, a link that leads nowhere
        while others:
            _set_aside(others.pop())
        _set_aside(path)
        return
    aside = _aside(path)
    try:
        # Behind a symbolic link, the file itself will be replaced.
        os.link(path.resolve(), aside)
    except OSError:  # a file system without hard links, or a different one
        atomic.write_bytes(aside, path.read_bytes())


def _set_aside(path: Path) -> None:
    atomic.move(path, _aside(path))


def _aside(path: Path) -> Path:
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.broken-{number}")):
        number += 1
    return aside


def _replace(path: Path, tasks: Mapping[str, bool], positions: Mapping[str, int]) -> None:
    """Airlift's reader takes an entry with nothing but `id` and `proxied`, and leaves other keys at the top alone."""
    marks = [{"id": task_id, "proxied": mark} for task_id, mark in sorted(tasks.items())]
    text = yaml.safe_dump(
        {"tasks": marks, **({"positions": dict(sorted(positions.items()))} if positions else {})},
        sort_keys=False,
        allow_unicode=True,
    )
    atomic.write_text(path, text, mode=atomic.SHARED)
