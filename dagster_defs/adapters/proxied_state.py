"""`proxied_state/<dag_id>.yaml`, in Airlift's own format: which tasks Airflow hands to Dagster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from filelock import FileLock

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.mirrors import PROJECT_ROOT
from dagster_defs.errors import ProxiedStateUnreadable
from dagster_defs.lifecycle import Unit


def proxied_state_dir() -> Path:
    """The folder that Airflow reads too: PARITY_PROXIED_STATE, or the one beside the DAGs."""
    return Path(os.environ.get("PARITY_PROXIED_STATE") or PROJECT_ROOT / "legacy_dags" / "proxied_state")


@dataclass(frozen=True, eq=False)
class Marks(Mapping[Unit, bool]):
    """Which units are marked; a unit without a mark is not in it. `whole`: the marks of DAGs as such, whose units are
    looked up by it and not listed."""

    units: Mapping[Unit, bool] = field(default_factory=dict)
    whole: Mapping[str, bool] = field(default_factory=dict)

    def __getitem__(self, unit: Unit) -> bool:
        return self.whole[unit.dag_id] if unit.dag_id in self.whole else self.units[unit]

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units)

    def __len__(self) -> int:
        return len(self.units)


def read_marks(folder: Path, dag_id: str = "") -> Marks:
    """All marks, or those of one DAG, to which another one's broken file does not matter.

    Raises ProxiedStateUnreadable, which names the file, for one that is not in Airlift's format.
    """
    units: dict[Unit, bool] = {}
    whole: dict[str, bool] = {}
    paths = sorted(folder.glob("*.yaml")) if not dag_id else [folder / f"{dag_id}.yaml"]
    for path in paths:
        if dag_id and not path.exists():
            continue
        try:
            said = yaml.safe_load(path.read_text())
            if "proxied" in said:
                whole[path.stem] = _mark(said)
                continue
            units |= {Unit(path.stem, task["id"]): _mark(task) for task in said["tasks"]}
        except (yaml.YAMLError, OSError, KeyError, TypeError) as error:
            raise ProxiedStateUnreadable(path, str(error)) from error
    return Marks(units, whole)


def _mark(entry: Mapping[str, object]) -> bool:
    if not isinstance(proxied := entry["proxied"], bool):
        raise TypeError(f"`proxied: {proxied!r}` is neither true nor false")
    return proxied


def write_mark(folder: Path, unit: Unit, *, proxied: bool) -> Path:
    """Mark one unit, keeping the others of its DAG; the file is replaced at once, so no reader sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    # Two who mark tasks of one DAG at the same time would each keep what the other has just changed.
    with FileLock(folder / ".marks.lock", timeout=10):
        return _write_mark(folder, unit, proxied)


def _write_mark(folder: Path, unit: Unit, proxied: bool) -> Path:
    path = folder / f"{unit.dag_id}.yaml"
    marks = read_marks(folder)
    if unit.dag_id in marks.whole:
        raise ProxiedStateUnreadable(path, "it marks the DAG as a whole, and not its tasks one by one")
    tasks = {known.task_id: mark for known, mark in marks.items() if known.dag_id == unit.dag_id}
    tasks[unit.task_id] = proxied
    text = yaml.safe_dump(
        {"tasks": [{"id": task_id, "proxied": mark} for task_id, mark in sorted(tasks.items())]},
        sort_keys=False,
    )
    atomic.write_text(path, text, mode=atomic.SHARED)
    return path
