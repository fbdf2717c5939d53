"""Writes files atomically: a reader sees the old content or the new, never part of either.

The content goes to a temporary file in the same folder, is synced to disk, and then replaces the file. The name of a
temporary file says which process writes it, so that the next writer can remove what a killed process left behind.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

PRIVATE = 0o600  # for files that may hold secrets
SHARED = 0o644  # for files that the other orchestrator reads as another user

_STALE_SECONDS = 24 * 3600  # after that, another machine's temporary file counts as left over
_TEMPORARY = re.compile(r"^\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[a-z0-9_]{8}\.tmp$", re.DOTALL)
_NAME_BYTES = 120  # of the file's own name in the temporary one: a name may not exceed 255 bytes


def write_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """UTF-8, newlines as they are. For `mode` see `replacing`."""
    write_bytes(path, text.encode("utf-8"), mode=mode)


def write_bytes(path: Path, data: bytes, *, mode: int | None = None) -> None:
    with replacing(path, mode=mode) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: object, *, mode: int | None = None) -> None:
    write_text(path, json.dumps(value), mode=mode)


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """A temporary path next to `path` that replaces it when the block ends without an error.

    After an error nothing is left behind and `path` is unchanged. Permissions: `mode`, or else those of the replaced
    file, or the process's default for a new one. The owner is kept if the process may change owners. A symbolic link is
    kept, and the file behind it is replaced. Missing folders are created. Raises OSError.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path.name), suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _keep_owner(path, temporary)
        temporary.chmod(_mode(path) if mode is None else mode)
        _reach_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not every file system can sync a folder
        _reach_disk(path.parent)


def move(source: Path, target: Path) -> None:
    """Like `mv`, but atomic for a target on another file system too. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(target, mode=stat.S_IMODE(source.stat().st_mode)) as temporary:
            shutil.copyfile(source, temporary)
        source.unlink()


def read_cache(path: Path) -> dict[str, Any] | None:
    """The JSON object in a cache file; None if there is none. A broken file is removed."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document
    path.unlink(missing_ok=True)
    return None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of dead writers; those of live ones stay."""
    here = _host()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.match(entry.name)
            if not match:
                continue
            with contextlib.suppress(OSError):
                old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE_SECONDS
                if old or (match["host"] == here and not psutil.pid_exists(int(match["pid"]))):
                    Path(entry.path).unlink(missing_ok=True)


def _prefix(name: str) -> str:
    kept = os.fsencode(name)[:_NAME_BYTES].decode("utf-8", "ignore")
    return f".{kept}.{_host()}-{os.getpid()}-"


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


def _keep_owner(path: Path, temporary: Path) -> None:
    with contextlib.suppress(OSError):
        before, after = path.stat(), temporary.stat()
        if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
            os.chown(temporary, before.st_uid, before.st_gid)


def _reach_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
