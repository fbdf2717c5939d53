"""The ledger's file, `proxied_state/ledger.jsonl`: entries are appended and never changed."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from dagster_defs.adapters.processes.collector import collector_paused
from dagster_defs.adapters.store import ledger_lines
from dagster_defs.adapters.store.ledger_lines import is_of_another, plain_entry, read_entry
from dagster_defs.adapters.store.seam import Contents
from dagster_defs.errors import LedgerUnreadable, LedgerUnwritable, MoveInProgress, StoreRefused
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.histories import UnitHistory, Unmoved, refuse_overtaken
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.moves import in_progress

NAME = "ledger.jsonl"
MOST_BYTES = 1 << 29  # of the file: more than a million entries
SHOWN = 1000  # most characters to show of a line that was cut off
PATIENCE = 10.0  # seconds to wait for another command's append, which takes milliseconds


@dataclass(frozen=True)
class LedgerReader:
    """Reads the ledger; a missing file is a ledger without entries."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / NAME

    def read(self, unit: Unit | None = None) -> Contents:
        """All entries, or those of one unit. An unreadable line is a problem of the unit that it is about.

        Raises LedgerUnreadable or LedgerVersion, with the line, for a line that may be about any unit.
        """
        data = self._bytes()
        *lines, tail = data.split(b"\n")
        size, cut_off = len(data) - len(tail), ""
        if tail:
            if _is_cut_off(tail):
                cut_off = _beginning(tail)
            else:  # whole except for its end of line, which an editor or a merge has removed
                lines.append(tail)
                size = len(data)
        path = str(self.path)
        entries: list[Entry] = []
        numbers: list[int] = []
        problems: dict[Unit, LedgerUnreadable] = {}
        with collector_paused():
            for number, line in enumerate(lines, 1):
                if unit is not None and is_of_another(line, unit):
                    continue
                try:
                    if (entry := plain_entry(line)) is None:
                        if not line.strip():
                            continue
                        entry = read_entry(line, f"{path} line {number}")
                    entries.append(entry)
                    numbers.append(number)
                except LedgerUnreadable as error:
                    if not error.unit:
                        raise
                    problems.setdefault(Unit.parse(error.unit), error)
        return Contents(tuple(entries), cut_off, size, numbers, problems, f"{path} line")

    def _bytes(self) -> bytes:
        try:
            status = self.path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise LedgerUnreadable(str(self.path), "it is not a regular file")
            if status.st_size > MOST_BYTES:
                raise LedgerUnreadable(
                    str(self.path), f"it has {status.st_size:,} bytes, and {MOST_BYTES:,} at most are read"
                )
            return self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            raise LedgerUnreadable(str(self.path), error.strerror or str(error)) from error

    def history(self, unit: Unit) -> UnitHistory:
        """Raises LedgerUnreadable also if the unit's entries are an impossible history."""
        return self.read(unit).histories().get(unit, Unmoved(unit))


@dataclass(frozen=True)
class Ledger(LedgerReader):
    """Appends entries too."""

    def append(self, entry: Entry) -> None:
        """Append one line and sync it to disk, or nothing at all.

        Raises LedgerUnwritable, and MoveInProgress or MoveOvertaken if what the entry is based on has changed.
        """
        line = json.dumps(entry.as_json(), ensure_ascii=False).encode() + b"\n"
        with self._locked(".ledger", PATIENCE):
            contents = self.read(entry.unit)
            refuse_overtaken(contents.histories().get(entry.unit, Unmoved(entry.unit)), entry)
            try:
                self._write(line, contents.size)
            except OSError as error:
                raise LedgerUnwritable(str(self.path), error.strerror or str(error)) from error

    @contextmanager
    def moving(self, unit: Unit) -> Iterator[None]:
        """Lock the unit while a command moves it. The lock ends with the process, however that ends.

        Raises MoveInProgress, with who and what, if another command is moving the unit.
        """
        try:
            with self._locked(_lock_name(unit), 0):
                yield
        except Timeout:
            raise self._who_is_moving(unit) from None

    def _who_is_moving(self, unit: Unit) -> MoveInProgress:
        """The other command may have its lock, but not yet its intent in the ledger."""
        until = time.monotonic() + 2
        while time.monotonic() < until:
            if open_move := self.history(unit).open:
                return in_progress(open_move, half_done=False)
            time.sleep(0.02)
        return MoveInProgress(str(unit), "a move", "another command", "this moment", half_done=False)

    @contextmanager
    def _locked(self, name: str, patience: float) -> Iterator[None]:
        lock = self._lock(name)
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            if not patience:
                raise
            raise LedgerUnwritable(str(self.path), "another command has held its lock too long") from None
        except OSError as error:
            raise LedgerUnwritable(str(self.folder), error.strerror or str(error)) from error
        try:
            if isinstance(lock, SoftFileLock):  # it became one: the file system has no real locks
                why = "its file system has no locks, and a file as a lock outlives its process"
                raise StoreRefused(f"file:{self.folder}", why, "Keep the record on a disk with locks")
            yield
        finally:
            lock.release()

    def _lock(self, name: str) -> BaseFileLock:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerUnwritable(str(self.folder), error.strerror or str(error)) from error
        return FileLock(self.folder / f"{name}.lock")

    def _write(self, line: bytes, size: int) -> None:
        new = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line
            os.ftruncate(handle, size)  # drop what a crash left after the last whole line
            os.lseek(handle, size, os.SEEK_SET)
            try:
                if os.write(handle, line) != len(line):
                    raise OSError(28, "No space left on device")
                os.fsync(handle)
            except BaseException:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
        if new:
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)  # so that the file's name survives a power cut too
            finally:
                os.close(folder)


def _lock_name(unit: Unit) -> str:
    """The unit's name, if the file system accepts it: at most 255 bytes with the suffix."""
    name = f".{quote(str(unit), safe='')}"
    return name if len(name) <= 200 else f".{hashlib.sha256(str(unit).encode()).hexdigest()}"


def _is_cut_off(tail: bytes) -> bool:
    """Whether the text after the last end of line is part of an entry. If longer than any entry, it is an edit."""
    if len(tail) > ledger_lines.MOST_BYTES:
        return False
    try:
        json.loads(tail)
    except (ValueError, RecursionError):
        return True
    return False


def _beginning(tail: bytes) -> str:
    text = tail.decode(errors="replace")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
