"""Assets without their checks: what Dagster's own selection selects, without a walk over the location's checks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from dagster_defs.adapters.dagster.bare_assets import BareAssets


@dg.multi_asset(
    specs=[dg.AssetSpec(name) for name in "abc"],
    check_specs=[dg.AssetCheckSpec("rows", asset=name) for name in "ab"],
    can_subset=True,
)
def built() -> Iterator[Any]:
    yield dg.MaterializeResult(asset_key="a")


GRAPH = AssetGraph.from_assets([built])
CHECK = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("b"), "rows"))
KEYS = [dg.AssetKey(name) for name in "abc"]


@pytest.mark.parametrize("keys", [part for count in range(4) for part in combinations(KEYS, count)])
def test_it_selects_what_dagsters_own_does(keys: tuple[dg.AssetKey, ...]) -> None:
    """Alone, and with a check that is named, as the job of a unit has it."""
    ours, theirs = BareAssets(selected_keys=keys), dg.AssetSelection.assets(*keys).without_checks()

    for mine, usual in ((ours, theirs), (ours | CHECK, theirs | CHECK)):
        assert mine.resolve(GRAPH) == usual.resolve(GRAPH)
        assert mine.resolve_checks(GRAPH) == usual.resolve_checks(GRAPH)
    assert ours.to_serializable_asset_selection(GRAPH) == theirs
    assert ours == BareAssets(selected_keys=keys)


def test_an_asset_that_is_not_there_is_refused() -> None:
    """As Dagster refuses it."""
    with pytest.raises(dg.DagsterInvalidSubsetError, match="elsewhere"):
        BareAssets(selected_keys=[dg.AssetKey("elsewhere")]).resolve(GRAPH)


def test_nobody_walks_over_the_checks() -> None:
    """With a job for each unit, that would be quadratic."""

    class Unwalked:
        def __getattr__(self, name: str) -> Any:
            assert name != "asset_check_keys"
            return getattr(GRAPH, name)

    assert BareAssets(selected_keys=KEYS).resolve_checks(Unwalked()) == set()  # type: ignore[arg-type]  # as far as it is needed
