"""The part of Airflow's stable REST API (v1, Airflow 2.x) that is needed to observe and drive it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import pendulum
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_exponential

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance, instant, xcom_key
from dagster_defs.adapters.http.question import (
    NoAnswer,
    Refusal,
    Reply,
    Unclear,
    Web,
    checked,
    rows_of,
    segment,
    text,
)
from dagster_defs.errors import (
    AirflowRefuses,
    AirflowUnclear,
    AirflowUnreachable,
)
from dagster_defs.lifecycle import Unit
from dagster_defs.windows import Window

PAGE = 100  # Airflow's own default for `maximum_page_limit`
# An operator that is deferred or rescheduled may have begun something elsewhere, which another one would begin again.
UNDER_WAY = ("running", "restarting", "deferred", "up_for_reschedule")
FINISHED = ("success", "failed", "skipped", "upstream_failed")
RETRIED = "up_for_retry"  # the try failed, and Airflow is waiting before the next one
MOST_PAGES = 2_000  # per list; more would be an endless list
# The XComs by which Airflow's half tells whose a try is, and where its run in Dagster is; none of the task's own.
OWNER_KEY, RUN_KEY = HANDOVER_KEYS = ("parity_owner", "dagster_run")
DAGSTERS = "dagster"
MISSING: Final = object()
T = TypeVar("T")
COUNTED_AGAIN = 6  # times that a page with more rows than were counted is asked for; 3 seconds in all
CROWD = 1_000  # rows per request if many tasks ended in one instant


class AirflowReader:
    """Reads from Airflow, and changes nothing in it.

    Every call raises AirflowUnreachable if Airflow does not answer, AirflowRefuses if it refuses, AirflowUnclear if its
    answer makes no sense; each with the reason.
    """

    def __init__(self, address: AirflowAddress, *, patience: float = 10) -> None:
        """`patience`: for how many seconds a call without an answer, or with a 5xx one, is retried."""
        self.address = address
        self._patience = patience
        self._web = Web(f"{address.url}/api/v1", address.login)

    def headers(self) -> Mapping[str, str]:
        """By which Airflow lets a request in that somebody else sends, beside a user and a password."""
        return self._question(self._web.headers)

    def is_healthy(self) -> bool:
        """Whether the web server answers and the scheduler has a heartbeat; never raises."""
        try:
            health = self._web.ask("GET", "/health").document()
        except (NoAnswer, Refusal, Unclear):
            return False
        match health:
            case {"scheduler": {"status": "healthy"}}:
                return True
        return False

    def dags(self) -> list[Mapping[str, Any]]:
        return list(self._pages("GET", "/dags", "dags"))

    def import_errors(self) -> list[Mapping[str, Any]]:
        return list(self._pages("GET", "/importErrors", "import_errors"))

    def tasks(self, dag_id: str) -> list[Mapping[str, Any]]:
        path = f"/dags/{segment(dag_id)}/tasks"
        return self._rows(path, "tasks", self._call("GET", path))

    def dag_runs(self, dag_id: str) -> list[DagRun]:
        rows = self._pages("GET", f"{_dag(dag_id)}/dagRuns", "dag_runs", {"order_by": "execution_date"})
        return self._parsed(DagRun.parse, rows)

    def dag_run(self, dag_id: str, run_id: str) -> DagRun:
        return self._one(DagRun.parse, self._call("GET", _run(dag_id, run_id)))

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        rows = self._pages("GET", f"{_run(dag_id, run_id)}/taskInstances", "task_instances")
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
        path = "/dags/~/dagRuns/~/taskInstances/list"
        query: dict[str, Any] = {
            "end_date_gte": since.isoformat(),
            "state": [*FINISHED, RETRIED],
            "page_limit": limit,
            "page_offset": offset,
        }
        if before:
            query["end_date_lte"] = (before - timedelta(microseconds=1)).isoformat()

        def page() -> Any:
            answer = self._call("POST", path, json={**query, "dag_ids": list(dag_ids)}, allowed=(403,))
            if not isinstance(answer, Mapping) or "task_instances" not in answer:
                # One DAG that is forbidden or gone fails the whole list: then ask for all permitted DAGs.
                answer = self._call("POST", path, json=query)
            return answer

        rows, total = self._counted(path, "task_instances", page, offset)
        tasks = self._parsed(TaskInstance.parse, (row for row in rows if row.get("dag_id") in dag_ids))
        return tasks, total, len(rows)

    def dag_runs_between(
        self, dag_ids: Sequence[str], first: datetime, last: datetime, pages: int
    ) -> Iterator[DagRun]:
        """Runs of these DAGs with a logical date in [first, last], at most `pages` pages of them."""
        params = {
            "dag_ids": list(dag_ids),
            "execution_date_gte": first.isoformat(),
            "execution_date_lte": last.isoformat(),
            "order_by": "execution_date",
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
        """None if it, or its DAG, is gone."""
        row = self._call("GET", _run(dag_id, run_id), allowed=(403, 404), gone=None)
        return None if row is None else self._one(DagRun.parse, row)

    def earlier_tries(self, task: TaskInstance) -> list[TaskInstance]:
        """The tries before this one that Airflow remembers, oldest first; before 2.10 Airflow remembers none."""
        if task.try_number <= 1:
            return []
        mapped = f"/{task.map_index}" if task.map_index >= 0 else ""
        path = f"{_instance(task.unit, task.run_id)}{mapped}/tries"
        answer = self._call("GET", path, allowed=(403, 404), gone={"task_instances": []})
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
        yield from self._listed(
            {"dag_ids": [unit.dag_id], "task_ids": [unit.task_id], "start_date_gte": since.isoformat()}
        )

    def task(self, unit: Unit) -> Mapping[str, Any]:
        """The task as Airflow serves it, as of the last time the DAG was parsed."""
        path = f"{_dag(unit.dag_id)}/tasks/{segment(unit.task_id)}"
        return self._object(path, self._call("GET", path))

    def task_instances_in(
        self, unit: Unit, states: Sequence[str], since: datetime | None = None
    ) -> Iterator[TaskInstance]:
        """The task's instances, in any run, in one of these states; `since`: only those started then or later."""
        wanted: dict[str, Any] = {"dag_ids": [unit.dag_id], "task_ids": [unit.task_id], "state": list(states)}
        yield from self._listed(wanted if since is None else wanted | {"start_date_gte": since.isoformat()})

    def _listed(self, wanted: Mapping[str, Any]) -> Iterator[TaskInstance]:
        path = "/dags/~/dagRuns/~/taskInstances/list"

        def page(offset: int) -> Any:
            return self._call("POST", path, json={**wanted, "page_limit": PAGE, "page_offset": offset})

        yield from self._parsed(TaskInstance.parse, self._paged(path, "task_instances", page))

    def dag(self, dag_id: str) -> Mapping[str, Any]:
        document = self._object(_dag(dag_id), self._call("GET", _dag(dag_id)))
        if not isinstance(document.get("is_paused"), bool):
            raise self._unclear(f"GET {_dag(dag_id)} answered without saying whether the DAG `is_paused`")
        return document

    def has_dag(self, dag_id: str) -> bool:
        """Whether it has the DAG now: one whose file is gone stays on record, as inactive."""
        found = self._call("GET", _dag(dag_id), allowed=(404,), gone=None)
        return found is not None and self._object(_dag(dag_id), found).get("is_active") is not False

    def next_window_start(self, dag_id: str) -> pendulum.DateTime | None:
        """The start of the next scheduled run's window; None if the DAG has ended or has no schedule."""
        return self._one(lambda row: instant(row, "next_dagrun_data_interval_start"), self.dag(dag_id))

    def live_dag_runs(self, dag_id: str) -> list[DagRun]:
        rows = self._pages("GET", f"{_dag(dag_id)}/dagRuns", "dag_runs", {"state": ["queued", "running"]})
        return self._parsed(DagRun.parse, rows)

    def newest_scheduled_run(self, dag_id: str) -> DagRun | None:
        """The last run created by Airflow's own schedule."""
        params = {"order_by": "-execution_date", "limit": PAGE}
        path = f"{_dag(dag_id)}/dagRuns"
        rows = self._rows(path, "dag_runs", self._call("GET", path, params=params))
        scheduled = self._parsed(DagRun.parse, (row for row in rows if row.get("run_type") == "scheduled"))
        return next(iter(scheduled), None)

    def rendered_fields(self, unit: Unit, run_id: str) -> Mapping[str, Any]:
        """The templated fields of the task in that run, as Airflow rendered them; empty for a mapped task."""
        path = _instance(unit, run_id)
        fields = self._object(path, self._call("GET", path)).get("rendered_fields") or {}
        return self._object(path, fields)

    def xcom_keys(self, dag_id: str, run_id: str) -> list[tuple[Unit, int, str]]:
        """Of every XCom that the run has: its task, map index and key."""
        rows = self._pages("GET", f"{_run(dag_id, run_id)}/taskInstances/~/xcomEntries", "xcom_entries")
        return self._parsed(xcom_key, rows)

    def xcom(self, unit: Unit, run_id: str, key: str) -> Any:
        """The value of a task that is not mapped, as JSON has it; Airflow before 2.10 refuses to say it like that."""
        path = f"{_instance(unit, run_id)}/xcomEntries/{segment(key)}"
        answer = self._object(path, self._call("GET", path, params={"stringify": "false"}))
        if "value" not in answer:
            raise self._unclear(f"{path} answered without a `value`")
        return answer["value"]

    def is_handed_over(self, task: TaskInstance) -> bool:
        """Whether the switch in the task has found this try to be Dagster's; False also if it has not asked yet.

        Airflow removes a task's XComs a little after a try has begun, so an older one is about an earlier try.
        """
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
        rows = self._pages("GET", "/variables", "variables")
        return dict(self._parsed(lambda row: (text(row, "key"), str(row.get("value") or "")), rows))

    def log_of(self, task: TaskInstance) -> str:
        path = f"{_instance(task.unit, task.run_id)}/logs/{task.try_number}"
        reply = self._asked("GET", path, (), headers={"Accept": "text/plain"})
        return reply.body.decode("utf-8", "replace")

    def _pages(
        self, method: str, path: str, name: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        def page(offset: int) -> Any:
            return self._call(method, path, params={**(params or {}), "limit": PAGE, "offset": offset})

        return self._paged(path, name, page)

    def _paged(self, path: str, name: str, page: Callable[[int], Any]) -> Iterator[Mapping[str, Any]]:
        """Every row, page after page. Raises AirflowUnclear for pages that repeat, do not end, or contradict their
        `total_entries`."""
        offset, before = 0, None
        for _ in range(MOST_PAGES):
            rows, total = self._counted(path, name, partial(page, offset), offset)
            if rows and rows == before:
                raise self._unclear(f"{path} gives the same page again and again")
            if not rows and offset < total:
                raise self._unclear(f"{path} says that it has {total} {name}, and gives {offset}")
            yield from rows
            offset, before = offset + len(rows), rows
            if offset >= total:
                return
        raise self._unclear(f"{path} has more than {MOST_PAGES} pages")

    def _counted(
        self, path: str, name: str, ask: Callable[[], Any], offset: int
    ) -> tuple[list[Mapping[str, Any]], int]:
        """The rows of the page at `offset`, and the total number of rows. Airflow counts before it reads: a row that
        is made in between is given and not counted, and such a page is asked for again."""

        def once() -> tuple[list[Mapping[str, Any]], int]:
            answer = ask()
            rows = self._rows(path, name, answer)
            return rows, self._total(path, answer, offset + len(rows))

        again = Retrying(
            stop=stop_after_attempt(COUNTED_AGAIN),
            wait=wait_exponential(multiplier=0.1, max=1),
            retry=retry_if_exception(lambda error: isinstance(error, AirflowUnclear) and not error.lasting),
            reraise=True,
        )
        return again(once)

    def _total(self, path: str, answer: Any, read: int) -> int:
        total = answer.get("total_entries")
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise self._unclear(f"{path} answered without a number as `total_entries`")
        if total < read:
            reason = f"{path} says that it has {total} entries, and has given {read}"
            raise AirflowUnclear(self.address.url, reason)
        return total

    def _rows(self, path: str, name: str, answer: Any) -> list[Mapping[str, Any]]:
        return self._one(lambda document: rows_of(document, name, path), answer)

    def _object(self, path: str, answer: Any) -> Mapping[str, Any]:
        if not isinstance(answer, dict):
            raise self._unclear(f"{path} answered with {type(answer).__name__} where an object belongs")
        return answer

    def _parsed(self, parse: Callable[[Mapping[str, Any]], T], rows: Iterable[Mapping[str, Any]]) -> list[T]:
        return [self._one(parse, row) for row in rows]

    def _one(self, parse: Callable[[Mapping[str, Any]], T], row: Any) -> T:
        try:
            return parse(self._object("Airflow", row))
        except Unclear as error:
            raise self._unclear(str(error)) from error

    def _unclear(self, reason: str) -> AirflowUnclear:
        return AirflowUnclear(self.address.url, reason, lasting=True)

    def _call(
        self, method: str, path: str, *, allowed: Sequence[int] = (), gone: Any = MISSING, **request: Any
    ) -> Any:
        """The answer's document, or `gone` if the status is one of those `allowed`."""
        reply = self._asked(method, path, allowed, **request)
        if reply.status >= 400 and gone is not MISSING:
            return gone
        if not reply.body:
            return {}
        try:
            return reply.document()
        except Unclear as error:
            if reply.status >= 400:  # allowed, but sent by something in front of Airflow
                return {}
            raise self._unclear(str(error)) from error

    def _asked(self, method: str, path: str, allowed: Sequence[int], **request: Any) -> Reply:
        return self._question(lambda: checked(self._web.ask(method, path, **request), allowed))

    def _question(self, once: Callable[[], T]) -> T:
        waiting = Retrying(
            stop=stop_after_delay(self._patience),
            wait=wait_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception(_passes),
            reraise=True,
        )
        try:
            return waiting(once)
        except NoAnswer as error:
            raise AirflowUnreachable(self.address.url, str(error)) from error
        except Refusal as error:
            raise AirflowRefuses(self.address.url, str(error), lasting=error.lasting) from error
        except Unclear as error:
            raise self._unclear(str(error)) from error


class AirflowClient(AirflowReader):
    """Changes Airflow too; raises what its reader raises."""

    def trigger(self, dag_id: str, window: Window) -> DagRun:
        """Trigger a manual run whose data interval is the window."""
        start, end = window.start.isoformat(), window.end.isoformat()
        body = {"logical_date": start, "data_interval_start": start, "data_interval_end": end}
        return self._one(DagRun.parse, self._call("POST", f"{_dag(dag_id)}/dagRuns", json=body))

    def note_success(self, run: DagRun) -> None:
        """Close a DAG run whose tasks have all succeeded; Airflow itself ignores the runs of a paused DAG."""
        self._call("PATCH", _run(run.dag_id, run.run_id), json={"state": "success"})

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        self._call("PATCH", _dag(dag_id), json={"is_paused": paused})

    def set_variable(self, name: str, value: str) -> None:
        """Create it, or replace its value."""
        path, body = f"/variables/{segment(name)}", {"key": name, "value": value}
        if self._call("PATCH", path, json=body, allowed=(404,), gone=None) is None:
            self._call("POST", "/variables", json=body)

    def parse_soon(self, dag_id: str) -> None:
        """Ask Airflow to parse the DAG's file before its turn. An Airflow that does not do this, or not for this user,
        parses it when its turn comes."""
        if token := self.dag(dag_id).get("file_token"):
            self._call("PUT", f"/parseDagFile/{segment(str(token))}", allowed=(403, 404, 405, 409), gone=None)

    def make_pool(self, name: str, slots: int) -> None:
        self._call("POST", "/pools", json={"name": name, "slots": slots}, allowed=(409,))


def _passes(error: BaseException) -> bool:
    """Whether an error is temporary, as a 5xx answer is: Airflow on SQLite gives one now and then."""
    return isinstance(error, NoAnswer) or (isinstance(error, Refusal) and not error.lasting)


def _dag(dag_id: str) -> str:
    return f"/dags/{segment(dag_id)}"


def _run(dag_id: str, run_id: str) -> str:
    return f"{_dag(dag_id)}/dagRuns/{segment(run_id)}"


def _instance(unit: Unit, run_id: str) -> str:
    return f"{_run(unit.dag_id, run_id)}/taskInstances/{segment(unit.task_id)}"
