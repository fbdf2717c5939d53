"""`parity store init`: makes the store where there is none, or brings it up to date."""

from __future__ import annotations

from dagster_defs.adapters.store.registry import open_store
from dagster_defs.lifecycle.stores import Made
from dagster_defs.settings import Settings


def create_store(settings: Settings) -> Made:
    """What the store holds is kept. Raises StoreVersion for a store that a later version has made."""
    return open_store(settings).create()
