"""What Airflow passes to a callback, by its names, for runs that Airflow does not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster_defs.lifecycle.units import Unit


@dataclass(frozen=True, slots=True)
class CalledTask:
    """The part of Airflow's `task_instance` that a callback reads. `run_id` is Dagster's."""

    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    log_url: str
    map_index: int = -1


def callback_context(
    unit: Unit, run_id: str, attempt: int, log_url: str, exception: BaseException | None
) -> dict[str, Any]:
    """Without the window, see `about_window`."""
    task = CalledTask(unit.dag_id, unit.task_id, run_id, attempt, log_url)
    return {"task_instance": task, "ti": task, "run_id": run_id, "exception": exception}


def about_window(
    start: datetime | None, end: datetime | None, logical_date: datetime | None
) -> Mapping[str, Any]:
    return {"data_interval_start": start, "data_interval_end": end, "logical_date": logical_date}
