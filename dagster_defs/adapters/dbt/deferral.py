"""What a dbt unit reads but does not build, and the state that makes dbt read it from elsewhere.

It uses dbt's own `--defer --favor-state`: a reference to a model that is in the state's manifest and not selected
resolves to the relation that the state names. See docs/decisions/0013-baseline-and-deferral.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagster_defs.adapters.dbt.project import Manifest
from dagster_defs.adapters.files import atomic
from dagster_defs.parity import Relation

REFERABLE = frozenset({"model", "seed", "snapshot"})
# Required in a manifest, but ignored by dbt when it defers.
_EMPTY = ("sources", "macros", "docs", "exposures", "metrics", "groups", "selectors", "disabled", "parent_map",
          "child_map", "group_map", "saved_queries", "semantic_models", "unit_tests", "functions")  # fmt: skip


def builds(manifest: Manifest, selected: Iterable[str]) -> bool:
    """Whether anything in the selection leaves a relation; a selection of tests only does not."""
    return any(is_built(manifest["nodes"].get(node_id)) for node_id in selected)


def outside(manifest: Manifest, selected: frozenset[str]) -> tuple[str, ...]:
    """Unique ids of the models, seeds and snapshots that the selected nodes read but do not build.

    An ephemeral model is part of what reads it. The project's hooks run with every command, so what they read counts.
    """
    hooks = {node_id for node_id, node in manifest["nodes"].items() if node["resource_type"] == "operation"}
    return tuple(
        node_id
        for node_id in _read_by(manifest, selected | hooks, _is_ephemeral)
        if node_id not in selected and is_built(manifest["nodes"].get(node_id))
    )


def data_behind(manifest: Manifest, selected: frozenset[str]) -> Mapping[str, bool]:
    """Sources and tables outside the selection that its rows are made from, looking through views; by unique id.

    The value says whether every run that writes the table rewrites all of it. A source is assumed to grow.
    """

    def is_seen_through(node: Mapping[str, Any] | None) -> bool:
        return _is_ephemeral(node) or (node is not None and node["config"].get("materialized") == "view")

    stored: dict[str, bool] = {}
    for node_id in _read_by(manifest, selected, is_seen_through):
        node = manifest["nodes"].get(node_id)
        if node_id in manifest["sources"]:
            stored[node_id] = False
        elif node_id not in selected and is_built(node) and not is_seen_through(node):
            assert node is not None  # noqa: S101 - a missing node is not built
            stored[node_id] = node["config"].get("materialized") != "incremental"
    return stored


def write_state(folder: Path, manifest: Manifest, places: Mapping[str, Relation | None]) -> list[str]:
    """dbt's flags to read nodes of the manifest, by unique id, from these relations; None: from the manifest's own."""
    nodes: dict[str, Any] = {}
    for node_id, place in places.items():
        nodes[node_id] = {**manifest["nodes"][node_id]}
        if place is not None:
            name = ".".join(f'"{part}"' for part in (place.catalog, place.schema, place.table))
            moved = {
                "database": place.catalog,
                "schema": place.schema,
                "alias": place.table,
                "relation_name": name,
            }
            nodes[node_id] |= moved
    state = {"metadata": manifest["metadata"], "nodes": nodes, **{section: {} for section in _EMPTY}}
    atomic.write_json(folder / "manifest.json", state)
    return ["--defer", "--favor-state", "--defer-state", str(folder)]


def read_directly(manifest: Manifest, selected: Iterable[str]) -> list[str]:
    """Unique ids of what the selected nodes read; an ephemeral model counts as part of its reader."""
    return _read_by(manifest, selected, _is_ephemeral)


def _read_by(manifest: Manifest, readers: Iterable[str], through: Any) -> list[str]:
    """What the readers read, and what is read in turn by those nodes for which `through` holds; sorted."""
    reads: set[str] = set()
    waiting = set(readers)
    while waiting:
        read = {parent for node_id in waiting for parent in _parents(manifest, node_id)} - reads
        reads |= read
        waiting = {node_id for node_id in read if through(manifest["nodes"].get(node_id))}
    return sorted(reads)


def _parents(manifest: Manifest, node_id: str) -> Iterable[str]:
    node = manifest["nodes"].get(node_id) or manifest["unit_tests"].get(node_id) or {}
    parents: Iterable[str] = node.get("depends_on", {}).get("nodes", ())
    return parents


def is_built(node: Mapping[str, Any] | None) -> bool:
    """Whether a run of the node leaves a relation that others can refer to."""
    return node is not None and node["resource_type"] in REFERABLE and not _is_ephemeral(node)


def _is_ephemeral(node: Mapping[str, Any] | None) -> bool:
    return node is not None and node["config"].get("materialized") == "ephemeral"
