"""Imports the modules that it is given, in a fresh interpreter, and says as JSON what they did meanwhile.

Arguments: the folder whose code is watched, then the modules. What a library does while it is imported is the
library's; what a watched module does itself, or has a library do (a console that asks the terminal), is noted, with the
line of the module that did it.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

root = Path(sys.argv[1]).resolve()
modules = sys.argv[2:]
noted: list[str] = []
watching = False

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.mkdir", "os.remove",
    "os.rename", "os.rmdir", "os.chdir", "os.chmod", "os.link", "os.symlink", "os.truncate", "os.putenv", "os.unsetenv",
    "shutil.", "tempfile.", "urllib.Request", "sqlite3.connect",
)  # fmt: skip


def responsible() -> str:
    """The line of the watched module on whose behalf this happens; empty if a library is being imported."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return ""
        if file.startswith(f"{root}{os.sep}") and ".venv" not in file and file != __file__:
            return f"{Path(file).relative_to(root)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


# What a library asks for whenever something of its kind is defined: pydantic of a model, Dagster of definitions.
OF_LIBRARIES = ("(PYDANTIC_", "(DAGSTER_RECORD_DEFENSIVE_CHECKS)")


def note(what: str) -> None:
    if any(name in what for name in OF_LIBRARIES):
        return
    if watching and (line := responsible()):
        noted.append(f"{line} {what}")


class Environment(type(os.environ)):  # type: ignore[misc]  # the class has no public name
    """The process's environment, which tells of each look-up."""

    def __getitem__(self, key: str) -> str:
        note(f"reads the environment ({key})")
        return str(super().__getitem__(key))

    def __contains__(self, key: object) -> bool:
        note(f"reads the environment ({key})")
        return bool(super().__contains__(key))

    def __iter__(self) -> Iterator[str]:
        note("reads the whole environment")
        return iter(super().__iter__())


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        note("asks for the terminal")
        return False


def terminal_size(*_: Any) -> os.terminal_size:
    note("asks for the terminal's size")
    return os.terminal_size((80, 24))


def audited(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        _, mode, flags = arguments
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (flags or 0) & WRITING:
            note(f"writes {arguments[0]}")
    elif event.startswith(EVENTS):
        note(event)


def main() -> None:
    global watching
    sys.dont_write_bytecode = True
    answers = sys.stdout
    os.environ.__class__ = Environment  # also for those who have taken `environ` from os before
    os.get_terminal_size = terminal_size
    sys.stdout = Terminal(io.BytesIO())
    sys.stderr = Terminal(io.BytesIO())
    sys.addaudithook(audited)
    sys.path[:0] = [str(root)]
    watching = True
    for module in modules:
        importlib.import_module(module)
    watching = False
    print(json.dumps(noted), file=answers)


if __name__ == "__main__":
    main()
