"""The record in one folder that everybody shares: `ledger.jsonl`, and a file of marks for each DAG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from filelock import FileLock, Timeout

from dagster_defs.adapters.store.channels import Channel, ChannelReader, Folders, channel_of, compared
from dagster_defs.adapters.store.heartbeats import HeartbeatFiles
from dagster_defs.adapters.store.ledger import Ledger, LedgerReader
from dagster_defs.adapters.store.locks import try_out
from dagster_defs.adapters.store.marks_folders import MarksFolders
from dagster_defs.adapters.store.mounts import refuse_without_locks
from dagster_defs.adapters.store.proxied_state import Marks, refuse_unmarkable, set_up, tell_airflow
from dagster_defs.adapters.store.seam import Contents
from dagster_defs.errors import BadStore, ImportRefused, LedgerUnwritable, StoreMissing
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.diagnosis import Skew
from dagster_defs.lifecycle.histories import UnitHistory
from dagster_defs.lifecycle.ledger import SCHEMA, Entry
from dagster_defs.lifecycle.stores import Figures, Made
from dagster_defs.settings import Settings

TELLING_SECONDS = 60.0


@dataclass(frozen=True)
class FileReader:
    """`named`: PARITY_STORE names the folder, so that it has to exist. Otherwise a missing folder has no entries: a new
    project has not moved anything yet. `apart`: where the marks are, if the project has several Airflows. `channel`:
    where Airflow is told them, if not in these files."""

    folder: Path
    named: bool = False
    apart: MarksFolders | None = None
    channel: ChannelReader | None = None

    @property
    def place(self) -> str:
        return f"file:{self.folder}"

    def read(self, unit: Unit | None = None) -> Contents:
        return LedgerReader(self._usable()).read(unit)

    def history(self, unit: Unit) -> UnitHistory:
        return LedgerReader(self._usable()).history(unit)

    def marks(self, dag_id: str = "") -> Marks:
        return self._folders().read(dag_id)

    def marks_in_airflow(self, dag_id: str = "") -> Marks:
        """The same files, if Airflow reads them."""
        marks = self.marks(dag_id)
        return marks if self.channel is None else compared(marks, self.channel.read(dag_id))

    def figures(self) -> Figures:
        """A lock can only be tried, so that it is not known which units are being moved."""
        contents = self.read()
        units = {entry.unit for entry in contents.entries} | contents.problems.keys()
        entries = len(contents.entries)
        return Figures(self.place, SCHEMA, entries, len(units), len(self.marks()), entries, None)

    def flaws(self) -> Sequence[str]:
        """What a crash has left; the next entry takes its place."""
        left = self.read().cut_off
        return [f"the ledger ends with a line that was cut off: {left}"] if left else []

    def _folders(self) -> MarksFolders:
        usable = self._usable()
        return self.apart or MarksFolders(usable)

    def _usable(self) -> Path:
        """Raises StoreMissing or StoreRefused."""
        refuse_without_locks(self.folder)
        if self.named and not self.folder.is_dir():
            raise StoreMissing(self.place, "there is no such folder")
        return self.folder


@dataclass(frozen=True)
class FileStore(FileReader):
    """Writes too."""

    channel: Channel | None = None

    def append(self, entry: Entry) -> None:
        Ledger(self._usable()).append(entry)

    @contextmanager
    def moving(self, unit: Unit) -> Iterator[None]:
        with Ledger(self._usable()).moving(unit):
            yield

    def refuse_unmarkable(self, unit: Unit) -> None:
        refuse_unmarkable(self._folder_of(unit), unit)
        if self.channel is not None:
            self.channel.refuse_unmarkable(unit)

    def mark(self, unit: Unit, *, proxied: bool) -> None:
        numbers = LedgerReader(self._usable()).read(unit).numbers
        position = numbers[-1] if numbers else None
        if self.channel is None:
            tell_airflow(self._folder_of(unit), unit, proxied=proxied, position=position)
            return
        # Airflow is told a DAG's marks as a whole: of two units at once, the later one must tell both.
        with self._telling():
            tell_airflow(self._folder_of(unit), unit, proxied=proxied, position=position)
            self.channel.tell(unit, self.marks(unit.dag_id))

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            with FileLock(self.folder / ".told.lock", timeout=TELLING_SECONDS):
                yield
        except Timeout as error:
            why = f"another command has been telling Airflow a mark for {TELLING_SECONDS:g} s"
            raise LedgerUnwritable(str(self.folder), why) from error

    def _folder_of(self, unit: Unit) -> Path:
        return self._folders().folder_of(unit.dag_id) or self.folder

    def heartbeats(self) -> HeartbeatFiles:
        return HeartbeatFiles(self._usable())

    def probe(self) -> Skew:
        folder = self._usable()
        if not folder.is_dir():
            raise StoreMissing(self.place, "there is no such folder")
        for each in (folder, *(self.apart.known if self.apart else ())):
            skew = try_out(each)
        return skew

    def create(self) -> Made:
        refuse_without_locks(self.folder)
        before = SCHEMA if self.folder.is_dir() else ""
        try:
            for folder in (self.folder, *(self.apart.known if self.apart else ())):
                set_up(folder)
        except OSError as error:
            raise LedgerUnwritable(str(self.folder), error.strerror or str(error)) from error
        if self.channel is not None:
            self.channel.set_up()
        return Made(self.place, before, SCHEMA)

    def take_in(self, entries: Sequence[Entry], marks: Marks) -> bool:
        """Raises ImportRefused: a folder is copied as it is."""
        raise ImportRefused(
            self.place, "PARITY_STORE names files, which need no import", "Name a database in PARITY_STORE"
        )


class Files:
    """`file:PATH`; without an address, the folder of PARITY_PROXIED_STATE or the project's own."""

    schemes: ClassVar = ("file",)

    def reader(self, address: str, settings: Settings) -> FileReader:
        return FileReader(*_places(address, settings))

    def store(self, address: str, settings: Settings) -> FileStore:
        return FileStore(*_places(address, settings))


def _places(address: str, settings: Settings) -> tuple[Path, bool, MarksFolders | None, Channel | None]:
    folder = _folder(address, settings)
    folders = MarksFolders.of(folder, settings)
    channel = channel_of(settings, folders, f"file:{folder}")
    apart = folders if folders.airflows.dags else None
    return folder, bool(address), apart, None if isinstance(channel, Folders) else channel


def _folder(address: str, settings: Settings) -> Path:
    """A relative path begins at the project. Raises BadStore if PARITY_PROXIED_STATE names another folder: Airflow
    would read marks that no move writes."""
    if not address:
        return settings.proxied_state
    path = address.partition(":")[2]
    path = path[2:] if path.startswith("///") else path
    if not path or path.startswith("//"):
        raise BadStore(address, "it names no folder", "Write file:/a/folder")
    folder, told = settings.root / path, settings.named_proxied_state
    if told is not None and told.resolve() != folder.resolve():
        raise BadStore(
            address,
            f"PARITY_PROXIED_STATE names another folder, {told}",
            "Unset it, or give both the same folder",
        )
    return folder
