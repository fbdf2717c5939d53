"""The asset graphs of a location's jobs, each made from the definitions that the job can reach.

A code server resolves every job when it starts, and for each of them Dagster goes through all definitions of the
location. With several jobs for each unit, that is quadratic. Here Dagster's own function gets, for each job, only the
definitions of what the job selects, of what these read and write, and of checks on that: with the others it does
nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import dagster as dg

from dagster_defs.adapters.dagster.internal_names import internal_names

with internal_names():
    from dagster._core.definitions import unresolved_asset_job_definition as jobs
    from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

GraphOfJob = Callable[..., Any]
_CheckedBy = Mapping[dg.AssetKey, set[dg.AssetsDefinition]]
_SOURCE = "_source_asset_graph"


def keep_job_graphs_small() -> None:
    """In this process, jobs that are resolved from now on have the same graphs as before, and sooner."""
    module: Any = jobs
    usual = module.get_asset_graph_for_job
    if not hasattr(usual, "__wrapped__"):
        module.get_asset_graph_for_job = from_near_definitions(usual)


def from_near_definitions(usual: GraphOfJob) -> GraphOfJob:
    """`usual`: Dagster's function that makes the graph of a job from that of the location."""

    @functools.wraps(usual)
    def graph_of_job(
        parent_asset_graph: Any, selection: dg.AssetSelection, *more: Any, **options: Any
    ) -> Any:
        if type(parent_asset_graph) is not AssetGraph:
            return usual(parent_asset_graph, selection, *more, **options)
        selected = _Selected(
            selection.resolve(parent_asset_graph), selection.resolve_checks(parent_asset_graph)
        )
        graph = usual(_Near(parent_asset_graph, selected), selected, *more, **options)
        if not hasattr(graph, _SOURCE):  # another Dagster, which may do more with the location's graph
            return usual(parent_asset_graph, selection, *more, **options)
        setattr(graph, _SOURCE, parent_asset_graph)
        return graph

    return graph_of_job


@dataclass(frozen=True, slots=True)
class _Selected:
    """A selection that is resolved already."""

    keys: Set[dg.AssetKey]
    check_keys: Set[dg.AssetCheckKey]

    def resolve(self, _: Any) -> Any:
        return self.keys

    def resolve_checks(self, _: Any) -> Any:
        return self.check_keys


class _Near:
    """The location's graph, of whose definitions only those near a selection are listed."""

    def __init__(self, whole: AssetGraph, selected: _Selected) -> None:
        self._whole = whole
        own = {*map(whole.assets_def_for_key, selected.check_keys)}
        own |= {whole.assets_def_for_key(key) for key in selected.keys if whole.has(key)}
        self.assets_defs = list({*own, *_around(whole, own)})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


def _around(whole: AssetGraph, own: set[dg.AssetsDefinition]) -> Iterator[dg.AssetsDefinition]:
    """The definitions of what these read and write, and those of checks on that."""
    checked_by = _checked_by(whole)
    for definition in own:
        for key in (
            *definition.node_keys_by_input_name.values(),
            *definition.node_keys_by_output_name.values(),
        ):
            if whole.has(key):
                yield whole.assets_def_for_key(key)
            yield from checked_by.get(key, ())


_CHECKED_BY: WeakKeyDictionary[AssetGraph, _CheckedBy] = WeakKeyDictionary()


def _checked_by(whole: AssetGraph) -> _CheckedBy:
    """The definitions of checks, by the asset that they check; walked once for each location."""
    if whole not in _CHECKED_BY:
        checked_by: dict[dg.AssetKey, set[dg.AssetsDefinition]] = {}
        for key in whole.asset_check_keys:
            checked_by.setdefault(key.asset_key, set()).add(whole.assets_def_for_key(key))
        _CHECKED_BY[whole] = checked_by
    return _CHECKED_BY[whole]
