"""Signs of life of runs, in a folder beside the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.store.seam import Heartbeat, first_count
from dagster_defs.errors import LedgerUnreadable, LedgerUnwritable

FOLDER = "heartbeats"
_PATIENCE = 10.0  # seconds to wait for another process's beat, which takes milliseconds


@dataclass(frozen=True)
class HeartbeatFiles:
    """A file for each step, in a folder beside the ledger."""

    folder: Path

    def beat(self, run_id: str, unit: str) -> bool:
        with self._alone():
            known = self._read(self._file(run_id, unit)) or Heartbeat(run_id, unit, first_count())
            if not known.lost:
                self._write(replace(known, count=known.count + 1))
            return not known.lost

    def rest(self, run_id: str, unit: str) -> None:
        with self._alone():
            self._file(run_id, unit).unlink(missing_ok=True)

    def all(self) -> Sequence[Heartbeat]:
        found = (self._read(file) for file in sorted(self._place.glob("*.json")))
        return [each for each in found if each is not None]

    def declare_lost(self, heartbeat: Heartbeat) -> bool:
        with self._alone():
            if self._read(self._file(heartbeat.run_id, heartbeat.unit)) != heartbeat:
                return False
            self._write(replace(heartbeat, lost=True))
            return True

    @property
    def _place(self) -> Path:
        return self.folder / FOLDER

    def _file(self, run_id: str, unit: str) -> Path:
        return self._place / f"{run_id}.{quote(unit, safe='')[-100:]}.json"

    def _read(self, file: Path) -> Heartbeat | None:
        try:
            return Heartbeat(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise LedgerUnreadable(str(file), str(error)) from error

    def _write(self, heartbeat: Heartbeat) -> None:
        atomic.write_json(self._file(heartbeat.run_id, heartbeat.unit), asdict(heartbeat), mode=atomic.SHARED)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._place.mkdir(exist_ok=True)
            with FileLock(self._place / ".lock", timeout=_PATIENCE):
                yield
        except Timeout as error:
            why = f"another process has held its lock for {_PATIENCE:g} s"
            raise LedgerUnwritable(str(self._place), why) from error
        except OSError as error:
            raise LedgerUnwritable(str(self._place), error.strerror or str(error)) from error
