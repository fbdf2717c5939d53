"""Files that list the windows of a DAG, next to its mirrors: written by `parity scaffold`, read by each load."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from dagster_defs.adapters.files import atomic, strict_json
from dagster_defs.errors import BadWindowList
from dagster_defs.inventory.schedules import FILE
from dagster_defs.windows import WindowList

__all__ = ["FILE", "read_list", "write_list"]


def read_list(path: Path) -> WindowList:
    """Raises BadWindowList, which names the file, if it is missing or not a list of windows."""
    try:
        facts = path.stat()
        return _read(path, facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        raise BadWindowList(f"it cannot be read ({error.strerror})", str(path)) from error


@lru_cache(maxsize=512)  # all units of a DAG share one
def _read(path: Path, _changed: int, _size: int) -> WindowList:
    try:
        return WindowList.of_document(strict_json.loads(path.read_bytes()))
    except BadWindowList as error:
        raise BadWindowList(error.reason, str(path)) from error
    except ValueError as error:
        raise BadWindowList(f"it is not JSON: {error}", str(path)) from error


def write_list(path: Path, listed: WindowList) -> None:
    """Write one line per window, so that a diff shows what an export adds."""
    document = listed.as_document()
    windows = ",\n".join(f"    {json.dumps(window)}" for window in document.pop("windows"))
    head = json.dumps(document, indent=2)[:-2]
    atomic.write_text(path, f'{head},\n  "windows": [\n{windows}\n  ]\n}}\n')
