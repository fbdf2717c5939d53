"""Which tables of legacy belong to other units: no candidate may write one."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlglot import exp

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.workspaces import open_workspace, workspace_of
from dagster_defs.adapters.warehouse.places import place_of_relation
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.mirrors import Mirror, TableOutput, any_moment
from dagster_defs.parity import Side


def table_of_others(unit: Mirror, declared: Iterable[Mirror], output: TableOutput) -> str:
    """Who has the candidate's table of this output in legacy, in words; empty if nobody is known to.

    A table whose name depends on the window is known in any one window. What a broken unit writes is not known.
    """
    ours = open_workspace(Path(output.project_dir), output.candidate_target)
    own = place_of_relation(ours, output.candidate)
    name = _last_name(ours.credentials.type, output.candidate)
    for workspace, relation, owner in _tables_of(mirror for mirror in declared if mirror.unit != unit.unit):
        # Reading where a target is costs as much as the rest: most tables have another name.
        if name in relation.lower() and place_of_relation(workspace, relation) == own:
            return owner
    return ""


def _last_name(dialect: str, relation: str) -> str:
    return exp.to_table(relation, dialect=dialect).name.lower()


def _tables_of(mirrors: Iterable[Mirror]) -> Iterator[tuple[DbtWorkspace, str, str]]:
    """The tables and views on legacy's side, sources included: the workspace of the target, and the relation in it."""
    seen: set[DbtWorkspace] = set()
    for mirror in mirrors:
        with suppress(ParityError):
            if mirror.dbt_mirror is None:
                for output in mirror.outputs_of(any_moment(mirror)):
                    if isinstance(output, TableOutput):
                        workspace = open_workspace(Path(output.project_dir), output.legacy_target)
                        yield workspace, output.legacy, f"{mirror.unit} writes"
            elif (workspace := workspace_of(mirror.dbt_mirror, Side.LEGACY)) not in seen:
                seen.add(workspace)
                nodes: list[Any] = [
                    *workspace.manifest["nodes"].values(),
                    *workspace.manifest["sources"].values(),
                ]
                for node in nodes:
                    if relation := node.get("relation_name"):
                        yield workspace, relation, f"is dbt's {node['unique_id']}"
