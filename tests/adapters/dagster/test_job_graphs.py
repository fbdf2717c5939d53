"""The graph of a job, made from the definitions near it, is the one that Dagster makes from all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.job.asset_job import get_asset_graph_for_job

from dagster_defs.adapters.dagster.job_graphs import from_near_definitions

DAYS = dg.DailyPartitionsDefinition("2024-01-01")


@dg.asset
def raw() -> None: ...


@dg.multi_asset(
    specs=[dg.AssetSpec("a", deps=["raw", "elsewhere"]), dg.AssetSpec("b", deps=["a"])],
    check_specs=[dg.AssetCheckSpec("rows", asset="a"), dg.AssetCheckSpec("rows", asset="b")],
    can_subset=True,
    partitions_def=DAYS,
)
def built() -> Iterator[Any]:
    yield dg.MaterializeResult(asset_key="a")


@dg.multi_asset(specs=[dg.AssetSpec("whole"), dg.AssetSpec("half", deps=["b"])], partitions_def=DAYS)
def not_subset() -> Iterator[Any]:
    yield dg.MaterializeResult(asset_key="whole")


@dg.asset(deps=["half"], partitions_def=DAYS)
def last() -> None: ...


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec("fresh", asset="raw"), dg.AssetCheckSpec("fresh", asset="last")], can_subset=True
)
def looked_at() -> Iterator[Any]:
    yield dg.AssetCheckResult(passed=True)


SELECTIONS = {
    "one asset": dg.AssetSelection.assets("raw"),
    "without its checks": dg.AssetSelection.assets("raw").without_checks(),
    "a part of a definition": dg.AssetSelection.assets("a"),
    "a part, and a check of another": dg.AssetSelection.assets("a").without_checks()
    | dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("b"), "rows")),
    "checks alone": dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("raw"), "fresh")),
    "a whole definition": dg.AssetSelection.assets("whole", "half"),
    "its reader": dg.AssetSelection.assets("last"),
    "everything of a partition": dg.AssetSelection.assets("a", "b", "whole", "half", "last"),
    "upstream": dg.AssetSelection.assets("b").upstream() - dg.AssetSelection.assets("raw"),
}
REFUSED = {
    "half of what cannot be halved": dg.AssetSelection.assets("half"),
    "what only another location has": dg.AssetSelection.assets("elsewhere"),
}


@pytest.fixture(scope="module")
def location() -> AssetGraph:
    return AssetGraph.from_assets([raw, built, not_subset, last, looked_at])


def contents(graph: AssetGraph) -> Any:
    """Everything that a job takes from its graph."""
    nodes = {
        key: (node.parent_keys, node.child_keys, node.is_executable, node.partitions_def, node.check_keys)
        for key in graph.get_all_asset_keys()
        for node in [graph.get(key)]
    }
    definitions = {
        (frozenset(each.keys), frozenset(each.check_keys), each.is_executable, each.is_subset)
        for each in graph.assets_defs
    }
    return nodes, definitions, graph.asset_check_keys, graph.source_asset_graph


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS.keys())
def test_a_job_has_the_graph_that_dagster_makes(location: AssetGraph, selection: dg.AssetSelection) -> None:
    """The same assets, checks, edges and definitions, and the location's graph behind it."""
    near = from_near_definitions(get_asset_graph_for_job)(location, selection)

    assert contents(near) == contents(get_asset_graph_for_job(location, selection))


@pytest.mark.parametrize("selection", REFUSED.values(), ids=REFUSED.keys())
def test_a_job_is_refused_with_the_same_words(location: AssetGraph, selection: dg.AssetSelection) -> None:
    """Whatever Dagster says of a selection that no job can have."""
    with pytest.raises((dg.DagsterInvalidDefinitionError, dg.DagsterInvalidSubsetError)) as said:
        get_asset_graph_for_job(location, selection)
    with pytest.raises(type(said.value)) as again:
        from_near_definitions(get_asset_graph_for_job)(location, selection)
    assert str(again.value) == str(said.value)


def test_a_definition_far_away_is_not_looked_at(location: AssetGraph) -> None:
    """A location of hundreds of units resolves hundreds of jobs."""
    listed: list[set[dg.AssetKey]] = []

    def usual(graph: Any, *_: Any) -> Any:
        listed.append({key for definition in graph.assets_defs for key in definition.keys})
        return get_asset_graph_for_job(location, dg.AssetSelection.assets("raw"))

    from_near_definitions(usual)(location, dg.AssetSelection.assets("last"))

    # `raw` is near, because the check on `last` is in one definition with a check on it.
    assert listed == [{dg.AssetKey(name) for name in ("last", "half", "whole", "raw")}]
