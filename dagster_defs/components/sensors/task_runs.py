"""The Dagster runs that proxies have launched for tasks of Airflow's, as far as they may have written."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

import dagster as dg

from dagster_defs.adapters.airflow.client import TaskInstance
from dagster_defs.adapters.store.ledger import LedgerReader
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.attribution import Executor, TaskRun, Try, executor_of, given_back
from dagster_defs.lifecycle.ledger import UnitHistory
from dagster_defs.settings import Settings

Place = tuple[Unit, str, int]  # unit, DAG run, map index
PAGE = 500  # DAG runs that are asked for at once


class TaskRuns:
    """What Dagster's run storage knows of these tasks: one look for all of them."""

    def __init__(self, instance: dg.DagsterInstance, tasks: Sequence[TaskInstance]) -> None:
        self._runs = _runs_of(instance, tasks) if tasks else {}

    def executor(self, task: TaskInstance, earlier: Sequence[TaskInstance]) -> tuple[Executor, str]:
        """Who has executed the try, and of a Dagster run its id and its state. `earlier`: the tries before it."""
        runs = self._runs.get(_place(task), ())
        if not runs:
            return Executor.AIRFLOW, ""
        before = [one.try_number for one in earlier if one.state == "success"]
        one = Try(task.try_number, task.state == "success", task.start, before)
        executor, run = executor_of(one, runs, self._given_back(task.unit))
        return executor, f"Dagster run {run.run_id[:8]} {run.how}" if run else ""

    def _given_back(self, unit: Unit) -> list[datetime]:
        history = self._histories.get(unit)
        return given_back(history.entries) if history else []

    @cached_property
    def _histories(self) -> Mapping[Unit, UnitHistory]:
        """Without a ledger that can be read, the runs' own tags and states decide."""
        try:
            return LedgerReader(Settings.from_process().proxied_state).read().histories()
        except ParityError:
            return {}


def _place(task: TaskInstance) -> Place:
    return task.unit, task.run_id, task.map_index


def _runs_of(instance: dg.DagsterInstance, tasks: Sequence[TaskInstance]) -> dict[Place, list[TaskRun]]:
    """By task instance, newest first. A run that was executed again from another one, or was launched a second time
    with one id, is no proxy's; one that never began, or was refused, has written nothing."""
    dag_ids, run_ids = sorted({task.unit.dag_id for task in tasks}), sorted({task.run_id for task in tasks})
    wanted = {_place(task) for task in tasks}
    records = {
        record.storage_id: record
        for start in range(0, len(run_ids), PAGE)
        for record in instance.get_run_records(
            dg.RunsFilter(tags={tags.AIRFLOW_DAG: dag_ids, tags.AIRFLOW_RUN: run_ids[start : start + PAGE]})
        )
    }
    found: dict[Place, list[TaskRun]] = {}
    launches: set[str] = set()
    for _, record in sorted(records.items()):
        run = record.dagster_run
        said = run.tags
        place = _place_of(said)
        if place not in wanted or tags.PARENT_RUN in said or tags.ROOT_RUN in said or run.parent_run_id:
            continue
        launch = said.get(tags.LAUNCH, run.run_id)
        if launch in launches or not _may_have_written(record):
            continue
        launches.add(launch)
        number = said.get(tags.AIRFLOW_TRY, "")
        one = TaskRun(
            run.run_id,
            int(number) if number.isdecimal() else None,
            record.create_timestamp,
            succeeded=run.is_success,
            live=not run.is_finished,
            how=_HOW.get(run.status, "has not ended"),
        )
        found.setdefault(place, []).insert(0, one)
    return found


_HOW = {
    dg.DagsterRunStatus.SUCCESS: "has succeeded",
    dg.DagsterRunStatus.FAILURE: "has failed",
    dg.DagsterRunStatus.CANCELED: "was canceled",
}


def _place_of(said: Mapping[str, str]) -> Place | None:
    index = said.get(tags.AIRFLOW_MAP_INDEX, "-1")
    if tags.AIRFLOW_TASK not in said or not index.removeprefix("-").isdecimal():
        return None
    return Unit(said[tags.AIRFLOW_DAG], said[tags.AIRFLOW_TASK]), said[tags.AIRFLOW_RUN], int(index)


def _may_have_written(record: dg.RunRecord) -> bool:
    """Not a run that ended before it began, or that was refused before it did anything."""
    run = record.dagster_run
    if run.is_success or not run.is_finished:
        return True
    return record.start_time is not None and tags.REFUSED not in run.tags
