"""What a store of the record must provide: the ledger's entries, and the marks that say who owns a unit's windows.

A store is a module or a folder next to this file and a row in `registry.py`; nothing else asks which one it is. A
reader has no method that writes, so whatever explains, plans or shows is given a reader.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from dagster_defs.adapters.processes.collector import collector_paused
from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.errors import LedgerUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.diagnosis import Skew
from dagster_defs.lifecycle.histories import Histories, UnitHistory, histories
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.stores import Figures, Made
from dagster_defs.settings import Settings


@dataclass(frozen=True, slots=True)
class Contents:
    """The entries in their order. `numbers`: of each one, where it stands, which `place` turns into words.

    `cut_off`: what a crash left after a file's last whole line; it is ignored. `size`: bytes of all whole lines of a
    file. `problems`: units with an unreadable entry.
    """

    entries: tuple[Entry, ...]
    cut_off: str = ""
    size: int = 0
    numbers: Sequence[int] = ()
    problems: Mapping[Unit, LedgerUnreadable] = field(default_factory=dict)
    place: str = "entry"

    def histories(self) -> Histories:
        with collector_paused():
            return histories(self.entries, lambda index: f"{self.place} {self.numbers[index]}", self.problems)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Of a unit's step in a run. `lost`: it was declared so, and must write nothing any more."""

    run_id: str
    unit: str
    count: int
    lost: bool = False


def first_count() -> int:
    """Where a step begins to count. Another try of the step in the same run begins elsewhere: steps that come and go
    never look like one that stands still."""
    return secrets.randbelow(2**48)


class Heartbeats(Protocol):
    """Signs of life of runs that are at work: each beats as long as its process lives, and whoever looks counts them.

    No clock decides. A run is declared lost only at a count: one more beat, and the declaration fails. Every method
    raises a ParityError if the store is not there or cannot be written.
    """

    def beat(self, run_id: str, unit: str) -> bool:
        """Once more, or for the first time; False if the run was declared lost."""
        ...

    def rest(self, run_id: str, unit: str) -> None:
        """Forget it: the step is no longer at work."""
        ...

    def all(self) -> Sequence[Heartbeat]: ...

    def declare_lost(self, heartbeat: Heartbeat) -> bool:
        """False if it has beaten since, or rests."""
        ...


class StoreReader(Protocol):
    """Every method raises a ParityError if the store is not there or cannot be read: it is never taken for empty."""

    @property
    def place(self) -> str:
        """Where the store is, for messages; without secrets."""
        ...

    def read(self, unit: Unit | None = None) -> Contents:
        """All entries, or those of one unit. An unreadable entry is a problem of the unit that it is about.

        Raises LedgerUnreadable or LedgerVersion for an entry that may be about any unit.
        """
        ...

    def history(self, unit: Unit) -> UnitHistory:
        """Raises LedgerUnreadable also if the unit's entries are an impossible history."""
        ...

    def marks(self, dag_id: str = "") -> Marks:
        """The marks on record, of all DAGs or of one: they decide whether a Dagster run may write."""
        ...

    def marks_in_airflow(self, dag_id: str = "") -> Marks:
        """The marks as Airflow is told them. One that is not as on record is in doubt."""
        ...

    def figures(self) -> Figures: ...

    def flaws(self) -> Sequence[str]:
        """What is wrong with the store itself, apart from entries and marks that contradict each other."""
        ...


class Store(StoreReader, Protocol):
    """Writes too."""

    def append(self, entry: Entry) -> None:
        """Append one entry durably, or nothing at all.

        Raises LedgerUnwritable, and MoveInProgress or MoveOvertaken if what the entry is based on has changed.
        """
        ...

    def moving(self, unit: Unit) -> AbstractContextManager[None]:
        """Exclude every other move of the unit. The exclusion ends with this process, however that ends.

        Raises MoveInProgress, with who and what, if another command is moving the unit.
        """
        ...

    def refuse_unmarkable(self, unit: Unit) -> None:
        """Raises a ParityError if the unit's mark could not be written, whatever its value."""
        ...

    def mark(self, unit: Unit, *, proxied: bool) -> None:
        """Record the unit's mark, with the position of its last entry, and tell Airflow.

        Raises LedgerUnwritable if it cannot be written.
        """
        ...

    def heartbeats(self) -> Heartbeats:
        """Of runs that are at work; asks nothing yet."""
        ...

    def probe(self) -> Skew:
        """Try that the record can be written and that a lock excludes others, and leave everything as it was; how far
        the store's clock is ahead.

        Raises a ParityError that says what cannot be done.
        """
        ...

    def create(self) -> Made:
        """Make the store where there is none, or bring it up to date; it keeps what it holds."""
        ...

    def take_in(self, entries: Sequence[Entry], marks: Marks) -> bool:
        """Fill an empty store with all of these, or with nothing; False if it holds exactly these already. Marks keep
        their positions, which are those that the entries will have.

        Raises StoreNotEmpty if it holds anything else.
        """
        ...


class StoreKind(Protocol):
    """One kind of store. `schemes`: what a PARITY_STORE of this kind begins with, up to the colon."""

    @property
    def schemes(self) -> Sequence[str]: ...

    def reader(self, address: str, settings: Settings) -> StoreReader: ...

    def store(self, address: str, settings: Settings) -> Store:
        """Neither this nor `reader` connects to anything. Both raise BadStore for an address that cannot be read."""
        ...
