"""The values that Airflow rendered for one run of a unit, from Airflow itself or from the configured inventory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.errors import AirflowFault, ParityError
from dagster_defs.inventory import Inventory
from dagster_defs.inventory.document import Sample, Task
from dagster_defs.inventory.replay import calls_of_run, rendered_calls
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.rendered import RenderedValues
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import task_of
from dagster_defs.windows import Moment, Occasion, Scheduled

_PATIENCE = 2  # seconds: a comparison can do without Airflow


def values_of_run(settings: Settings, unit: Unit, window: Moment, airflow_run: str) -> list[RenderedValues]:
    """The values of the unit's dbt calls in that run, or the window's values in the inventory; empty if unknown."""
    task = _exported(settings, unit)
    fields = _fields_of_run(settings, unit, airflow_run) if airflow_run else {}
    if isinstance(window, Occasion):
        known = task or Task(unit.dag_id, unit.task_id, _operator(fields), fields)
        return [RenderedValues(*values) for values in calls_of_run(known, fields)] if fields else []
    if fields:
        sample = Sample(window.start.isoformat(), window.end.isoformat(), fields)
        known = task or Task(unit.dag_id, unit.task_id, _operator(fields), fields)
        values = _values(replace(known, samples=(sample,)), window)
        if values:
            return values
    return _values(task, window) if task else []


def values_exported(settings: Settings, unit: Unit, window: Scheduled) -> list[RenderedValues]:
    """The window's values in the configured inventory; empty if there is no inventory or it lacks the window."""
    task = _exported(settings, unit)
    return _values(task, window) if task else []


def _values(task: Task, window: Scheduled) -> list[RenderedValues]:
    return [RenderedValues(*values) for values in rendered_calls(task).get(window, ())]


def _fields_of_run(settings: Settings, unit: Unit, airflow_run: str) -> Mapping[str, Any]:
    try:
        client = AirflowReader(AirflowAddress.of(settings_of_dag(settings, unit.dag_id)), patience=_PATIENCE)
        return client.rendered_fields(unit, airflow_run)
    except AirflowFault:
        return {}


def _operator(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Guess the operator's class from the fields when there is no inventory; only a shell command is recognised."""
    return ("BashOperator",) if "bash_command" in fields else ()


def _exported(settings: Settings, unit: Unit) -> Task | None:
    file = settings_of_dag(settings, unit.dag_id).inventory_file
    if file is None or not file.is_file():
        return None
    try:
        return task_of(_read(file, settings.team_file, file.stat().st_mtime_ns), unit)[1]
    except ParityError:
        return None


@lru_cache(maxsize=4)
def _read(file: Path, team_file: Path, changed: int) -> Inventory:
    return read_inventory(file, team_file)
