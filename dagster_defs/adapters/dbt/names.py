"""The names by which people refer to a node of a dbt project, instead of its unique id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

BUILT = frozenset({"model", "seed", "snapshot"})


def names_of(node: Mapping[str, Any]) -> Iterator[str]:
    """All names of the node, most specific first: its unique id, `package.model.v1`, `model.v1`, `package.model`,
    `model`. The last two name every version of a model."""
    package, name = node["package_name"], node["name"]
    yield node["unique_id"]
    if (version := node.get("version")) is not None:
        yield f"{package}.{name}.v{version}"
        yield f"{name}.v{version}"
    yield f"{package}.{name}"
    yield name


def distinct_names(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """By unique id, the shortest name that is unique among the project's tables: `model`, or `model.v1` for a versioned
    model, prefixed with its package if another package has the same."""
    tables = {node_id: node for node_id, node in manifest["nodes"].items() if node["resource_type"] in BUILT}
    short = {node_id: _with_version(node) for node_id, node in tables.items()}
    counts = Counter(short.values())
    return {
        node_id: name if counts[name] == 1 else f"{tables[node_id]['package_name']}.{name}"
        for node_id, name in short.items()
    }


def _with_version(node: Mapping[str, Any]) -> str:
    version = node.get("version")
    return str(node["name"]) if version is None else f"{node['name']}.v{version}"
