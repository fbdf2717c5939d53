"""`parity store status`: where the store is, and how much it holds."""

from __future__ import annotations

from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.lifecycle.stores import Figures
from dagster_defs.settings import Settings


def store_figures(settings: Settings) -> Figures:
    return store_reader(settings).figures()
