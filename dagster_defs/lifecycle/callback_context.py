"""What Airflow passes to a callback, by its names, for runs that Airflow does not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster_defs.lifecycle.units import Unit

#: Functions of the team by dotted path, by the attribute in YAML that names them.
Calls = Mapping[str, Sequence[str]]
CALLS_OF_TASK = ("on_failure", "on_success", "on_retry", "on_execute", "on_skipped")
CALLS_OF_DAG = ("dag_on_failure", "dag_on_success")


@dataclass(frozen=True, slots=True)
class CalledTask:
    """The part of Airflow's `task_instance` that a callback reads. `run_id` is Dagster's."""

    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    log_url: str
    map_index: int = -1


@dataclass(frozen=True, slots=True)
class CalledRun:
    """The part of Airflow's `dag_run` that a callback reads. `run_id` is Dagster's; `state`: of the run that has ended.
    `logical_date` is None, as in Airflow 3, if no clock has started it."""

    dag_id: str
    run_id: str
    state: str
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    logical_date: datetime | None = None

    @property
    def execution_date(self) -> datetime | None:
        """Its name in Airflow 2."""
        return self.logical_date


@dataclass(frozen=True, slots=True)
class CalledDag:
    dag_id: str


def run_context(run: CalledRun, task_id: str, log_url: str, reason: str) -> dict[str, Any]:
    """Airflow's names for a callback of a DAG. `task_id`: the task that failed, or another one of the DAG."""
    task = CalledTask(run.dag_id, task_id, run.run_id, 1, log_url)
    window = about_window(run.data_interval_start, run.data_interval_end, run.logical_date)
    return {
        "dag": CalledDag(run.dag_id),
        "dag_run": run,
        "run_id": run.run_id,
        "task_instance": task,
        "ti": task,
        "reason": reason,
        **window,
    }


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
