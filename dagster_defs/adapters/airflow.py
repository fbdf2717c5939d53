"""Airflow's stable REST API (v1, Airflow 2.x), as far as observing and driving need it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pendulum
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from dagster_defs.errors import AirflowUnreachable
from dagster_defs.lifecycle import Unit
from dagster_defs.windows import Window

PAGE = 100  # Airflow's own default for `maximum_page_limit`
UNDER_WAY = ("running", "restarting", "deferred", "up_for_reschedule")
FINISHED = ("success", "failed", "skipped", "upstream_failed")
RETRIED = "up_for_retry"  # the try has failed, and Airflow waits before the next
COMMANDS = (
    "bash_command",
    "command",
    "cmds",
    "arguments",
    "sql",
    "op_kwargs",
)  # what a task renders and then runs
COMMAND_LENGTH = 2_000
CROWD = 1_000  # rows that are asked for at once where many tasks end in one instant


@dataclass(frozen=True, slots=True)
class DagRun:
    """`window` is None where the run has no data interval, or an empty one."""

    dag_id: str
    run_id: str
    state: str
    window: Window | None
    end: pendulum.DateTime | None

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> DagRun:
        start, end = _instant(row.get("data_interval_start")), _instant(row.get("data_interval_end"))
        window = Window(start, end) if start and end and start < end else None
        return cls(row["dag_id"], row["dag_run_id"], row["state"], window, _instant(row.get("end_date")))


@dataclass(frozen=True, slots=True)
class TaskInstance:
    """One finished (or running) try of a task; `map_index` is -1 for a task that is not mapped.

    `command`: what Airflow rendered, with its own masks, cut to a bound; empty where Airflow keeps it no longer.
    """

    unit: Unit
    run_id: str
    map_index: int
    state: str
    try_number: int
    start: pendulum.DateTime | None
    end: pendulum.DateTime | None
    duration: float | None
    operator: str
    logical_date: pendulum.DateTime | None = None
    command: str = ""

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> TaskInstance:
        return cls(
            unit=Unit(row["dag_id"], row["task_id"]),
            run_id=row["dag_run_id"],
            map_index=row.get("map_index", -1),
            state=row["state"] or "none",
            try_number=row.get("try_number") or 0,
            start=_instant(row.get("start_date")),
            end=_instant(row.get("end_date")),
            duration=row.get("duration"),
            operator=row.get("operator") or "",
            logical_date=_instant(row.get("execution_date")),
            command=_command(row.get("rendered_fields")),
        )

    @property
    def identity(self) -> str:
        """The same for the same try of the same task, whenever it is read."""
        return f"{self.of_try}|{self.end}"

    @property
    def of_try(self) -> str:
        """The same also if the end was noted in two ways, in the list and in the history of tries."""
        return f"{self.unit}|{self.run_id}|{self.map_index}|{self.try_number}"


@dataclass(frozen=True, slots=True)
class AirflowAddress:
    """Where Airflow is and who asks; taken from AIRFLOW_URL, AIRFLOW_USER and AIRFLOW_PASSWORD."""

    url: str
    user: str
    password: str

    @classmethod
    def from_environment(cls) -> AirflowAddress:
        return cls(
            os.environ.get("AIRFLOW_URL", "http://127.0.0.1:8080").rstrip("/"),
            os.environ.get("AIRFLOW_USER", "admin"),
            os.environ.get("AIRFLOW_PASSWORD", "admin"),
        )

    def link(self, unit: Unit, run_id: str) -> str:
        """The page of a task's run in Airflow's UI."""
        return f"{self.url}/dags/{unit.dag_id}/grid?dag_run_id={run_id}&task_id={unit.task_id}"


class AirflowClient:
    """Every call raises AirflowUnreachable, with the reason, if Airflow does not answer as it should."""

    def __init__(self, address: AirflowAddress, *, patience: float = 10) -> None:
        """`patience`: seconds for which a call that got no answer, or a 5xx one, is tried again."""
        self.address = address
        self._patience = patience
        self._http = httpx.Client(
            base_url=f"{address.url}/api/v1",
            auth=(address.user, address.password),
            timeout=20,
            trust_env=False,
        )

    def is_healthy(self) -> bool:
        """Whether the web server answers and the scheduler has a heartbeat; never raises."""
        try:
            health = self._http.get("/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        return bool(health.get("scheduler", {}).get("status") == "healthy")

    def dags(self) -> list[Mapping[str, Any]]:
        return list(self._pages("GET", "/dags", "dags"))

    def import_errors(self) -> list[Mapping[str, Any]]:
        return list(self._pages("GET", "/importErrors", "import_errors"))

    def tasks(self, dag_id: str) -> list[Mapping[str, Any]]:
        tasks: list[Mapping[str, Any]] = self._call("GET", f"/dags/{dag_id}/tasks")["tasks"]
        return tasks

    def dag_runs(self, dag_id: str) -> list[DagRun]:
        rows = self._pages("GET", f"/dags/{dag_id}/dagRuns", "dag_runs", {"order_by": "execution_date"})
        return [DagRun.parse(row) for row in rows]

    def dag_run(self, dag_id: str, run_id: str) -> DagRun:
        return DagRun.parse(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        rows = self._pages("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")
        return [TaskInstance.parse(row) for row in rows]

    def finished_task_instances(
        self, dag_ids: Sequence[str], since: datetime, before: datetime | None = None
    ) -> Iterator[TaskInstance]:
        """Every try of these DAGs that ended in [since, before), whatever became of its DAG run.

        The pages have no order, and rows that come in meanwhile shift them: ask for what lies in the past.
        """
        offset = 0
        while True:
            rows, total, read = self._finished(dag_ids, since, before, CROWD, offset)
            yield from rows
            offset += read
            if not read or offset >= total:
                return

    def finished_page(
        self, dag_ids: Sequence[str], since: datetime, before: datetime | None = None
    ) -> tuple[list[TaskInstance], int]:
        """One answer: tries that ended in [since, before), and how many there are. Whole if it has them all."""
        rows, total, read = self._finished(dag_ids, since, before, PAGE, 0)
        return rows, total - (read - len(rows))

    def _finished(
        self, dag_ids: Sequence[str], since: datetime, before: datetime | None, limit: int, offset: int
    ) -> tuple[list[TaskInstance], int, int]:
        """The rows of these DAGs, how many there are, and how many rows were read for them."""
        path = "/dags/~/dagRuns/~/taskInstances/list"
        wanted: dict[str, Any] = {
            "end_date_gte": since.isoformat(),
            "state": [*FINISHED, RETRIED],
            "page_limit": limit,
            "page_offset": offset,
        }
        if before:
            wanted["end_date_lte"] = (before - timedelta(microseconds=1)).isoformat()
        answer = self._call("POST", path, json={**wanted, "dag_ids": list(dag_ids)}, allowed=(403,))
        if "task_instances" not in answer:
            # One DAG that may not be read, or is gone, costs the whole list: then ask for all that may be.
            answer = self._call("POST", path, json=wanted)
        rows = answer["task_instances"]
        found = [TaskInstance.parse(row) for row in rows if row["dag_id"] in dag_ids]
        return found, answer["total_entries"], len(rows)

    def dag_runs_between(
        self, dag_ids: Sequence[str], first: datetime, last: datetime, pages: int
    ) -> Iterator[DagRun]:
        """Runs of these DAGs with a logical date in [first, last], so many pages of them at most."""
        wanted = {
            "dag_ids": list(dag_ids),
            "execution_date_gte": first.isoformat(),
            "execution_date_lte": last.isoformat(),
            "order_by": "execution_date",
            "page_limit": PAGE,
        }
        for page in range(pages):
            answer = self._call("POST", "/dags/~/dagRuns/list", json={**wanted, "page_offset": page * PAGE})
            yield from map(DagRun.parse, answer["dag_runs"])
            if (page + 1) * PAGE >= answer["total_entries"]:
                return

    def find_dag_run(self, dag_id: str, run_id: str) -> DagRun | None:
        """None if it is gone, or its DAG is."""
        row = self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}", allowed=(403, 404))
        return DagRun.parse(row) if "dag_run_id" in row else None

    def earlier_tries(self, task: TaskInstance) -> list[TaskInstance]:
        """The tries before this one that Airflow remembers, the first first; Airflow before 2.10 remembers none."""
        if task.try_number <= 1:
            return []
        mapped = f"/{task.map_index}" if task.map_index >= 0 else ""
        instance = f"/dags/{task.unit.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.unit.task_id}{mapped}"
        answer = self._call("GET", f"{instance}/tries", allowed=(403, 404))
        tries = [TaskInstance.parse(row) for row in answer.get("task_instances", ())]
        return sorted(
            (one for one in tries if one.try_number < task.try_number), key=lambda one: one.try_number
        )

    def started_task_instances(self, unit: Unit, since: datetime) -> Iterator[TaskInstance]:
        """The task's instances, of whatever run, whose last try started at or after `since`."""
        yield from self._listed(
            {"dag_ids": [unit.dag_id], "task_ids": [unit.task_id], "start_date_gte": since.isoformat()}
        )

    def task(self, unit: Unit) -> Mapping[str, Any]:
        """The task as Airflow serves it, from the last time that the DAG was parsed."""
        found: Mapping[str, Any] = self._call("GET", f"/dags/{unit.dag_id}/tasks/{unit.task_id}")
        return found

    def task_instances_in(
        self, unit: Unit, states: Sequence[str], since: datetime | None = None
    ) -> Iterator[TaskInstance]:
        """The task's instances, of whatever run, in one of these states; `since`: that started then or later."""
        wanted: dict[str, Any] = {"dag_ids": [unit.dag_id], "task_ids": [unit.task_id], "state": list(states)}
        yield from self._listed(wanted if since is None else wanted | {"start_date_gte": since.isoformat()})

    def _listed(self, wanted: Mapping[str, Any]) -> Iterator[TaskInstance]:
        offset = 0
        while True:
            answer = self._call(
                "POST",
                "/dags/~/dagRuns/~/taskInstances/list",
                json={**wanted, "page_limit": PAGE, "page_offset": offset},
            )
            rows = answer["task_instances"]
            yield from map(TaskInstance.parse, rows)
            offset += len(rows)
            if not rows or offset >= answer["total_entries"]:
                return

    def trigger(self, dag_id: str, window: Window) -> DagRun:
        """A manual run whose data interval is the window."""
        start, end = window.start.isoformat(), window.end.isoformat()
        body = {"logical_date": start, "data_interval_start": start, "data_interval_end": end}
        return DagRun.parse(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body))

    def dag(self, dag_id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._call("GET", f"/dags/{dag_id}")
        return found

    def next_window_start(self, dag_id: str) -> pendulum.DateTime | None:
        """Where the window of the next scheduled run begins; None where the DAG has ended or has no schedule."""
        return _instant(self.dag(dag_id).get("next_dagrun_data_interval_start"))

    def live_dag_runs(self, dag_id: str) -> list[DagRun]:
        rows = self._pages("GET", f"/dags/{dag_id}/dagRuns", "dag_runs", {"state": ["queued", "running"]})
        return [DagRun.parse(row) for row in rows]

    def newest_scheduled_run(self, dag_id: str) -> DagRun | None:
        """The last run that Airflow's own schedule has made."""
        params = {"order_by": "-execution_date", "limit": PAGE}
        rows = self._call("GET", f"/dags/{dag_id}/dagRuns", params=params)["dag_runs"]
        scheduled = (DagRun.parse(row) for row in rows if row.get("run_type") == "scheduled")
        return next(scheduled, None)

    def note_success(self, run: DagRun) -> None:
        """Close a DAG run whose tasks have all succeeded. Airflow itself does not look at runs of a paused DAG."""
        self._call("PATCH", f"/dags/{run.dag_id}/dagRuns/{run.run_id}", json={"state": "success"})

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def make_pool(self, name: str, slots: int) -> None:
        self._call("POST", "/pools", json={"name": name, "slots": slots}, allowed=(409,))

    def rendered_fields(self, unit: Unit, run_id: str) -> Mapping[str, Any]:
        """The templated fields of the task in that run, as Airflow rendered them; empty for a mapped task."""
        path = f"/dags/{unit.dag_id}/dagRuns/{run_id}/taskInstances/{unit.task_id}"
        found: Mapping[str, Any] = self._call("GET", path).get("rendered_fields") or {}
        return found

    def log_of(self, task: TaskInstance) -> str:
        instance = f"/dags/{task.unit.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.unit.task_id}"
        path = f"{instance}/logs/{task.try_number}"
        return self._http.get(path, headers={"Accept": "text/plain"}).text

    def _pages(
        self, method: str, path: str, name: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        offset = 0
        while True:
            answer = self._call(method, path, params={**(params or {}), "limit": PAGE, "offset": offset})
            yield from answer[name]
            offset += len(answer[name])
            if not answer[name] or offset >= answer["total_entries"]:
                return

    def _call(self, method: str, path: str, *, allowed: Sequence[int] = (), **request: Any) -> Any:
        waiting = Retrying(
            stop=stop_after_delay(self._patience),
            wait=wait_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception_type((httpx.TransportError, _TryAgain)),
            reraise=True,
        )
        try:
            answer = waiting(self._once, method, path, **request)
        except (httpx.HTTPError, _TryAgain) as error:
            raise AirflowUnreachable(self.address.url, str(error) or type(error).__name__) from error
        if answer.status_code >= 400 and answer.status_code not in allowed:
            reason = f"{method} {path} answered {answer.status_code} {answer.text[:200].strip()}"
            raise AirflowUnreachable(self.address.url, reason)
        if not answer.content:
            return {}
        try:
            return answer.json()
        except ValueError as error:
            if answer.status_code >= 400:  # allowed, and said by something in front of Airflow
                return {}
            reason = f"{method} {path} answered with a page instead of JSON (a login page?)"
            raise AirflowUnreachable(self.address.url, reason) from error

    def _once(self, method: str, path: str, **request: Any) -> httpx.Response:
        answer = self._http.request(method, path, **request)
        if answer.status_code >= 500:
            raise _TryAgain(f"{method} {path} answered {answer.status_code}")
        return answer


class _TryAgain(Exception):
    """A 5xx answer: Airflow on SQLite gives one now and then."""


def _command(rendered: Any) -> str:
    """Of the rendered fields those that say what was run: not the environment, where secrets are."""
    fields = rendered if isinstance(rendered, Mapping) else {}
    said = {name: fields[name] for name in COMMANDS if fields.get(name)}
    if not said:
        return ""
    [*texts] = said.values()
    whole = texts[0] if len(texts) == 1 and isinstance(texts[0], str) else json.dumps(said, default=str)
    return whole if len(whole) <= COMMAND_LENGTH else f"{whole[: COMMAND_LENGTH - 1]}…"


def _instant(text: str | None) -> pendulum.DateTime | None:
    if not text:
        return None
    parsed = pendulum.parse(text)
    assert isinstance(parsed, pendulum.DateTime), text  # noqa: S101 - the API writes ISO instants only
    return parsed.in_timezone("UTC")
