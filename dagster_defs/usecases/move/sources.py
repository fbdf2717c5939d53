"""Which mapped tasks have to return to Airflow together with the tasks that read their XComs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from dagster_defs.adapters.files.airflows import airflows, settings_of_each
from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.errors import ParityError
from dagster_defs.inventory.document import Dag
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.operator_facets import sources_left
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory


def sources_of(settings: Settings, units: Sequence[Unit], marks: Marks) -> Mapping[Unit, Sequence[Unit]]:
    """The units marked as proxied that cannot stay so if these ones return to Airflow, each with its readers there.

    Empty if there is no inventory, or one that cannot be read: the way back does not depend on it. Airflow itself then
    makes such a task fail.
    """
    proxied = {unit for unit in marks if marks.honoured(unit)}
    dag_ids = {
        unit.dag_id for unit in units if any(mate.dag_id == unit.dag_id for mate in proxied - {*units})
    }
    found: dict[Unit, Sequence[Unit]] = {}
    for dag in _dags(settings, dag_ids):
        with suppress(ParityError):
            returned, tasks = (
                {unit.task_id for unit in some if unit.dag_id == dag.dag_id} for some in (units, proxied)
            )
            for source, readers in sources_left(dag, returned, tasks).items():
                found[Unit(dag.dag_id, source)] = [Unit(dag.dag_id, reader) for reader in readers]
    return found


def _dags(settings: Settings, dag_ids: Collection[str]) -> Iterator[Dag]:
    """Those DAGs, each as its own Airflow's inventory has it."""
    declared = airflows(settings)
    for each in settings_of_each(settings):
        own = {dag_id for dag_id in dag_ids if declared.has(each.airflow, dag_id)}
        with suppress(ParityError):
            dags = (
                read_inventory(file, settings.team_file).dags if own and (file := each.inventory_file) else ()
            )
            yield from (dag for dag in dags if dag.dag_id in own)
