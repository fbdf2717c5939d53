"""`parity keys`: what a unit's tables are compared by, where that comes from, and whether legacy's rows obey it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.workspaces import workspace_of
from dagster_defs.adapters.warehouse.places import Readers, place_of_relation
from dagster_defs.errors import ParityError
from dagster_defs.inventory.proposals import DbtClaims
from dagster_defs.inventory.time_columns import NO_WINDOWS, WindowNames
from dagster_defs.lifecycle.keys import TableKeys
from dagster_defs.lifecycle.mirrors import Mirror, TableOutput, any_moment
from dagster_defs.parity import Side
from dagster_defs.parity.row_key import KeyCheck, KeyVerdict, check_key
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import named_mirrors
from dagster_defs.windows import Bound, PartitionVars

SECONDS_FOR_LOCKS = 10.0
NOTHING = "there is neither a key nor a time column to check"


def read_keys(settings: Settings, name: str) -> Iterator[TableKeys]:
    """A row for each table of the unit, sorted by name; none if it builds no table.

    Raises NoSuchUnit and the mirror's own faults. A warehouse's failure to answer is in the row.
    """
    [mirror] = named_mirrors(settings, [name])
    mirror.refuse_faults(resolved=True)
    if (dbt := mirror.dbt_mirror) is None:
        return
    window = _window_names(mirror)
    # The mirror's own workspace: its variables may decide which models exist.
    workspace = workspace_of(dbt, Side.LEGACY)
    claims = DbtClaims(workspace.manifest, workspace.table_names)
    ids = {called: node_id for node_id, called in workspace.table_names.items()}
    outputs = [output for output in mirror.outputs_of(any_moment(mirror)) if isinstance(output, TableOutput)]
    with Readers() as readers:
        for output in sorted(outputs, key=lambda each: each.name):
            node_id = ids[output.name]
            table = TableKeys(
                output.name,
                output.key,
                output.time_column,
                claims.keys(node_id),
                claims.time(node_id, window) if mirror.event is None else NO_WINDOWS,
            )
            yield _in_warehouse(table, output, workspace, readers)


def _window_names(mirror: Mirror) -> WindowNames:
    declared = mirror.declared()
    ends: dict[Bound, set[str]] = {bound: set() for bound in Bound}
    if isinstance(declared.variables, PartitionVars):
        for variable in declared.variables.variables:
            ends[variable.bound].add(variable.name)
    times = isinstance(declared.event_times, PartitionVars) and bool(declared.event_times.variables)
    return WindowNames(frozenset(ends[Bound.LOWER]), frozenset(ends[Bound.UPPER]), times)


def _in_warehouse(
    table: TableKeys, output: TableOutput, workspace: DbtWorkspace, readers: Readers
) -> TableKeys:
    """With the keys that the warehouse itself enforces, and what legacy's rows show."""
    try:
        place = place_of_relation(workspace, output.legacy)
        with readers.of_one(place, output.name, SECONDS_FOR_LOCKS) as (reader, relation):
            table = replace(table, claims=table.claims.enforced(reader.unique_keys(relation)))
            if not (table.asked or table.asked_time):
                return replace(table, data=KeyCheck(KeyVerdict.NONE, NOTHING))
            check = check_key(
                relation,
                table.asked,
                table.asked_time,
                reader,
                masked=output.terms.masked,
                shows_rows=output.terms.samples > 0,
            )
            return replace(table, data=check)
    except ParityError as error:
        if table.asked or table.asked_time:
            return replace(table, data=KeyCheck(KeyVerdict.INCONCLUSIVE, str(error)))
        return replace(
            table, data=KeyCheck(KeyVerdict.NONE, f"{NOTHING}, and none in the warehouse: {error}")
        )
