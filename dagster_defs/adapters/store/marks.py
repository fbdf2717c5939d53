"""What the marks of one DAG say: its file in `proxied_state/`, in Airlift's own format.

This file decides who owns a task, so both sides of the hand-over read it with the same code: this module exists twice,
byte for byte, as `legacy_dags/handover/marks.py` and as `dagster_defs/adapters/store/marks.py` (decision 17). It needs
PyYAML and Python 3.8, and imports nothing from either side.

A mistake affects only what it is about: a wrong entry its task, a wrong file its DAG. What is not honoured is named,
and no file can make the reader wait, recurse or grow without bound.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SUFFIXES = (".yaml", ".yml")
MOST_BYTES = 1 << 18  # about 5,000 tasks, which PyYAML reads in 3 s
DEPTH = 16  # the format itself has four levels
DIGITS = 19  # a position has fewer
SHOWN = 20  # problems of one file that are listed one by one

_STR, _BOOL, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("str", "bool", "merge"))
_BOOLS = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}


@dataclass(frozen=True)
class Marks:
    """Which marks of a DAG are honoured, and which are not.

    `files`: the existing files, at most one of which is allowed. `whole`: the mark of the DAG as such, None if its
    tasks are marked one by one. `tasks`: their marks. `broken`: why the whole file is not honoured, or empty.
    `doubts`: why a task's mark is not honoured, by task. `nameless`: problems of entries that name no task.
    `positions`: of the tasks' marks in the ledger; a mark that was not made by a move has none.
    """

    files: tuple[Path, ...] = ()
    whole: bool | None = None
    tasks: Mapping[str, bool] = field(default_factory=dict)
    broken: str = ""
    doubts: Mapping[str, str] = field(default_factory=dict)
    nameless: tuple[str, ...] = ()
    positions: Mapping[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        problems = [self.broken] if self.broken else [*self.doubts.values(), *self.nameless]
        more = len(problems) - SHOWN
        return (
            (
                *problems[:SHOWN],
                f"{more} more entries of {self.files[0].name if self.files else 'it'} are wrong",
            )
            if more > 0
            else tuple(problems)
        )

    def problem_of(self, task_id: str) -> str:
        """Why it is not known whether the task is marked; empty if it is known.

        An entry that names no task may have been meant for any task that has no other entry.
        """
        if self.broken or task_id in self.doubts:
            return self.broken or self.doubts[task_id]
        return self.nameless[0] if self.nameless and task_id not in self.tasks else ""

    def honoured(self, task_id: str) -> bool:
        """Whether Airflow hands the task to Dagster. A task in doubt is not handed over."""
        return self.tasks.get(task_id, False) if self.whole is None else self.whole


class _Refused(Exception):
    """Why a file is not read."""


def read_marks(folder: Path, dag_id: str) -> Marks:
    """The marks of a DAG; never raises. Without a file, no task is marked."""
    files: tuple[Path, ...] = ()
    try:
        files = _files(folder, dag_id)
        if not files:
            return Marks()
        if len(files) > 1:
            raise _Refused(f"both {files[0].name} and {files[1].name} are there; keep one")
        return _marks(files, files[0].name, _node(_text(files[0]), files[0].name))
    except _Refused as error:
        return Marks(files, broken=str(error))
    # Whatever the YAML or the file is like, it must not keep Airflow from loading the DAG.
    except Exception as error:
        name = files[0].name if files else f"{dag_id}.yaml"
        reason = (
            getattr(error, "strerror", None) or " ".join(str(error).split())[:300] or type(error).__name__
        )
        return Marks(files, broken=f"{name} cannot be read: {reason}")


def marks_of_text(text: str, name: str) -> Marks:
    """The marks of a DAG that are kept elsewhere, in the same words; never raises. `name`: for messages."""
    try:
        if len(text) > MOST_BYTES:
            raise _Refused(f"{name} is longer than {MOST_BYTES:,} characters")
        return _marks((), name, _node(text, name))
    except _Refused as error:
        return Marks(broken=str(error))
    except Exception as error:
        return Marks(
            broken=f"{name} cannot be read: {' '.join(str(error).split())[:300] or type(error).__name__}"
        )


def _files(folder: Path, dag_id: str) -> tuple[Path, ...]:
    """The DAG's files, by their exact names: where `Taxi.yaml` and `taxi.yaml` are one file, it belongs to one DAG."""
    if "/" in dag_id or os.sep in dag_id:
        raise _Refused(f"{dag_id!r} cannot be the name of a file")
    paths = [path for path in (folder / f"{dag_id}{suffix}" for suffix in SUFFIXES) if _exists(path)]
    names = {path.name for path in folder.iterdir()} if paths else set()
    return tuple(path for path in paths if path.name in names)


def _exists(path: Path) -> bool:
    """True for a link that leads nowhere, too. Raises OSError where the folder may not be read."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _text(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):
        raise _Refused(f"{path.name} is not a regular file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _Refused(f"{path.name} is larger than {MOST_BYTES:,} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused(f"{path.name} cannot be read: it is not UTF-8 text (byte {error.start})") from error


def _node(text: str, name: str) -> Any:
    """The root node, None if there is nothing. No values are built: a scalar's text and tag are enough."""
    loader = _Plain(text)
    loader.name = name
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


class _Plain(yaml.SafeLoader):
    """YAML without the features by which a small file can stand for a large one, or for a value it does not show."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        peek: Any = self.peek_event
        event = peek()
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None):
            raise _Refused(f"{self.name}, line {line}: anchors and aliases are not read; write the entry out")
        if getattr(event, "tag", None):
            raise _Refused(
                f"{self.name}, line {line}: the tag {event.tag[:60]} is not read; write the plain value"
            )
        if self.depth >= DEPTH:
            raise _Refused(f"{self.name}, line {line}: it is nested more than {DEPTH} levels deep")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _marks(files: tuple[Path, ...], name: str, root: Any) -> Marks:
    top = _fields(root, name)
    for key in ("tasks", "proxied", "positions"):
        if len(top.get(key, ())) > 1:
            raise _Refused(f"{name} says `{key}` {len(top[key])} times")
    if ("tasks" in top) == ("proxied" in top):
        raise _Refused(f"{name} has neither, or both, of `tasks` and `proxied` at its top")
    if "proxied" in top:
        [node] = top["proxied"]
        whole = _bool(node)
        if whole is None:
            raise _Refused(f"{name}: `proxied: {_shown(node)}` is neither true nor false")
        return Marks(files, whole=whole)
    [listed] = top["tasks"]
    if not isinstance(listed, yaml.SequenceNode):
        raise _Refused(f"{name}: `tasks` is not a list")
    positions, doubts = _positions(name, *top.get("positions", ()))
    return _entries(files, name, listed, positions, doubts)


def _positions(name: str, node: Any = None) -> tuple[dict[str, int], dict[str, str]]:
    """By task, and the doubts about tasks whose position is none."""
    positions: dict[str, int] = {}
    doubts: dict[str, str] = {}
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise _Refused(f"{name}: `positions` is not a mapping")
    for task_id, values in _fields(node, name).items():
        text = values[0].value if len(values) == 1 and isinstance(values[0], yaml.ScalarNode) else ""
        if text.isascii() and text.isdigit() and len(text) < DIGITS:
            positions[task_id] = int(text)
        else:
            doubts[task_id] = f"{name}: the position of {task_id!r} is not a number"
    return positions, doubts


def _entries(
    files: tuple[Path, ...], name: str, listed: Any, positions: Mapping[str, int], doubts: dict[str, str]
) -> Marks:
    tasks: dict[str, bool] = {}
    nameless: list[str] = []
    for node in listed.value:
        where = f"{name}, line {node.start_mark.line + 1}"
        named, problem, proxied = _entry(node, where)
        if problem:
            for task_id in named:
                doubts.setdefault(task_id, problem)
            if not named:
                nameless.append(problem)
        elif tasks.setdefault(named[0], proxied) != proxied:
            doubts.setdefault(named[0], f"{name} marks {named[0]} both as proxied and as not")
    kept = {task_id: proxied for task_id, proxied in tasks.items() if task_id not in doubts}
    known = {task_id: position for task_id, position in positions.items() if task_id in kept}
    return Marks(files, tasks=kept, doubts=doubts, nameless=tuple(nameless), positions=known)


def _entry(node: Any, where: str) -> tuple[list[str], str, bool]:
    """The task that an entry names (or the tasks, if it is wrong), what is wrong with it, and its mark."""
    wanted = "an `id` with `proxied: true` or `proxied: false`"
    if not isinstance(node, yaml.MappingNode):
        return [], f"{where}: {_shown(node)} is not {wanted}", False
    fields = _fields(node, where)
    ids, marks = fields.get("id", []), fields.get("proxied", [])
    named = [node.value for node in ids if isinstance(node, yaml.ScalarNode) and node.value]
    if len(ids) != 1 or len(marks) != 1:
        return (
            named,
            f"{where}: the entry has {len(ids)} `id` and {len(marks)} `proxied`; it takes {wanted}",
            False,
        )
    proxied = _bool(marks[0])
    if not named or ids[0].tag != _STR:
        return named, f"{where}: `id: {_shown(ids[0])}` is not text; in quotes it would be", False
    if proxied is None:
        return (
            named,
            f"{where}: `proxied: {_shown(marks[0])}` of {named[0]!r} is neither true nor false",
            False,
        )
    return named, "", proxied


def _fields(node: Any, where: str) -> dict[str, list[Any]]:
    """The values of a mapping by their keys; a repeated key has several."""
    fields: dict[str, list[Any]] = {}
    if not isinstance(node, yaml.MappingNode):
        return fields
    for key, value in node.value:
        if key.tag == _MERGE:
            raise _Refused(f"{where}: `<<` is not read; write the entry out")
        if isinstance(key, yaml.ScalarNode):
            fields.setdefault(key.value, []).append(value)
    return fields


def _bool(node: Any) -> bool | None:
    return _BOOLS[node.value.lower()] if isinstance(node, yaml.ScalarNode) and node.tag == _BOOL else None


def _shown(node: Any) -> str:
    if not isinstance(node, yaml.ScalarNode):
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    text = node.value[:60]
    return repr(text) if node.tag == _STR else text
