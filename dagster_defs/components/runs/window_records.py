"""What the other tasks of a window left behind, as far as a run of one of its tasks may see it."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import dagster as dg

from dagster_defs.adapters.airflow.task_store import WindowStore
from dagster_defs.components.runs.one_writer import owned_by_dagster
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.settings import Settings

Records = Mapping[str, Mapping[str, Any]]
#: For a candidate: the records of legacy's tasks of the window, without those of the named tasks.
OfLegacy = Callable[[Collection[str]], Records]


def records_of_others(
    context: dg.AssetExecutionContext,
    unit: Unit,
    store: WindowStore,
    settings: Settings,
    of_legacy: OfLegacy | None,
) -> dict[str, Mapping[str, Any]]:
    """By task id. Raises TaskStoreUnreadable.

    If Airflow runs the window, only the records of tasks that Dagster owns: for other tasks, the store may have records
    of an earlier run. Airflow has already decided which tasks run, so skips do not count either.
    """
    known = {task_id: record for task_id, record in store.records().items() if task_id != unit.task_id}
    if tags.AIRFLOW_TRY in context.run.tags:
        owned = owned_by_dagster([Unit(unit.dag_id, task_id) for task_id in known], settings)
        known = {
            task_id: {**record, "skips": []}
            for task_id, record in known.items()
            if Unit(unit.dag_id, task_id) in owned
        }
    return known if of_legacy is None else {**of_legacy([*known, unit.task_id]), **known}
