"""Where a unit stood when its definitions were loaded: for tags that Dagster's UI can filter by."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from dagster_defs.adapters.store.ledger import NAME, LedgerReader
from dagster_defs.adapters.store.proxied_state import Marks, read_marks
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, UnitState, state_of
from dagster_defs.lifecycle.ledger import UnitHistory
from dagster_defs.settings import Settings


def state_when_loaded(unit: Unit) -> UnitState | None:
    """None where ledger or marks cannot be read: definitions load all the same, and runs are refused."""
    folder = Settings.from_process().proxied_state
    # Hundreds of units are loaded at once, and these files change by their replacement or at their end.
    stamps = tuple(_stamp(path) for path in _files(folder))
    try:
        marks, histories = _read(folder, stamps)
        history = histories.get(unit, UnitHistory(unit))
        return state_of(unit, marks, recorded=history.stage)
    except ParityError:
        return None


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml"), *folder.glob(NAME)])


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:  # a link that leads nowhere, a file that has just gone
        return path.name, 0, 0
    return path.name, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _read(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> tuple[Marks, Mapping[Unit, UnitHistory]]:
    return read_marks(folder), LedgerReader(folder).read().histories()
