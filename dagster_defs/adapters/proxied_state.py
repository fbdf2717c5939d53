"""`proxied_state/<dag_id>.yaml`, in Airlift's own format: which tasks Airflow hands to Dagster."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml
from filelock import FileLock

from dagster_defs.adapters.mirrors import PROJECT_ROOT
from dagster_defs.errors import ProxiedStateUnreadable
from dagster_defs.lifecycle import Unit


def proxied_state_dir() -> Path:
    """The folder that Airflow reads too: PARITY_PROXIED_STATE, or the one beside the DAGs."""
    return Path(os.environ.get("PARITY_PROXIED_STATE") or PROJECT_ROOT / "legacy_dags" / "proxied_state")


def read_marks(folder: Path) -> Mapping[Unit, bool]:
    """Which units are marked as proxied; a unit without a mark is not in the answer.

    Raises ProxiedStateUnreadable, which names the file, for one that is not in Airlift's format.
    """
    marks: dict[Unit, bool] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            for task in yaml.safe_load(path.read_text())["tasks"]:
                if not isinstance(task["proxied"], bool):
                    raise TypeError(f"`proxied: {task['proxied']!r}` is neither true nor false")
                marks[Unit(path.stem, task["id"])] = task["proxied"]
        except (yaml.YAMLError, OSError, KeyError, TypeError) as error:
            raise ProxiedStateUnreadable(path, str(error)) from error
    return marks


def write_mark(folder: Path, unit: Unit, *, proxied: bool) -> Path:
    """Mark one unit, keeping the others of its DAG; the file is replaced at once, so no reader sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    # Two who mark tasks of one DAG at the same time would each keep what the other has just changed.
    with FileLock(folder / ".marks.lock", timeout=10):
        return _write_mark(folder, unit, proxied)


def _write_mark(folder: Path, unit: Unit, proxied: bool) -> Path:
    tasks = {known.task_id: mark for known, mark in read_marks(folder).items() if known.dag_id == unit.dag_id}
    tasks[unit.task_id] = proxied
    path = folder / f"{unit.dag_id}.yaml"
    text = yaml.safe_dump(
        {"tasks": [{"id": task_id, "proxied": mark} for task_id, mark in sorted(tasks.items())]},
        sort_keys=False,
    )
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{unit.dag_id}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
