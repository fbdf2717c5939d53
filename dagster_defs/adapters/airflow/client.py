"""The part of Airflow's stable REST API that is needed to observe and drive it, in its version 1 (2.x) or 2 (3.x)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pendulum

from dagster_defs.adapters.airflow.dialect import dag_path, run_path
from dagster_defs.adapters.airflow.reading import MOST_PAGES, PAGE, Reading
from dagster_defs.adapters.airflow.rows import STARTED_BY_ASSETS, DagRun, TaskInstance, instant, xcom_key
from dagster_defs.adapters.http.question import NoAnswer, Refusal, Unclear, segment, text
from dagster_defs.errors import AirflowFault
from dagster_defs.lifecycle import Unit
from dagster_defs.windows import Scheduled

# An operator that is deferred or rescheduled may have begun something elsewhere, which another one would begin again.
UNDER_WAY = ("running", "restarting", "deferred", "up_for_reschedule")
FINISHED = ("success", "failed", "skipped", "upstream_failed")
RETRIED = "up_for_retry"  # the try failed, and Airflow is waiting before the next one
PROXY = "ToDagster"  # part of the class name of every proxy, Airlift's own among them
# The XComs by which Airflow's half tells whose a try is, and where its run in Dagster is; none of the task's own.
OWNER_KEY, RUN_KEY = HANDOVER_KEYS = ("parity_owner", "dagster_run")
DAGSTERS = "dagster"
CROWD = 1_000  # rows per request if many tasks ended in one instant
TASKS = "/dags/~/dagRuns/~/taskInstances/list"


class AirflowReader(Reading):
    """Reads from Airflow, and changes nothing in it."""

    def is_healthy(self) -> bool:
        """Whether the web server answers and the scheduler has a heartbeat; never raises."""
        try:
            health = self._once("GET", self._found().dialect.health).document()
        except (NoAnswer, Refusal, Unclear, AirflowFault):
            return False
        match health:
            case {"scheduler": {"status": "healthy"}}:
                return True
        return False

    @property
    def lateness(self) -> timedelta:
        """How long after its end a try may appear in a list."""
        return self._api.lateness

    def dags(self) -> list[Mapping[str, Any]]:
        return list(self._pages("/dags", "dags"))

    def import_errors(self) -> list[Mapping[str, Any]]:
        return list(self._pages("/importErrors", "import_errors"))

    def tasks(self, dag_id: str) -> list[Mapping[str, Any]]:
        path = f"/dags/{segment(dag_id)}/tasks"
        return self._rows(path, "tasks", self._call("GET", path))

    def dag_runs(self, dag_id: str) -> list[DagRun]:
        rows = self._pages(f"{dag_path(dag_id)}/dagRuns", "dag_runs", {"order_by": self._api.run_date})
        return self._parsed(DagRun.parse, rows)

    def dag_run(self, dag_id: str, run_id: str) -> DagRun:
        return self._one(DagRun.parse, self._call("GET", run_path(dag_id, run_id)))

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        rows = self._pages(f"{run_path(dag_id, run_id)}/taskInstances", "task_instances")
        return self._parsed(TaskInstance.parse, rows)

    def finished_task_instances(
        self, dag_ids: Sequence[str], since: datetime, before: datetime | None = None
    ) -> Iterator[TaskInstance]:
        """Every try in these DAGs that ended in [since, before), whatever became of its DAG run.

        The pages are unordered, and new rows shift them: ask only for the past.
        """
        offset = 0
        for _ in range(MOST_PAGES):
            rows, total, read = self._finished(dag_ids, since, before, CROWD, offset)
            yield from rows
            offset += read
            if not read or offset >= total:
                return
        raise self._unclear(f"more than {MOST_PAGES} pages of task instances")

    def finished_page(
        self, dag_ids: Sequence[str], since: datetime, before: datetime | None = None
    ) -> tuple[list[TaskInstance], int]:
        """One page of tries that ended in [since, before), and their total number, to tell whether it is complete."""
        rows, total, read = self._finished(dag_ids, since, before, PAGE, 0)
        return rows, total - (read - len(rows))

    def _finished(
        self, dag_ids: Sequence[str], since: datetime, before: datetime | None, limit: int, offset: int
    ) -> tuple[list[TaskInstance], int, int]:
        """The rows of these DAGs, their total number, and how many rows were read to get them."""
        query: dict[str, Any] = {
            "end_date_gte": since.isoformat(),
            "state": [*FINISHED, RETRIED],
            "page_limit": limit,
            "page_offset": offset,
        }
        if before:
            query["end_date_lte"] = (before - timedelta(microseconds=1)).isoformat()

        def page() -> Any:
            answer = self._call("POST", TASKS, json={**query, "dag_ids": list(dag_ids)}, allowed=(403,))
            if not isinstance(answer, Mapping) or "task_instances" not in answer:
                # One DAG that is forbidden or gone fails the whole list: then ask for all permitted DAGs.
                answer = self._call("POST", TASKS, json=query)
            return answer

        rows, total = self._counted(TASKS, "task_instances", page, offset)
        tasks = self._parsed(TaskInstance.parse, (row for row in rows if row.get("dag_id") in dag_ids))
        return tasks, total, len(rows)

    def dag_runs_between(
        self, dag_ids: Sequence[str], first: datetime, last: datetime, pages: int
    ) -> Iterator[DagRun]:
        """Runs of these DAGs with a `run_date` in [first, last], at most `pages` pages of them."""
        date = self._api.run_date
        params = {
            "dag_ids": list(dag_ids),
            f"{date}_gte": first.isoformat(),
            f"{date}_lte": last.isoformat(),
            "order_by": date,
            "page_limit": PAGE,
        }
        path = "/dags/~/dagRuns/list"
        for offset in range(0, pages * PAGE, PAGE):
            ask = partial(self._call, "POST", path, json={**params, "page_offset": offset})
            rows, total = self._counted(path, "dag_runs", ask, offset)
            yield from self._parsed(DagRun.parse, rows)
            if offset + PAGE >= total:
                return

    def find_dag_run(self, dag_id: str, run_id: str) -> DagRun | None:
        """None if it, or its DAG, is gone; one that this user may not see is refused."""
        row = self._call("GET", run_path(dag_id, run_id), allowed=(404,), gone=None)
        return None if row is None else self._one(DagRun.parse, row)

    def earlier_tries(self, task: TaskInstance) -> list[TaskInstance]:
        """The tries before this one that Airflow remembers, oldest first; before 2.10 Airflow remembers none."""
        if task.try_number <= 1:
            return []
        mapped = f"/{task.map_index}" if task.map_index >= 0 else ""
        path = f"{_instance(task.unit, task.run_id)}{mapped}/tries"
        answer = self._call("GET", path, allowed=(404,), gone={"task_instances": []})
        tries = self._parsed(TaskInstance.parse, self._rows(path, "task_instances", answer))
        return sorted(
            (task_try for task_try in tries if task_try.try_number < task.try_number),
            key=lambda task_try: task_try.try_number,
        )

    def mapped_instances(self, unit: Unit, run_id: str) -> list[TaskInstance]:
        """Every instance of a mapped task in that run, by map index; empty if it is gone."""
        path = f"{_instance(unit, run_id)}/listMapped"
        gone = {"task_instances": [], "total_entries": 0}

        def page(offset: int) -> Any:
            params = {"limit": PAGE, "offset": offset}
            return self._call("GET", path, params=params, allowed=(404,), gone=gone)

        return self._parsed(TaskInstance.parse, self._paged(path, "task_instances", page))

    def started_task_instances(self, unit: Unit, since: datetime) -> Iterator[TaskInstance]:
        """The task's instances, in any run, whose last try started at or after `since`."""
        return self._listed(unit, {"start_date_gte": since.isoformat()})

    def task(self, unit: Unit) -> Mapping[str, Any]:
        """The task as Airflow serves it, as of the last time the DAG was parsed."""
        path = f"{dag_path(unit.dag_id)}/tasks/{segment(unit.task_id)}"
        return self._object(path, self._call("GET", path))

    def task_instances_in(
        self, unit: Unit, states: Sequence[str], since: datetime | None = None
    ) -> Iterator[TaskInstance]:
        """The task's instances, in any run, in one of these states; `since`: only those started then or later."""
        started = {} if since is None else {"start_date_gte": since.isoformat()}
        return self._listed(unit, {"state": list(states), **started})

    def task_instances_under_way(self, unit: Unit) -> Iterator[TaskInstance]:
        """Those that are running, or that have begun something elsewhere and wait for it."""
        known = self.version
        parked = [state for state, since in known.dialect.parked.items() if known.number >= since]
        return self.task_instances_in(unit, [*UNDER_WAY, *parked])

    def _listed(self, unit: Unit, wanted: Mapping[str, Any]) -> Iterator[TaskInstance]:
        """Raises AirflowRefuses for a DAG that is unknown, or that this user may not see."""
        of_task = {**wanted, "dag_ids": [unit.dag_id], "task_ids": [unit.task_id], "page_limit": PAGE}

        def page(offset: int) -> Any:
            return self._call("POST", TASKS, json={**of_task, "page_offset": offset})

        rows = iter(self._paged(TASKS, "task_instances", page))
        first = next(rows, None)
        if first is None:
            self.dag(unit.dag_id)  # of a DAG that it does not have, Airflow says that it has no tasks
            return
        yield self._one(TaskInstance.parse, first)
        yield from self._parsed(TaskInstance.parse, rows)

    def dag(self, dag_id: str) -> Mapping[str, Any]:
        document = self._object(dag_path(dag_id), self._call("GET", dag_path(dag_id)))
        if not isinstance(document.get("is_paused"), bool):
            raise self._unclear(f"GET {dag_path(dag_id)} answered without saying whether the DAG `is_paused`")
        return document

    def has_dag(self, dag_id: str) -> bool:
        """Whether it has the DAG now: one whose file is gone stays on record, as inactive or stale."""
        found = self._call("GET", dag_path(dag_id), allowed=(404,), gone=None)
        return found is not None and self._api.is_current(self._object(dag_path(dag_id), found))

    def next_window_start(self, dag_id: str) -> pendulum.DateTime | None:
        """The start of the next scheduled run's window; None if the DAG has ended or has no schedule."""
        return self._one(lambda row: instant(row, "next_dagrun_data_interval_start"), self.dag(dag_id))

    def live_dag_runs(self, dag_id: str) -> list[DagRun]:
        rows = self._pages(f"{dag_path(dag_id)}/dagRuns", "dag_runs", {"state": ["queued", "running"]})
        return self._parsed(DagRun.parse, rows)

    def outdated_dag_runs(self, dag_id: str) -> list[DagRun]:
        """The live runs whose tasks are run from another version of the DAG's file than the deployed one."""
        if not self._api.keeps_versions:
            return []
        kept = [run for run in self.live_dag_runs(dag_id) if run.bundle_version]
        deployed = self.dag(dag_id).get("bundle_version") if kept else None
        return [run for run in kept if run.bundle_version != deployed]

    def newest_scheduled_run(self, dag_id: str) -> DagRun | None:
        """The last run created by Airflow's own schedule, however many others there have been since."""
        params = {"order_by": f"-{self._api.run_date}", **self._api.only_scheduled}
        rows = self._pages(f"{dag_path(dag_id)}/dagRuns", "dag_runs", params)
        newest = next((row for row in rows if row.get("run_type") == "scheduled"), None)
        return None if newest is None else self._one(DagRun.parse, newest)

    def newest_run(self, dag_id: str) -> DagRun | None:
        rows = self._pages(f"{dag_path(dag_id)}/dagRuns", "dag_runs", {"order_by": f"-{self._api.run_date}"})
        newest = next(iter(rows), None)
        return None if newest is None else self._one(DagRun.parse, newest)

    def queued_dag_runs(self, dag_id: str) -> list[DagRun]:
        """Those that wait for their start; of a paused DAG, Airflow starts none."""
        rows = self._pages(f"{dag_path(dag_id)}/dagRuns", "dag_runs", {"state": ["queued"]})
        return self._parsed(DagRun.parse, (row for row in rows if row.get("state") == "queued"))

    def newest_dataset_date(self, dag_id: str) -> pendulum.DateTime | None:
        """The date of the last run that datasets or assets started: it has consumed all events up to then."""
        date = self._api.run_date
        rows = self._pages(f"{dag_path(dag_id)}/dagRuns", "dag_runs", {"order_by": f"-{date}"})
        newest = next((row for row in rows if row.get("run_type") in STARTED_BY_ASSETS), None)
        if newest is None:
            return None
        return self._one(lambda row: instant(row, date) or instant(row, "logical_date"), newest)

    def rendered_fields(self, unit: Unit, run_id: str) -> Mapping[str, Any]:
        """The templated fields of the task in that run, as Airflow rendered them; empty for a mapped task."""
        path = _instance(unit, run_id)
        fields = self._object(path, self._call("GET", path)).get("rendered_fields") or {}
        return self._object(path, fields)

    def xcom_keys(self, dag_id: str, run_id: str) -> list[tuple[Unit, int, str]]:
        """Of every XCom that the run has: its task, map index and key."""
        rows = self._pages(f"{run_path(dag_id, run_id)}/taskInstances/~/xcomEntries", "xcom_entries")
        return self._parsed(xcom_key, rows)

    def xcom(self, unit: Unit, run_id: str, key: str) -> Any:
        """The value of a task that is not mapped, as JSON has it, and anything else as Airflow has written it down;
        Airflow before 2.10 refuses to say it like that."""
        path = f"{_instance(unit, run_id)}/xcomEntries/{segment(key)}"
        answer = self._object(path, self._call("GET", path, params={"stringify": "false"}))
        if "value" not in answer:
            raise self._unclear(f"{path} answered without a `value`")
        return answer["value"]

    def is_proxy(self, task: TaskInstance) -> bool:
        """Whether the class that executed it is known to be a proxy's. Airflow 3 tells the class of another version of
        the DAG: there, only the switch says whose a try is."""
        return self._api.tells_own_operator and PROXY in task.operator

    def is_handed_over(self, task: TaskInstance) -> bool:
        """Whether a proxy, or the switch in the task, has this try in Dagster's hands; False also if the switch has not
        asked yet.

        Airflow removes a task's XComs a little after a try has begun, so an older one is about an earlier try.
        """
        if self.is_proxy(task):
            return True
        path = f"{_instance(task.unit, task.run_id)}/xcomEntries/{OWNER_KEY}"
        params = {"map_index": task.map_index} if task.map_index >= 0 else {}
        answer = self._call("GET", path, params=params, allowed=(404,), gone={})
        told = self._one(lambda row: instant(row, "timestamp"), answer)
        if told is None or task.start is None or told < task.start:
            return False
        return str(answer.get("value")).strip('"') == DAGSTERS

    def variable(self, name: str) -> str | None:
        """None if there is none of that name."""
        path = f"/variables/{segment(name)}"
        answer = self._call("GET", path, allowed=(404,), gone=None)
        return None if answer is None else self._one(lambda row: text(row, "value"), answer)

    def variables(self) -> dict[str, str]:
        rows = self._pages("/variables", "variables")
        return dict(self._parsed(lambda row: (text(row, "key"), str(row.get("value") or "")), rows))

    def log_of(self, task: TaskInstance) -> str:
        path = f"{_instance(task.unit, task.run_id)}/logs/{task.try_number}"
        reply = self._asked("GET", path, (), headers={"Accept": self._api.log_type})
        return self._question(lambda: self._api.log_text(reply))

    def source(self, dag: Mapping[str, Any]) -> str | None:
        """The DAG's file, as Airflow last parsed it; None if this user may not see it, or Airflow does not keep it.
        `dag`: its row among `dags`."""
        path = f"/dagSources/{segment(str(dag.get(self._api.source_id)))}"
        answer = self._call("GET", path, allowed=(403, 404), gone={}, headers={"Accept": "application/json"})
        source: str | None = self._one(lambda row: text(row, "content", None), answer)
        return source

    def schedule(self, dag: Mapping[str, Any]) -> Any:
        """What Airflow shows as the schedule of a DAG's row."""
        return dag.get(self._api.schedule)

    def dag_link(self, dag_id: str) -> str:
        """The page of a DAG in Airflow's UI."""
        return self.address.url + dag_path(dag_id)

    def run_link(self, dag_id: str, run_id: str) -> str:
        """The page of a DAG run in Airflow's UI."""
        return self.address.url + self._api.page_of_run(dag_id, run_id)

    def link(self, unit: Unit, run_id: str) -> str:
        """The page of a task's run in Airflow's UI."""
        return self.address.url + self._api.page_of_task(unit.dag_id, run_id, unit.task_id)


class AirflowClient(AirflowReader):
    """Changes Airflow too; raises what its reader raises."""

    def trigger(self, dag_id: str, window: Scheduled) -> DagRun:
        """Trigger a manual run whose data interval is the window, or the tick."""
        start, end = window.start.isoformat(), window.end.isoformat()
        body = {"logical_date": start, "data_interval_start": start, "data_interval_end": end}
        run = self._one(DagRun.parse, self._call("POST", f"{dag_path(dag_id)}/dagRuns", json=body))
        if run.window != window:
            raise self._unclear(
                f"{run.run_id} has the data interval {run.window}, and {window} was asked for"
            )
        return run

    def begin(self, dag_id: str, at: datetime, conf: Mapping[str, Any]) -> DagRun:
        """Trigger a manual run of a DAG without a clock, which is given `conf`."""
        body = {"logical_date": at.isoformat(), "conf": conf}
        return self._one(DagRun.parse, self._call("POST", f"{dag_path(dag_id)}/dagRuns", json=body))

    def note_success(self, run: DagRun) -> None:
        """Close a DAG run whose tasks have all succeeded; Airflow itself ignores the runs of a paused DAG."""
        self._call("PATCH", run_path(run.dag_id, run.run_id), json={"state": "success"})

    def note_end(self, run: DagRun, *, succeeded: bool) -> None:
        """Say how a run of a paused DAG has ended elsewhere: Airflow starts no task of it, and whoever waits for it
        goes on."""
        state = "success" if succeeded else "failed"
        self._call("PATCH", run_path(run.dag_id, run.run_id), json={"state": state})

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        self._call("PATCH", dag_path(dag_id), json={"is_paused": paused})

    def set_variable(self, name: str, value: str) -> None:
        """Create it, or replace its value."""
        path, body = f"/variables/{segment(name)}", {"key": name, "value": value}
        if self._call("PATCH", path, json=body, allowed=(404,), gone=None) is None:
            self._call("POST", "/variables", json=body)

    def parse_soon(self, dag_id: str) -> None:
        """Ask Airflow to parse the DAG's file before its turn. An Airflow that does not do this, or not for this user,
        parses it when its turn comes."""
        if token := self.dag(dag_id).get("file_token"):
            path = f"/parseDagFile/{segment(str(token))}"
            self._asked(
                "PUT", path, (403, 404, 405, 409)
            )  # the answer need not be JSON, if it is asked already

    def make_pool(self, name: str, slots: int) -> None:
        self._call("POST", "/pools", json={"name": name, "slots": slots}, allowed=(409,))


def _instance(unit: Unit, run_id: str) -> str:
    return f"{run_path(unit.dag_id, run_id)}/taskInstances/{segment(unit.task_id)}"
