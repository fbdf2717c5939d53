"""Files that list what sensors ask about, next to the mirrors: written by `parity scaffold`, read by each load.

A JSON object: by sensor and by the start of a window, the logical dates, all in ISO 8601 with an offset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from dagster_defs.adapters.files import atomic, strict_json
from dagster_defs.errors import BadWindowList
from dagster_defs.older_python import datetime_of

Asked = Mapping[datetime, tuple[datetime, ...]]


def read_asked(path: Path, sensor: str) -> Asked:
    """What one sensor asks about. Raises BadWindowList, which names the file, if it does not say that."""
    try:
        facts = path.stat()
        listed = _read(path, facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        raise BadWindowList(f"it cannot be read ({error.strerror})", str(path)) from error
    if sensor not in listed:
        raise BadWindowList(f"it has nothing about {sensor}: run parity scaffold again", str(path))
    return listed[sensor]


@lru_cache(maxsize=128)  # all units of a DAG share one
def _read(path: Path, _changed: int, _size: int) -> Mapping[str, Asked]:
    try:
        return {
            str(sensor): {
                datetime_of(start): tuple(map(datetime_of, dates)) for start, dates in asked.items()
            }
            for sensor, asked in strict_json.loads(path.read_bytes()).items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        reason = f"it is not a list of what sensors ask about: {error}"
        raise BadWindowList(reason, str(path)) from error


def write_asked(path: Path, asked: Mapping[str, Mapping[str, Sequence[str]]]) -> bool:
    """Write what is new, one line per window, and keep what is known of other windows of the same sensors; whether
    anything is. Raises BadWindowList if the file that is there cannot be read."""
    there: Mapping[str, Asked] = {}
    if path.exists():
        facts = path.stat()
        there = _read(path, facts.st_mtime_ns, facts.st_size)
    merged = {
        sensor: {
            **there.get(sensor, {}),
            **{datetime_of(start): tuple(map(datetime_of, dates)) for start, dates in windows.items()},
        }
        for sensor, windows in asked.items()
    }
    if merged == there:
        return False
    parts = [
        f"  {json.dumps(sensor)}: {{\n{_lines(windows)}\n  }}" for sensor, windows in sorted(merged.items())
    ]
    atomic.write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")
    return True


def _lines(windows: Asked) -> str:
    return ",\n".join(
        f"    {json.dumps(start.isoformat())}: {json.dumps([date.isoformat() for date in dates])}"
        for start, dates in sorted(windows.items())
    )
