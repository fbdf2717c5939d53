"""dbt nodes as Dagster assets: keys that a person would expect, and sources that are fed by somebody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from dagster_defs.adapters.evidence import SHADOW
from dagster_defs.parity import Side


class UnitTranslator(DagsterDbtTranslator):
    """Translates the nodes of one dbt project for one side.

    - A source that a Python unit feeds (`dbt_source` in its YAML) is that unit's asset, so that lineage runs
      from landing to export. Any other source keeps dbt's own key.
    - A model keeps its name as key; on the candidate side the key starts with `shadow`, so that a candidate run
      can never be taken for a real one. Both sides read the same sources.
    """

    def __init__(self, side: Side, feeds: Mapping[str, dg.AssetKey]) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(enable_code_references=True, enable_source_tests_as_checks=True)
        )
        self._side = side
        self._feeds = feeds

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            source = f"{dbt_resource_props['source_name']}.{dbt_resource_props['name']}"
            return self._feeds.get(source) or super().get_asset_key(dbt_resource_props)
        key = super().get_asset_key(dbt_resource_props)
        return key.with_prefix(SHADOW) if self._side is Side.CANDIDATE else key

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        if self._side is Side.LEGACY:
            return spec
        # A source that no unit feeds is described by whoever reads it, and two descriptions must not differ: the
        # legacy side's has another database in it.
        deps = [dg.AssetDep(dep.asset_key, partition_mapping=dep.partition_mapping) for dep in spec.deps]
        return spec.replace_attributes(deps=deps)


def read_and_written(
    manifest: Mapping[str, Any], selected: Iterable[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Asset keys of all that lies above the selected nodes, and of what they make; a source of dbt's is
    `source:name.table`."""
    translator = UnitTranslator(Side.LEGACY, {})
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
    # A unit test is in no parent map of its own accord.
    direct = {parent for node_id in here for parent in nodes[node_id]["depends_on"]["nodes"]}
    above = direct | _ancestors(manifest, here | direct)
    return frozenset(names(above)), frozenset(names(own))


def check_key_of_test(
    manifest: Mapping[str, Any], translator: DagsterDbtTranslator, test_id: str, project: DbtProject
) -> dg.AssetCheckKey | None:
    """The asset check that a dbt test is.

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
    """Of all of them together."""
    found: set[str] = set()
    todo: Iterable[str] = node_ids
    while todo:
        parents = {parent for node in todo for parent in manifest["parent_map"].get(node, ())} - found
        found |= parents
        todo = parents
    return found
