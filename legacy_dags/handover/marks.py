"""`proxied_state/<dag_id>.yaml`, in Airlift's own format, read for one DAG by itself.

Airlift reads the whole folder for each DAG file, and one bad file breaks all. Here a mistake costs what it is about: an
entry its task, a file its DAG.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Marks:
    """`whole`: the mark of the DAG as such. `tasks`: those of its tasks. `problems`: what could not be read."""

    whole: bool = False
    tasks: Mapping[str, bool] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_marks(folder: Path, dag_id: str) -> Marks:
    """Never raises. A file that is not there is no mark."""
    files = [path for suffix in (".yaml", ".yml") if (path := folder / f"{dag_id}{suffix}").is_file()]
    if not files:
        return Marks()
    if len(files) > 1:
        return Marks(problems=(f"both {files[0].name} and {files[1].name} are there; keep one",))
    try:
        said = yaml.safe_load(files[0].read_text(encoding="utf-8"))
    # YAML of any kind, and a file of any kind: recursion, bytes that are no text, a folder without access.
    except Exception as error:
        return Marks(problems=(f"{files[0].name} cannot be read: {' '.join(str(error).split())}",))
    return _marks(files[0].name, said)


def _marks(name: str, said: Any) -> Marks:
    if not isinstance(said, dict) or ("tasks" in said) == ("proxied" in said):
        return Marks(problems=(f"{name} has neither, or both, of `tasks` and `proxied` at its top",))
    if "proxied" in said:
        if not isinstance(said["proxied"], bool):
            return Marks(problems=(f"{name}: `proxied: {said['proxied']!r}` is neither true nor false",))
        return Marks(whole=said["proxied"])
    if not isinstance(said["tasks"], list):
        return Marks(problems=(f"{name}: `tasks` is no list",))
    tasks: dict[str, bool] = {}
    problems: list[str] = []
    contradicted: set[str] = set()
    for entry in said["tasks"]:
        task_id, proxied = (
            (entry.get("id"), entry.get("proxied")) if isinstance(entry, dict) else (None, None)
        )
        if not isinstance(task_id, str) or not isinstance(proxied, bool):
            problems.append(f"{name}: {entry!r} is no `id` with `proxied: true` or `proxied: false`")
        elif tasks.setdefault(task_id, proxied) != proxied:
            contradicted.add(task_id)
    problems += [f"{name} marks {task_id} both as proxied and as not" for task_id in sorted(contradicted)]
    kept = {task_id: proxied for task_id, proxied in tasks.items() if task_id not in contradicted}
    return Marks(tasks=kept, problems=tuple(problems))
