"""Every kind of store, by what PARITY_STORE begins with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dagster_defs.adapters.store.files import FileReader, Files
from dagster_defs.adapters.store.marks_folders import MarksFolders
from dagster_defs.adapters.store.postgres.store import Postgres
from dagster_defs.adapters.store.seam import Store, StoreKind, StoreReader
from dagster_defs.errors import BadStore
from dagster_defs.settings import Settings

_FILES = Files()
_KINDS: Mapping[str, StoreKind] = {scheme: kind for kind in (_FILES, Postgres()) for scheme in kind.schemes}


def store_reader(settings: Settings) -> StoreReader:
    """What can only read. Raises BadStore if PARITY_STORE cannot be understood."""
    return _kind(settings.store).reader(settings.store, settings)


def open_store(settings: Settings) -> Store:
    """Raises BadStore if PARITY_STORE cannot be understood."""
    return _kind(settings.store).store(settings.store, settings)


def files_at(folder: Path, settings: Settings) -> StoreReader:
    """The record that was kept in this folder, whatever PARITY_STORE names now."""
    folders = MarksFolders.of(folder, settings)
    return FileReader(folder, named=True, apart=folders if folders.airflows.dags else None)


def _kind(address: str) -> StoreKind:
    if not address:
        return _FILES
    scheme, colon, _ = address.partition(":")
    if not colon or scheme not in _KINDS:
        known = " or ".join(f"{each}:…" for each in _KINDS)
        raise BadStore(scheme if colon else "its value", "it is no known kind of store", f"Write {known}")
    return _KINDS[scheme]
