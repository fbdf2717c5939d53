"""Files with the windows of a DAG, beside its mirrors: written by `parity scaffold`, and read by each load."""

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
    """Raises BadWindowList, which names the file, for one that is not there or no list of windows."""
    try:
        facts = path.stat()
        return _read(path, facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        raise BadWindowList(f"it cannot be read ({error.strerror})", str(path)) from error


@lru_cache(maxsize=512)  # all units of a DAG have the same
def _read(path: Path, _changed: int, _size: int) -> WindowList:
    try:
        return WindowList.of_document(strict_json.loads(path.read_bytes()))
    except BadWindowList as error:
        raise BadWindowList(error.reason, str(path)) from error
    except ValueError as error:
        raise BadWindowList(f"it is not JSON: {error}", str(path)) from error


def write_list(path: Path, listed: WindowList) -> None:
    """A line for each window, so that what an export adds can be seen."""
    document = listed.as_document()
    windows = ",\n".join(f"    {json.dumps(window)}" for window in document.pop("windows"))
    head = json.dumps(document, indent=2)[:-2]
    atomic.write_text(path, f'{head},\n  "windows": [\n{windows}\n  ]\n}}\n')
