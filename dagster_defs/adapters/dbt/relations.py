"""Where a dbt target writes: every relation, with its warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dagster_defs.errors import WritesToLegacy

if TYPE_CHECKING:
    from dagster_defs.adapters.dbt.project import DbtWorkspace

_WRITTEN = frozenset({"model", "seed", "snapshot"})
Place = tuple[str, ...]


def refuse_legacy_relations(
    unit: str, legacy: DbtWorkspace, candidate: DbtWorkspace, selected: Iterable[str]
) -> None:
    """Raises WritesToLegacy if a selected node's relation in the candidate target is any node's in legacy's target."""
    if legacy.warehouse != candidate.warehouse:
        return
    theirs = {_place(node): node for node in _written(legacy.manifest)}
    for node_id in sorted(set(selected) & candidate.manifest["nodes"].keys()):
        node = candidate.manifest["nodes"][node_id]
        if node["resource_type"] in _WRITTEN and _place(node) in theirs:
            place = ".".join(_place(node))
            remedy = f"Give the dbt target {candidate.target!r} its own database or schema"
            raise WritesToLegacy(unit, f"relation {place} ({candidate.warehouse})", remedy)


def _written(manifest: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (node for node in manifest["nodes"].values() if node["resource_type"] in _WRITTEN)


def _place(node: Mapping[str, Any]) -> Place:
    """Ignores case: supporting a warehouse that distinguishes `A` from `a` is not worth the risk."""
    return tuple((node[part] or "").lower() for part in ("database", "schema", "alias"))
