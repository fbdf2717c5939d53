"""dbt nodes as Dagster assets: the keys that a person would expect, and sources that units feed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.evidence import SHADOW
from dagster_defs.adapters.dagster.unit_assets import respecified
from dagster_defs.adapters.dbt.dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtProject,
    get_asset_check_key_for_test,
)
from dagster_defs.adapters.dbt.deferral import is_built, read_directly
from dagster_defs.graph import reachable
from dagster_defs.lifecycle.identity import Claim
from dagster_defs.parity import Side


class UnitTranslator(DagsterDbtTranslator):
    """Translates the nodes of one dbt project for one side.

    - A source that a Python unit feeds (`dbt_source` in its YAML) is that unit's asset, so that lineage runs from
      landing to export. Any other source keeps dbt's own key.
    - A model's key is its name, after the prefix of its project, unless its meta names a key. On the candidate side the
      key starts with `shadow`, so that a candidate run can never be mistaken for a real one. Both sides read the same
      sources.
    """

    def __init__(self, side: Side, feeds: Mapping[str, dg.AssetKey], key_prefix: Sequence[str] = ()) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(enable_code_references=True, enable_source_tests_as_checks=True)
        )
        self._side = side
        self._feeds = feeds
        self._key_prefix = tuple(key_prefix)

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return self._feeds.get(_source_name(dbt_resource_props)) or super().get_asset_key(
                dbt_resource_props
            )
        key = super().get_asset_key(dbt_resource_props)
        if self._key_prefix and not names_its_key(dbt_resource_props):
            key = key.with_prefix(self._key_prefix)
        return key.with_prefix(SHADOW) if self._side is Side.CANDIDATE else key

    def is_fed(self, source: Mapping[str, Any]) -> bool:
        """Whether a Python unit declares that it writes the source."""
        return _source_name(source) in self._feeds

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        if self._side is Side.LEGACY:
            return spec
        # A source that no unit feeds is described by each unit that reads it, and the descriptions must not differ:
        # the legacy side's names another database.
        deps = [dg.AssetDep(dep.asset_key, partition_mapping=dep.partition_mapping) for dep in spec.deps]
        return respecified(spec, deps=deps)


def _source_name(source: Mapping[str, Any]) -> str:
    return f"{source['source_name']}.{source['name']}"


def names_its_key(node: Mapping[str, Any]) -> bool:
    """Whether the project itself names the node's asset key, in `meta: {dagster: {asset_key: …}}`."""
    meta = (node.get("config") or {}).get("meta") or node.get("meta") or {}
    return bool((meta.get("dagster") or {}).get("asset_key"))


def claims_of(
    manifest: Mapping[str, Any],
    selected: frozenset[str],
    translator: UnitTranslator,
    unit: str,
    project_dir: Path,
    project: str,
) -> Iterator[Claim]:
    """The asset keys of the nodes that a unit builds, and of the nodes and sources that it reads."""
    for node_id in sorted({*selected, *read_directly(manifest, selected)}):
        node = manifest["nodes"].get(node_id) or manifest["sources"].get(node_id)
        if node is None or not (node_id in manifest["sources"] or is_built(node)):
            continue
        is_source = node_id in manifest["sources"]
        name = f"{node['source_name']}.{node['name']}" if is_source else node["name"]
        location = ((node.get("meta") or {}) | (node.get("source_meta") or {})).get("external_location")
        yield Claim(
            key=translator.get_asset_key(node).to_user_string(),
            # Variables that shape the project may give a node another table in another unit.
            thing=f"{project_dir}:{node_id}:{node['relation_name']}",
            said=f"{node['resource_type']} {name} of {project}/ ({node['relation_name']})",
            unit=unit,
            builds=not is_source and node_id in selected,
            is_written=not is_source,
            table=str(location or node["relation_name"] or "").replace('"', "").casefold(),
            aligned=is_source and (translator.is_fed(node) or names_its_key(node)),
        )


def read_and_written(
    manifest: Mapping[str, Any], selected: Iterable[str], key_prefix: Sequence[str] = ()
) -> tuple[frozenset[str], frozenset[str]]:
    """Asset keys of all ancestors of the selected nodes, and of what the nodes build; a dbt source is
    `source:name.table`."""
    translator = UnitTranslator(Side.LEGACY, {}, key_prefix)
    own = set(selected)
    nodes = {**manifest["nodes"], **manifest["unit_tests"]}

    def names(node_ids: Iterable[str]) -> Iterable[str]:
        for node_id in node_ids:
            if node_id.startswith("source."):
                source = manifest["sources"][node_id]
                yield f"source:{source['source_name']}.{source['name']}"
            elif node_id in manifest["nodes"] and node_id.split(".")[0] in {"model", "seed", "snapshot"}:
                yield translator.get_asset_key(manifest["nodes"][node_id]).to_user_string()

    here = own & nodes.keys()
    # dbt leaves unit tests out of the parent map.
    direct = {parent for node_id in here for parent in nodes[node_id]["depends_on"].get("nodes", ())}
    above = direct | _ancestors(manifest, here | direct)
    return frozenset(names(above)), frozenset(names(own))


def check_key_of_test(
    manifest: Mapping[str, Any], translator: DagsterDbtTranslator, test_id: str, project: DbtProject
) -> dg.AssetCheckKey | None:
    """The asset check of a dbt test.

    dagster-dbt leaves a singular test over several models without a check unless its meta names one; here it
    belongs to the model that is furthest downstream among those it reads.
    """
    key = get_asset_check_key_for_test(manifest, translator, test_id, project)
    if key is not None:
        return key
    test = manifest["nodes"][test_id]
    read = [node_id for node_id in test["depends_on"]["nodes"] if node_id in manifest["nodes"]]
    if not read:
        return None
    last = max(read, key=lambda node_id: (len(_ancestors(manifest, [node_id])), node_id))
    return dg.AssetCheckKey(translator.get_asset_spec(manifest, last, project).key, test["name"])


def _ancestors(manifest: Mapping[str, Any], node_ids: Iterable[str]) -> set[str]:
    """All ancestors of any of the nodes."""
    return reachable(node_ids, lambda node_id: manifest["parent_map"].get(node_id, ()))
