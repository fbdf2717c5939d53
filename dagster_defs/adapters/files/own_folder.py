"""A folder that one of our commands fills and empties again, told by a mark from a folder that is somebody's."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout


class InUse(Exception):
    """Another process is using the folder."""


class NotOurs(Exception):
    """The folder holds something that the command did not put there; nothing in it was touched."""


@dataclass(frozen=True)
class OwnFolder:
    """`mark`: the name of the file that permits emptying the folder; it is only put into an empty folder."""

    folder: Path
    mark: str

    @contextmanager
    def emptied(self, parts: Sequence[str] = ()) -> Iterator[None]:
        """The folder, locked for the duration of the block and emptied, or cleared of only these parts.

        Raises NotOurs, with the reason, or InUse; then nothing was removed, made or ended.
        """
        with self.locked():
            self.clear(parts)
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        self.refuse_foreign()  # before the lock, which lies beside the folder
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.with_name(self.folder.name + ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InUse from error
        with lock:
            self.refuse_foreign()
            self.folder.mkdir(exist_ok=True)
            (self.folder / self.mark).touch()
            yield

    def clear(self, parts: Sequence[str] = ()) -> None:
        """Remove the content, or only these parts; call it only inside `locked`."""
        for path in [self.folder / part for part in parts] if parts else list(self.folder.iterdir()):
            if path.name == self.mark:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def refuse_foreign(self) -> None:
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise NotOurs("is not a folder")
            if self.folder.is_dir() and any(self.folder.iterdir()) and not self._is_marked():
                raise NotOurs("holds files of somebody else, and would be emptied")
        except OSError as error:
            raise NotOurs(f"cannot be read ({error.strerror})") from error

    def _is_marked(self) -> bool:
        mark = self.folder / self.mark
        return mark.is_file() and not mark.is_symlink()
