"""The tables that a dbt unit writes, and how each is compared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from dagster_defs.adapters.dbt.names import names_of
from dagster_defs.components.units.compared_model import ComparedModel
from dagster_defs.components.units.dbt_assets import ASSET_TYPES, is_not_a_table
from dagster_defs.components.units.defined_unit import DefinedUnit
from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle.mirrors import TableOutput, Terms
from dagster_defs.parity import Side
from dagster_defs.usecases.shadow.start import is_built_anew
from dagster_defs.windows import Bound, Moment, zone_of


class ComparedUnit(DefinedUnit, Protocol):
    """What the outputs of a unit need from its mirror."""

    compare: Sequence[ComparedModel]

    @property
    def terms(self) -> Mapping[str, Terms]: ...

    def selected(self, side: Side) -> frozenset[str]: ...


def refuse_bad_comparisons(unit: ComparedUnit) -> None:
    """Raises BadUnit for an entry of `compare` that cannot be."""
    _ = unit.terms
    for compared in unit.compare:
        where = f"compare.{compared.name}"
        compared.zones(unit.unit, where, zone_of(unit.times))
        if not compared.time_column:
            continue
        if unit.event is not None:
            reason = f"`{where}` has a time column, but its DAG has no clock and so no windows"
            raise BadUnit(unit.unit, reason, "Remove `time_column`: the table is compared as a whole")


def tables_of(unit: ComparedUnit, moment: Moment) -> Iterator[TableOutput]:
    """Raises BadUnit for a model that only one target has, and for a comparison that cannot be."""
    # The event times that dbt filters microbatch models by take precedence over what the models read themselves.
    bounds = {
        bound: text
        for declared in (unit.environment.templates, unit.variables, unit.event_times)
        for bound, text in (
            declared.bounds_in(declared.for_window(moment)).items() if unit.event is None else ()
        )
    }
    workspace, candidate = unit.workspace(Side.LEGACY), unit.workspace(Side.CANDIDATE)
    names, theirs = workspace.table_names, candidate.manifest["nodes"]
    for node_id in sorted(unit.selected(Side.LEGACY)):
        node = workspace.manifest["nodes"].get(node_id)
        if node is None or node["resource_type"] not in ASSET_TYPES or is_not_a_table(node):
            continue
        compared = _declared_for(node, unit.compare)
        if node_id not in theirs:
            reason = f"model {names[node_id]!r} does not exist in the target {candidate.target!r}"
            raise BadUnit(unit.unit, reason, "Enable it on both targets, so that both can be compared")
        time_column = None if is_built_anew(node, unit.full_refresh) else compared.time_column
        yield TableOutput(
            name=names[node_id],
            project_dir=str(unit.project_dir),
            legacy_target=workspace.target,
            candidate_target=candidate.target,
            legacy=node["relation_name"],
            candidate=theirs[node_id]["relation_name"],
            key=tuple(compared.key),
            time_column=time_column,
            lower=bounds.get(Bound.LOWER) if time_column else None,
            upper=bounds.get(Bound.UPPER) if time_column else None,
            terms=unit.terms.get(compared.name, Terms()),
            zones=compared.zones(unit.unit, f"compare.{compared.name}", zone_of(unit.times)),
            former_name=node["name"] if names[node_id] != node["name"] else "",
        )


def _declared_for(node: Mapping[str, Any], compare: Sequence[ComparedModel]) -> ComparedModel:
    """The node's `compare` entry under its most specific name, or the defaults if there is none."""
    declared = {compared.name: compared for compared in compare}
    return next((declared[name] for name in names_of(node) if name in declared), ComparedModel(node["name"]))
