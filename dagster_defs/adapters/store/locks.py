"""Whether a folder can be written and its locks exclude anybody, tried out with a file that is gone afterwards."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from pathlib import Path

from dagster_defs.adapters.store.mounts import refuse_without_locks
from dagster_defs.errors import LedgerUnwritable, StoreRefused
from dagster_defs.lifecycle.diagnosis import Skew

_ELSEWHERE = (
    "Keep the record on a disk that has locks and that all of its users share, or in PostgreSQL: "
    "PARITY_STORE=postgresql://…"
)


def try_out(folder: Path) -> Skew:
    """How far the file system's clock is ahead of this host's.

    Raises StoreRefused if two may hold one lock, LedgerUnwritable if no file can be made.
    """
    refuse_without_locks(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".parity-doctor-") as first:
            began = time.time()
            first.write(b"tried out by parity doctor\n")
            first.flush()
            os.fsync(first.fileno())
            took = time.time() - began
            file = Path(first.name)
            _refuse_two_holders(folder, file)
            return Skew(file.stat().st_mtime - began - took / 2, took / 2 + 0.05)
    except OSError as error:
        raise LedgerUnwritable(str(folder), error.strerror or str(error)) from error


def _refuse_two_holders(folder: Path, file: Path) -> None:
    """A lock belongs to who has opened the file, so one process can be two of them."""
    with file.open("rb") as one, file.open("rb") as other:
        try:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            why = f"its file system has no locks ({error.strerror or error})"
            raise StoreRefused(f"file:{folder}", why, _ELSEWHERE) from error
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise StoreRefused(f"file:{folder}", "two can hold one lock of its file system at a time", _ELSEWHERE)
