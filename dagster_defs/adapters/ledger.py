"""The ledger's file, `proxied_state/ledger.jsonl`: entries are added at its end, and never changed."""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import BaseFileLock, FileLock, Timeout

from dagster_defs.adapters.proxied_state import proxied_state_dir
from dagster_defs.errors import LedgerUnreadable, LedgerUnwritable, MoveInProgress
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.ledger import Entry, UnitHistory, histories, refuse_overtaken
from dagster_defs.lifecycle.moves import in_progress

NAME = "ledger.jsonl"
PATIENCE = 10.0  # seconds to wait for another command's append, which takes milliseconds


def operator_name() -> str:
    """Who makes a move: PARITY_OPERATOR, or the account and the machine."""
    return os.environ.get("PARITY_OPERATOR") or f"{getpass.getuser()}@{socket.gethostname()}"


@dataclass(frozen=True, slots=True)
class Contents:
    """`cut_off`: what stands after the last whole line, if a crash has left it there; it counts for nothing.
    `size`: bytes of all whole lines."""

    entries: tuple[Entry, ...]
    cut_off: str
    size: int

    def histories(self) -> Mapping[Unit, UnitHistory]:
        return histories(self.entries)


@dataclass(frozen=True)
class Ledger:
    """A missing file is a ledger without entries."""

    folder: Path

    @classmethod
    def at_hand(cls) -> Ledger:
        return cls(proxied_state_dir())

    @property
    def path(self) -> Path:
        return self.folder / NAME

    def read(self) -> Contents:
        """Raises LedgerUnreadable or LedgerVersion, with the line, for one that cannot be understood."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return Contents((), "", 0)
        except OSError as error:
            raise LedgerUnreadable(str(self.path), error.strerror or str(error)) from error
        *lines, tail = data.split(b"\n")
        entries = [self._entry(line, number) for number, line in enumerate(lines, 1) if line.strip()]
        size = len(data) - len(tail)
        if not tail:
            return Contents(tuple(entries), "", size)
        try:
            json.loads(tail)
        except ValueError:
            return Contents(tuple(entries), tail.decode(errors="replace"), size)
        # Whole, but for its end of line: an editor or a merge has taken that away.
        return Contents((*entries, self._entry(tail, len(lines) + 1)), "", len(data))

    def history(self, unit: Unit) -> UnitHistory:
        return self.read().histories().get(unit, UnitHistory(unit))

    def append(self, entry: Entry) -> None:
        """Add one line, whole and on the disk, or none.

        Raises LedgerUnwritable; MoveInProgress or MoveOvertaken if what the entry rests on is no longer so.
        """
        line = json.dumps(entry.as_json(), ensure_ascii=False).encode() + b"\n"
        with self._locked(".ledger", PATIENCE):
            contents = self.read()
            refuse_overtaken(contents.histories().get(entry.unit, UnitHistory(entry.unit)), entry)
            try:
                self._write(line, contents.size)
            except OSError as error:
                raise LedgerUnwritable(str(self.path), error.strerror or str(error)) from error

    @contextmanager
    def moving(self, unit: Unit) -> Iterator[None]:
        """While a command moves the unit. It ends with its process, however that ends.

        Raises MoveInProgress, with who and what, if another command is at it.
        """
        try:
            with self._locked(f".{quote(str(unit), safe='')}", 0):
                yield
        except Timeout:
            raise self._who_is_moving(unit) from None

    def _who_is_moving(self, unit: Unit) -> MoveInProgress:
        """The other command may have its lock, and its intent not yet in the ledger."""
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
            os.ftruncate(handle, size)  # what a crash has left after the last whole line
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
                os.fsync(folder)  # the name of the file, too, survives a power cut
            finally:
                os.close(folder)

    def _entry(self, line: bytes, number: int) -> Entry:
        where = f"{self.path} line {number}"
        try:
            document = json.loads(line)
        except ValueError as error:
            raise LedgerUnreadable(where, f"it is no JSON ({error})") from error
        return Entry.from_json(document, where)
