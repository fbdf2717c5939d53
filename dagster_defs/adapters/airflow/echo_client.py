"""Tells Airflow what has happened elsewhere, so that what waits there goes on; no task is started by that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.dialect import dag_path, run_path
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance, instant
from dagster_defs.adapters.http.question import segment, whole
from dagster_defs.windows import Scheduled

KEY = "parity_echo"  # in the `extra` of an event of a dataset: which success it stands for
_NOTE = "Dagster has run this. Airflow was told, and has started none of its tasks."


class EchoClient(AirflowClient):
    """A run of a paused DAG stays in the queue, whatever its tasks' states are; so it is made, told and closed. What is
    there already is found by its date, its id or its key."""

    def run_at(self, dag_id: str, logical_date: datetime) -> DagRun | None:
        """The DAG's run with that logical date; there is no second one."""
        name, at = self._api.logical_date, logical_date.isoformat()
        asked = {f"{name}_gte": at, f"{name}_lte": at}
        rows = list(self._pages(f"{dag_path(dag_id)}/dagRuns", "dag_runs", asked))
        return self._one(DagRun.parse, rows[0]) if rows else None

    def put_run(self, dag_id: str, run_id: str, window: Scheduled) -> DagRun:
        """The run with the window, or the tick, as its data interval. Only for a paused DAG, or a date in the future:
        Airflow would start its tasks. If the date has a run already, that one is given."""
        start, end = window.start.isoformat(), window.end.isoformat()
        body = {
            "dag_run_id": run_id,
            "logical_date": start,
            "data_interval_start": start,
            "data_interval_end": end,
            "note": _NOTE,
            **({"run_after": end} if self._api.has_run_after else {}),
        }
        path = f"{dag_path(dag_id)}/dagRuns"
        row = self._call("POST", path, json=body, allowed=(409,), gone=None)
        run = self.run_at(dag_id, window.start) if row is None else self._one(DagRun.parse, row)
        if run is None:
            raise self._unclear(f"POST {path} says that there is a run of {start}, and there is none")
        if run.window != window:
            raise self._unclear(f"{run.run_id} has the data interval {run.window}, and not {window}")
        return run

    def put_states(self, run: DagRun, states: Mapping[str, str], *, succeeded: bool) -> None:
        """The tasks' states (success, failed or skipped) and the run's own; a task that is not named is left as it is.

        Airflow 2 sets all tasks of a run that has succeeded to success, and Airflow 3 skips those that have no state:
        so the tasks come first, and those that have changed are told once more. Raises AirflowUnclear if it does not
        stay that way, as with a DAG that has a teardown task.
        """
        self._put_task_states(run, states)
        wanted = "success" if succeeded else "failed"
        if self.dag_run(run.dag_id, run.run_id).state != wanted:
            self.note_end(run, succeeded=succeeded)
            self._put_task_states(run, states)
        now = self.dag_run(run.dag_id, run.run_id).state
        if now != wanted:
            raise self._unclear(f"{run.run_id} of {run.dag_id} was set to {wanted}, and is {now}")
        if other := next(self._unlike(run, states), None):
            asked = states[other.unit.task_id]
            raise self._unclear(
                f"{other.unit} of {run.run_id} was set to {asked}, and is {other.state or 'without one'}"
            )

    def _put_task_states(self, run: DagRun, states: Mapping[str, str]) -> None:
        """In the given order: setting a task clears the failed ones after it."""
        unlike = list(self._unlike(run, states))
        for task_id, state in states.items():
            for task in (each for each in unlike if each.unit.task_id == task_id):
                index = f"/{task.map_index}" if task.map_index >= 0 else ""
                path = f"{run_path(run.dag_id, run.run_id)}/taskInstances/{segment(task_id)}{index}"
                self._call("PATCH", path, json={"new_state": state, **self._api.plain_state})

    def _unlike(self, run: DagRun, states: Mapping[str, str]) -> Iterator[TaskInstance]:
        for task in self.task_instances(run.dag_id, run.run_id):
            if states.get(task.unit.task_id, task.state) != task.state:
                yield task

    def remove_run(self, dag_id: str, run_id: str) -> None:
        """Nothing happens if it is not there."""
        self._asked("DELETE", run_path(dag_id, run_id), (404,))

    def dataset(self, uri: str) -> int | None:
        """The id of the dataset or asset with that address; None if no DAG has it."""
        name = self._api.datasets
        # Not by a pattern: Airflow 2 would count those that do not match.
        rows = self._pages(f"/{name}", name, {"order_by": "id"})
        own = next((row for row in rows if row.get("uri") == uri), None)
        return None if own is None else self._one(lambda row: whole(row, "id", -1), own)

    def has_event(self, dataset: int, key: str, since: datetime) -> bool:
        """Whether an event with that key has been told since then."""
        kind = self._api.datasets
        path, name = f"/{kind}/events", f"{kind[:-1]}_events"
        asked = {self._api.dataset_id: dataset, "order_by": "-timestamp"}
        for row in self._pages(path, name, asked):
            if (row.get("extra") or {}).get(KEY) == key:
                return True
            at = self._one(lambda row: instant(row, "timestamp"), row)
            if at is None or at < since:
                return False
        return False

    def put_event(self, uri: str, dataset: int, key: str) -> None:
        """An event of the dataset or asset: DAGs that it starts are started. Ask `has_event` first. If no answer
        arrives, nobody knows whether it is there, so it is not sent a second time."""
        of_id: dict[str, Any] = {self._api.dataset_id: dataset}
        which = of_id if self._api.events_by_id else {"dataset_uri": uri}
        event = {**which, "extra": {KEY: key}}
        self._asked("POST", f"/{self._api.datasets}/events", (), again=False, json=event)

    def start(self, dag_id: str, run_id: str, logical_date: datetime, conf: Mapping[str, Any]) -> DagRun:
        """A run of a DAG as `TriggerDagRunOperator` makes one. If the date or the id has a run already, that one is
        given."""
        body: dict[str, Any] = {
            "dag_run_id": run_id,
            "logical_date": logical_date.isoformat(),
            "conf": dict(conf),
        }
        row = self._call("POST", f"{dag_path(dag_id)}/dagRuns", json=body, allowed=(409,), gone=None)
        if row is not None:
            return self._one(DagRun.parse, row)
        return self.run_at(dag_id, logical_date) or self.dag_run(dag_id, run_id)

    def paused(self, dag_id: str) -> bool:
        return bool(self.dag(dag_id)["is_paused"])
