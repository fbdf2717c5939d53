"""The Dagster runs that proxies launched for Airflow's tasks and that may have written something."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

import dagster as dg

from dagster_defs.adapters.airflow.rows import TaskInstance
from dagster_defs.adapters.dagster.event_log import instant
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.components.sensors.mapped_tasks import WholeTask
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.attribution import (
    Executor,
    TaskRun,
    Try,
    executor_of,
    executor_of_all,
    executor_of_failed_instance,
    given_back,
)
from dagster_defs.lifecycle.histories import UnitHistory
from dagster_defs.settings import Settings

Place = tuple[Unit, str, int]  # unit, DAG run, and -1: the instances of a mapped task share their runs
UNMAPPED = -1
PAGE = 500  # DAG runs per query


class TaskRuns:
    """What Dagster's run storage knows about these tasks, from one query for all of them."""

    def __init__(
        self, instance: dg.DagsterInstance, tasks: Sequence[TaskInstance], settings: Settings
    ) -> None:
        self._settings = settings
        self._runs = _runs_of(instance, tasks) if tasks else {}

    def executor(self, task: TaskInstance, earlier: Sequence[TaskInstance]) -> tuple[Executor, str]:
        """Who executed the try, and the id and state of the Dagster run, if any. `earlier`: the tries before it."""
        runs = self._runs.get(_place(task), ())
        if not runs:
            return Executor.AIRFLOW, ""
        if task.map_index >= 0:
            attempt = Try(task.try_number, task.state == "success", task.start, ended=task.end)
            return executor_of_failed_instance(attempt, runs, self._given_back(task.unit)), ""
        before = [earlier_try.try_number for earlier_try in earlier if earlier_try.state == "success"]
        earlier_try = Try(task.try_number, task.state == "success", task.start, before)
        executor, run = executor_of(earlier_try, runs, self._given_back(task.unit))
        return executor, _in_words(run)

    def executor_of_all(self, whole: WholeTask) -> tuple[Executor, str]:
        """The same for a mapped task as a whole."""
        task = whole.task
        attempt = Try(task.try_number, task.state == "success", whole.last_started, ended=task.end)
        runs = self._runs.get(_place(task), ())
        executor, run = executor_of_all(attempt, task.max_tries, runs, self._given_back(task.unit))
        return executor, _in_words(run)

    def _given_back(self, unit: Unit) -> list[datetime]:
        history = self._histories.get(unit)
        return given_back(history.entries) if history else []

    @cached_property
    def _histories(self) -> Mapping[Unit, UnitHistory]:
        """Empty if the ledger cannot be read: then the runs' own tags and states decide."""
        try:
            return store_reader(self._settings).read().histories()
        except ParityError:
            return {}


def _in_words(run: TaskRun | None) -> str:
    return f"Dagster run {run.run_id[:8]} {run.how}" if run else ""


def _place(task: TaskInstance) -> Place:
    return task.unit, task.run_id, UNMAPPED


def _runs_of(instance: dg.DagsterInstance, tasks: Sequence[TaskInstance]) -> dict[Place, list[TaskRun]]:
    """Runs by task instance, newest first. A re-execution of another run, or a second launch with the same id, is not
    a proxy's run; a run that never began, or was refused, has written nothing."""
    dag_ids, run_ids = sorted({task.unit.dag_id for task in tasks}), sorted({task.run_id for task in tasks})
    places = {_place(task) for task in tasks}
    records = {
        record.storage_id: record
        for start in range(0, len(run_ids), PAGE)
        for record in instance.get_run_records(
            dg.RunsFilter(tags={tags.AIRFLOW_DAG: dag_ids, tags.AIRFLOW_RUN: run_ids[start : start + PAGE]})
        )
    }
    runs: dict[Place, list[TaskRun]] = {}
    launches: set[str] = set()
    for _, record in sorted(records.items()):
        run = record.dagster_run
        run_tags = run.tags
        place = _place_of(run_tags)
        if (
            place not in places
            or tags.PARENT_RUN in run_tags
            or tags.ROOT_RUN in run_tags
            or run.parent_run_id
        ):
            continue
        launch = run_tags.get(tags.LAUNCH, run.run_id)
        if launch in launches or not _may_have_written(record):
            continue
        launches.add(launch)
        number = run_tags.get(tags.AIRFLOW_TRY, "")
        task_run = TaskRun(
            run.run_id,
            int(number) if number.isdecimal() else None,
            record.create_timestamp,
            succeeded=run.is_success,
            live=not run.is_finished,
            how=_HOW.get(run.status, "has not ended"),
            round=run_tags.get(tags.AIRFLOW_ROUND, ""),
            ended=instant(record.end_time) if record.end_time else None,
        )
        runs.setdefault(place, []).insert(0, task_run)
    return runs


_HOW = {
    dg.DagsterRunStatus.SUCCESS: "has succeeded",
    dg.DagsterRunStatus.FAILURE: "has failed",
    dg.DagsterRunStatus.CANCELED: "was canceled",
}


def _place_of(run_tags: Mapping[str, str]) -> Place | None:
    index = run_tags.get(tags.AIRFLOW_MAP_INDEX, "-1")
    if tags.AIRFLOW_TASK not in run_tags or not index.removeprefix("-").isdecimal():
        return None
    return (
        Unit(run_tags[tags.AIRFLOW_DAG], run_tags[tags.AIRFLOW_TASK]),
        run_tags[tags.AIRFLOW_RUN],
        int(index),
    )


def _may_have_written(record: dg.RunRecord) -> bool:
    """False for a run that ended before it began, or that was refused before it did anything."""
    run = record.dagster_run
    if run.is_success or not run.is_finished:
        return True
    return record.start_time is not None and tags.REFUSED not in run.tags
