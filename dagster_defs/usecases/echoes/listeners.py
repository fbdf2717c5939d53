"""Who in Airflow listens to which DAG, according to the inventory, which is read again when it has changed."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.errors import InventoryUnreadable
from dagster_defs.inventory.document import Inventory
from dagster_defs.lifecycle.listening import Listening, listening
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory


def listeners_of(
    settings: Settings, dag_id: str, mirrored: Collection[str], gone: Collection[str], *, clock: bool
) -> Listening | None:
    """See `listening`; None without an inventory. Raises what reading one raises."""
    own = settings_of_dag(settings, dag_id)
    file = own.inventory_file
    if file is None:
        return None
    try:
        facts = file.stat()
    except OSError as error:
        raise InventoryUnreadable(str(file), error.strerror or str(error)) from error
    which = file, own.team_file, facts.st_mtime_ns, facts.st_size
    return _listening(which, dag_id, frozenset(mirrored), frozenset(gone), clock)


@lru_cache(maxsize=2_000)
def _listening(
    which: tuple[Path, Path, int, int],
    dag_id: str,
    mirrored: frozenset[str],
    gone: frozenset[str],
    clock: bool,
) -> Listening:
    """Asked in each tick about each DAG, it would read through the whole estate as often."""
    return listening(_read(*which), dag_id, mirrored, gone, clock=clock)


@lru_cache(maxsize=8)
def _read(file: Path, team_file: Path, _changed: int, _size: int) -> Inventory:
    return read_inventory(file, team_file)
