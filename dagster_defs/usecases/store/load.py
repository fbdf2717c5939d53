"""`parity store import`: brings a record that was kept in files into an empty store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.adapters.store.registry import files_at, open_store
from dagster_defs.adapters.store.seam import StoreReader
from dagster_defs.errors import ImportDiffers, ImportRefused, LedgerUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.stores import Imported
from dagster_defs.settings import Settings


@dataclass(frozen=True, slots=True)
class _Record:
    entries: tuple[Entry, ...]
    marks: dict[Unit, tuple[bool, int | None]]


def import_record(settings: Settings, folder: Path | None) -> Imported:
    """`folder`: with the ledger and the marks; by default the one of PARITY_PROXIED_STATE.

    Raises ImportRefused, StoreNotEmpty, and ImportDiffers if somebody has moved a unit in the meantime.
    """
    source = files_at((folder or settings.proxied_state).resolve(), settings)
    store = open_store(settings)
    record = _whole_record(source)
    is_new = store.take_in(record.entries, source.marks())
    taken = _Record(store.read().entries, _positioned(store.marks()))
    if taken != record:
        raise ImportDiffers(store.place, source.place, "it does not read as it was written")
    if _whole_record(source) != record:
        raise ImportDiffers(store.place, source.place, "a unit was moved there in the meantime")
    return Imported(source.place, store.place, len(record.entries), len(record.marks), is_new)


def _whole_record(source: StoreReader) -> _Record:
    """Raises ImportRefused for anything whose meaning is in doubt: it could not be carried over."""
    try:
        contents = source.read()
    except LedgerUnreadable as error:
        raise ImportRefused(source.place, str(error), "Restore the ledger first") from error
    marks = source.marks()
    for unit, problem in contents.histories().problems.items():
        raise ImportRefused(source.place, str(problem), f"Restore the ledger of {unit} first")
    for dag_id, problems in marks.problems.items():
        raise ImportRefused(source.place, problems[0], f"Mend the marks of {dag_id} first")
    for dag_id in marks.whole:
        why = f"{dag_id} is marked as a whole, and only Airflow knows which tasks that covers"
        raise ImportRefused(source.place, why, "List its tasks one by one first")
    return _Record(contents.entries, _positioned(marks))


def _positioned(marks: Marks) -> dict[Unit, tuple[bool, int | None]]:
    return {unit: (proxied, marks.position(unit)) for unit, proxied in marks.items()}
