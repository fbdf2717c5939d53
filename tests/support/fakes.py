"""A server that stands in for Airflow on loopback, spoken to over real HTTP.

It answers in the shapes of the stable REST API v1, and does not count who asks for its version.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pendulum
from typing_extensions import Self

LOGIN_PAGE = "<!doctype html><title>Sign in</title>"
PAGE_LIMIT = 100  # the most that Airflow returns, whatever the requested limit


class LoopbackServer:
    """Serves `answer` in a thread, on a free port, until the block is left."""

    def __init__(self) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body are two packets, and the second would wait 40 ms for the first to be acknowledged.
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                status, answer = fake.answer(self.command, self.path, body, self.headers)
                data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815 - http.server's own names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FakeAirflow(LoopbackServer):
    """`failures`: status codes of the next answers; `login_page`: what a proxy in front of Airflow shows;
    `operators`: the class name of the operator that a task is served with; `rendered`: the fields of a task in a run,
    by (DAG, run, task); `forbidden`: DAGs that may not be read, or are gone; `only`: the DAGs that it has, None for
    any; `meanwhile`: is called before each answer to a list of task instances, with how many there have been.
    `paused`: DAGs that are; `next_windows`: where the next window of a DAG begins; `dag_tasks`: operators by task;
    `before`: is called with method and path of each request; `xcoms`: of a task in a run, by (DAG, run, task) and key,
    made at `xcoms_at`. `triggered`: is called with DAG, run and conf of a run that was asked for. `docs`: by (DAG,
    task), None for an Airflow that does not tell them; `dag_tags`: by DAG."""

    def __init__(self, user: str = "admin", password: str = "admin") -> None:  # noqa: S107 - a fake's
        super().__init__()
        self.dag_runs: dict[tuple[str, str], dict[str, Any]] = {}
        self._tasks: dict[tuple[str, str, str, int], dict[str, Any]] = {}
        self.history: dict[tuple[str, str, str, int], list[dict[str, Any]]] = {}
        self.forbidden: set[str] = set()
        self.meanwhile: Callable[[int], None] = lambda lists: None
        self.lists = self._turn = 0
        self.dag_ids: list[str] = []
        self.only: set[str] | None = None
        self.paused: set[str] = set()
        self.next_windows: dict[str, str | None] = {}
        self.dag_tasks: dict[str, dict[str, str]] = {}
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.failures: list[int] = []
        self.login_page = False
        self.operators: Callable[[str, str], str] = lambda dag_id, task_id: "BashOperator"
        self.rendered: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        self.xcoms: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.xcoms_at = "2100-01-01T00:00:00+00:00"
        self.docs: dict[tuple[str, str], str] | None = {}
        self.dag_tags: dict[str, list[str]] = {}
        self.variables: dict[str, str] = {}
        self.triggered: Callable[[str, str, Mapping[str, Any]], None] = lambda dag_id, run_id, conf: None
        self.requests: list[str] = []
        self._credentials = base64.b64encode(f"{user}:{password}".encode()).decode()

    @property
    def tasks(self) -> list[dict[str, Any]]:
        return list(self._tasks.values())

    def add_run(
        self, dag_id: str, run_id: str, start: str | None, end: str | None, state: str = "success"
    ) -> str:
        """A DAG run with the data interval from `start` to `end`, ISO instants."""
        self.dag_runs[dag_id, run_id] = {
            "dag_id": dag_id,
            "dag_run_id": run_id,
            "run_type": "scheduled",
            "state": state,
            "logical_date": start,
            "data_interval_start": start,
            "data_interval_end": end,
            "start_date": end,
            "end_date": end,
        }
        return run_id

    def finish(
        self,
        dag_id: str,
        task_id: str,
        run_id: str,
        ended: pendulum.DateTime,
        *,
        state: str = "success",
        try_number: int = 1,
        map_index: int = -1,
        max_tries: int = 0,
        operator: str = "BashOperator",
    ) -> None:
        """A task instance that ended at that instant; a later try replaces an earlier one, which becomes history."""
        row = {
            "dag_id": dag_id,
            "task_id": task_id,
            "dag_run_id": run_id,
            "map_index": map_index,
            "state": state,
            "try_number": try_number,
            "start_date": ended.subtract(seconds=7).isoformat(),
            "end_date": ended.isoformat(),
            "duration": 7.0,
            "operator": operator,
            "max_tries": max_tries,
        }
        place = (dag_id, task_id, run_id, map_index)
        if before := self._tasks.pop(place, None):
            # As Airflow does: a try that will be retried is "failed" in the history.
            state = "failed" if before["state"] == "up_for_retry" else before["state"]
            self.history.setdefault(place, []).append({**before, "state": state})
        self._tasks[place] = row

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        if self.login_page:
            self.requests.append(f"{method} {path}")
            return 200, LOGIN_PAGE
        if path.endswith("/version"):
            old = path == "/api/v1/version"
            return (200, {"version": "2.11.2"}) if old else (404, "<title>Not found</title>")
        self.requests.append(f"{method} {path}")
        self.before(method, path)
        if self.failures:
            return self.failures.pop(0), {"title": "Internal Server Error", "detail": "database is locked"}
        if headers.get("Authorization") != f"Basic {self._credentials}":
            return 401, {"title": "Unauthorized", "status": 401}
        split = urlsplit(path)
        parts = [unquote(part) for part in split.path.removeprefix("/api/v1/").split("/")]
        asked = {name: values[0] for name, values in parse_qs(split.query).items()}
        match method, parts:
            case "GET", ["health"]:
                return 200, {"metadatabase": {"status": "healthy"}, "scheduler": {"status": "healthy"}}
            case "GET", ["dags"]:
                rows = [{"dag_id": dag_id} for dag_id in self.dag_ids]
                return 200, _page("dags", rows, int(asked["limit"]), int(asked["offset"]))
            case "GET", ["dags", dag_id] if self.only is not None and dag_id not in self.only:
                return 404, {"title": "DAG not found", "status": 404}
            case "GET" | "PATCH", ["dags", dag_id]:
                if method == "PATCH":
                    (self.paused.add if json.loads(body)["is_paused"] else self.paused.discard)(dag_id)
                return 200, self._dag(dag_id)
            case "GET" | "PATCH" | "POST", ["variables", *_]:
                return self._variable(method, parts[1:], body, asked)
            case "PUT", ["parseDagFile", _]:
                return 201, {}
            case "GET", ["dags", dag_id, "tasks"]:
                tasks = self.dag_tasks.get(dag_id, {}).items()
                served = [
                    {"task_id": name, "class_ref": {"class_name": operator}} for name, operator in tasks
                ]
                return 200, {"tasks": served, "total_entries": len(served)}
            case "POST", ["dags", dag_id, "dagRuns"]:
                asked = json.loads(body)
                self.add_run(
                    dag_id, f"manual__{asked['logical_date']}", asked["logical_date"], None, "queued"
                )
                self.triggered(dag_id, f"manual__{asked['logical_date']}", asked.get("conf") or {})
                return 200, self.dag_runs[dag_id, f"manual__{asked['logical_date']}"]
            case "GET", ["dags", dag_id, "dagRuns"]:
                states = parse_qs(split.query).get("state")
                rows = [
                    run
                    for run in self.dag_runs.values()
                    if run["dag_id"] == dag_id and (not states or run["state"] in states)
                ]
                rows.sort(key=lambda run: run["logical_date"], reverse=asked.get("order_by", "")[:1] == "-")
                return 200, _page("dag_runs", rows, int(asked["limit"]), int(asked.get("offset", 0)))
            case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances"]:
                rows = [self._row(task) for task in self.tasks if task["dag_run_id"] == run_id]
                rows = [row for row in rows if row["dag_id"] == dag_id]
                return 200, _page("task_instances", rows, int(asked["limit"]), int(asked["offset"]))
            case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "listMapped"]:
                rows = [
                    self._row(task)
                    for (*names, index), task in self._tasks.items()
                    if names == [dag_id, task_id, run_id] and index >= 0
                ]
                rows.sort(key=lambda row: row["map_index"])
                return 200, _page("task_instances", rows, int(asked["limit"]), int(asked["offset"]))
            case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances", "~", "xcomEntries"]:
                kept = [
                    {"dag_id": dag_id, "task_id": task_id, "key": key, "map_index": -1}
                    for (*names, task_id), xcoms in self.xcoms.items()
                    for key in xcoms
                    if names == [dag_id, run_id]
                ]
                return 200, _page("xcom_entries", kept, int(asked["limit"]), int(asked["offset"]))
            case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "xcomEntries", key]:
                xcoms = self.xcoms.get((dag_id, run_id, task_id), {})
                if key not in xcoms:
                    return 404, {"title": "XCom entry not found", "status": 404}
                value = xcoms[key] if asked.get("stringify") == "false" else str(xcoms[key])
                return 200, {"key": key, "value": value, "timestamp": self.xcoms_at}
            case "PATCH", ["dags", dag_id, "dagRuns", run_id] if (dag_id, run_id) in self.dag_runs:
                self.dag_runs[dag_id, run_id] |= json.loads(body)
                return 200, self.dag_runs[dag_id, run_id]
            case "POST", ["dags", "~", "dagRuns", "~", "taskInstances", "list"]:
                wanted = json.loads(body)
                if self.forbidden & set(wanted.get("dag_ids") or ()):
                    return 403, {"title": "Forbidden", "status": 403}
                return 200, self._listed(wanted)
            case "POST", ["dags", "~", "dagRuns", "list"]:
                return 200, self._listed_runs(json.loads(body))
            case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, *index, "tries"]:
                place = (dag_id, task_id, run_id, int(index[0]) if index else -1)
                tries = [
                    *self.history.get(place, ()),
                    *([self._tasks[place]] if place in self._tasks else ()),
                ]
                return 200, {"task_instances": tries, "total_entries": len(tries)}
            case "GET", ["dags", dag_id, "tasks", task_id]:
                docs = {} if self.docs is None else {"doc_md": self.docs.get((dag_id, task_id))}
                operator = {"class_name": self.operators(dag_id, task_id)}
                return 200, {"task_id": task_id, "class_ref": operator, **docs}
            case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id] if (
                dag_id, run_id, task_id,
            ) in self.rendered:  # fmt: skip
                return 200, {"rendered_fields": self.rendered[dag_id, run_id, task_id]}
            case "GET", ["dags", dag_id, "dagRuns", run_id] if (dag_id, run_id) in self.dag_runs:
                return 200, self.dag_runs[dag_id, run_id]
            case _:
                return 404, {"title": "Not Found", "status": 404, "detail": f"{method} {split.path}"}

    def _listed(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Unordered, like Airflow's own: each answer begins with another row."""
        self.lists += 1
        self.meanwhile(self.lists)
        states, dag_ids, task_ids = asked.get("state"), asked.get("dag_ids"), asked.get("task_ids")
        rows = [
            task
            for task in self.tasks
            if task["dag_id"] not in self.forbidden
            and (not dag_ids or task["dag_id"] in dag_ids)
            and (not task_ids or task["task_id"] in task_ids)
            and (not states or task["state"] in states)
            and _is_within(task, "start_date", asked)
            and _is_within(task, "end_date", asked)
        ]
        turn = 0 if asked.get("page_offset") else self.lists % (len(rows) or 1)
        self._turn = self._turn if asked.get("page_offset") else turn
        rows = rows[self._turn :] + rows[: self._turn]
        page = _page("task_instances", rows, asked.get("page_limit", PAGE_LIMIT), asked.get("page_offset", 0))
        return {**page, "task_instances": [self._row(task) for task in page["task_instances"]]}

    def _row(self, task: Mapping[str, Any]) -> dict[str, Any]:
        run = self.dag_runs.get((task["dag_id"], task["dag_run_id"]), {})
        fields = self.rendered.get((task["dag_id"], task["dag_run_id"], task["task_id"]), {})
        return {**task, "execution_date": run.get("logical_date"), "rendered_fields": fields}

    def _variable(
        self, method: str, name: Sequence[str], body: bytes, asked: Mapping[str, str]
    ) -> tuple[int, Any]:
        if method == "GET" and not name:
            rows = [{"key": key, "value": value} for key, value in self.variables.items()]
            return 200, _page("variables", rows, int(asked["limit"]), int(asked["offset"]))
        if name and name[0] not in self.variables:
            return 404, {"title": "Variable not found", "status": 404}
        if method != "GET":
            row = json.loads(body)
            self.variables[row["key"]] = row["value"]
            return 200, row
        return 200, {"key": name[0], "value": self.variables[name[0]]}

    def _dag(self, dag_id: str) -> dict[str, Any]:
        begins = self.next_windows.get(dag_id)
        return {
            "dag_id": dag_id,
            "file_token": f"{dag_id}.token",
            "is_paused": dag_id in self.paused,
            "next_dagrun_data_interval_start": begins,
            "tags": [{"name": name} for name in self.dag_tags.get(dag_id, ())],
        }

    def _listed_runs(self, asked: dict[str, Any]) -> dict[str, Any]:
        rows = [
            run
            for run in self.dag_runs.values()
            if run["dag_id"] not in self.forbidden
            and (not asked.get("dag_ids") or run["dag_id"] in asked["dag_ids"])
            and (not asked.get("states") or run["state"] in asked["states"])
            and _is_within(run, "logical_date", asked, asked_as="execution_date")
            and _is_within(run, "start_date", asked)
            and _is_within(run, "end_date", asked)
        ]
        return _page("dag_runs", rows, asked.get("page_limit", PAGE_LIMIT), asked.get("page_offset", 0))


def _is_within(row: Mapping[str, Any], name: str, asked: Mapping[str, Any], asked_as: str = "") -> bool:
    since, until = asked.get(f"{asked_as or name}_gte"), asked.get(f"{asked_as or name}_lte")
    if since is None and until is None:
        return True
    at = row[name] and _instant(row[name])
    return bool(at and (not since or at >= _instant(since)) and (not until or at <= _instant(until)))


@lru_cache(50_000)
def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _page(name: str, rows: Sequence[Any], limit: int, offset: int) -> dict[str, Any]:
    return {name: rows[offset : offset + min(limit, PAGE_LIMIT)], "total_entries": len(rows)}
