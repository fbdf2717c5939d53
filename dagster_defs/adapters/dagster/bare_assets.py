"""A selection of assets without their checks, whose cost is that of the assets it names."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.internal_names import internal_names

with internal_names():
    from dagster._core.definitions.asset_selection import KeysAssetSelection


class BareAssets(KeysAssetSelection):
    """Selects what `AssetSelection.assets(…).without_checks()` selects.

    That one goes through all checks of the location, for each job that it is the selection of: with a job for each
    unit, that is quadratic.
    """

    def resolve_checks_inner(self, asset_graph: Any, allow_missing: bool) -> Set[dg.AssetCheckKey]:
        return frozenset()

    def to_serializable_asset_selection(self, asset_graph: Any) -> dg.AssetSelection:
        return dg.AssetSelection.assets(*self.selected_keys).without_checks()
