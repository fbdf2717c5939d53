"""The part of a project's manifest that running some of its nodes needs.

dbt reads, links and checks the whole manifest at the start of every command, however few nodes are selected. A run can
reach much less: the selected nodes, everything upstream of them, and the project's hooks. A selection yields the same
nodes in the excerpt as in the whole, because every path to a selected node leads through nodes upstream of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from dagster_defs.graph import reachable

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# The sections of a manifest whose entries are selected or depended on; macros, groups and the rest stay whole.
_SECTIONS = (
    "nodes",
    "sources",
    "exposures",
    "functions",
    "metrics",
    "semantic_models",
    "saved_queries",
    "unit_tests",
)
# Only parsing reads these, and they make up half of the manifest.
_FOR_PARSING = ("files", "docs", "fixtures")
_GRAPH = re.compile(r"\bgraph\b")


def excerpt(manifest: Manifest, selected: frozenset[str]) -> Manifest | None:
    """The part of the manifest that running `selected` (unique ids) can reach; None if the project itself reads
    `graph`, the variable that lets a model or macro look at any node."""
    if any(_GRAPH.search(text) for text in _own_code(manifest)):
        return None
    hooks = {name for name, node in manifest.nodes.items() if node.resource_type == "operation"}
    kept = selected | hooks | reachable(selected | hooks, lambda name: _parents(manifest, name))
    sections = {
        section: {name: node for name, node in getattr(manifest, section).items() if name in kept}
        for section in _sections(manifest)
    }
    caches = {field.name: None for field in fields(manifest) if field.name.endswith("_lookup")}
    return replace(manifest, **sections, **caches, **{section: {} for section in _FOR_PARSING})


def _own_code(manifest: Manifest) -> Iterator[str]:
    """SQL and macros other than dbt's and the adapter's, which look only at selected nodes and their parents."""
    dbts = {"dbt", f"dbt_{manifest.metadata.adapter_type}"}
    yield from (macro.macro_sql for macro in manifest.macros.values() if macro.package_name not in dbts)
    yield from (getattr(node, "raw_code", "") for node in manifest.nodes.values())


def _sections(manifest: Manifest) -> Iterator[str]:
    """Those that the manifests of this dbt have."""
    return (section for section in _SECTIONS if hasattr(manifest, section))


def _parents(manifest: Manifest, name: str) -> list[str]:
    for section in _sections(manifest):
        node: Any = getattr(manifest, section).get(name)
        if node is not None:
            depends_on = getattr(node, "depends_on", None)
            return list(getattr(depends_on, "nodes", []))
    return []
