"""Servers that stand in for Airflow and Dagster on loopback, spoken to over real HTTP.

`FakeAirflow` answers in the shapes of the stable REST API v1. `FakeDagster` refuses every query that Dagster's own
GraphQL schema would refuse, so that it cannot be more lenient than the real thing.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import pendulum

LOGIN_PAGE = "<!doctype html><title>Sign in</title>"
PAGE_LIMIT = 100  # what Airflow gives at most, whatever is asked for


class LoopbackServer:
    """Serves `answer` in a thread, on a free port, until the block is left."""

    def __init__(self) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

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
    by (DAG, run, task)."""

    def __init__(self, user: str = "admin", password: str = "admin") -> None:  # noqa: S107 - a fake's
        super().__init__()
        self.dag_runs: dict[tuple[str, str], dict[str, Any]] = {}
        self.tasks: list[dict[str, Any]] = []
        self.dag_ids: list[str] = []
        self.failures: list[int] = []
        self.login_page = False
        self.operators: Callable[[str, str], str] = lambda dag_id, task_id: "BashOperator"
        self.rendered: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        self.requests: list[str] = []
        self._credentials = base64.b64encode(f"{user}:{password}".encode()).decode()

    def add_run(
        self, dag_id: str, run_id: str, start: str | None, end: str | None, state: str = "success"
    ) -> str:
        """A DAG run with the data interval from `start` to `end`, ISO instants."""
        self.dag_runs[dag_id, run_id] = {
            "dag_id": dag_id,
            "dag_run_id": run_id,
            "state": state,
            "logical_date": start,
            "data_interval_start": start,
            "data_interval_end": end,
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
    ) -> None:
        """A task instance that ended at that instant; a later try replaces an earlier one, as in Airflow."""
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
            "operator": "BashOperator",
        }
        same = ("dag_id", "task_id", "dag_run_id", "map_index")
        self.tasks = [task for task in self.tasks if any(task[name] != row[name] for name in same)] + [row]

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        self.requests.append(f"{method} {path}")
        if self.login_page:
            return 200, LOGIN_PAGE
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
            case "POST", ["dags", "~", "dagRuns", "~", "taskInstances", "list"]:
                return 200, self._listed(json.loads(body))
            case "GET", ["dags", dag_id, "tasks", task_id]:
                return 200, {"task_id": task_id, "class_ref": {"class_name": self.operators(dag_id, task_id)}}
            case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id] if (
                dag_id, run_id, task_id,
            ) in self.rendered:  # fmt: skip
                return 200, {"rendered_fields": self.rendered[dag_id, run_id, task_id]}
            case "GET", ["dags", dag_id, "dagRuns", run_id] if (dag_id, run_id) in self.dag_runs:
                return 200, self.dag_runs[dag_id, run_id]
            case _:
                return 404, {"title": "Not Found", "status": 404, "detail": f"{method} {split.path}"}

    def _listed(self, asked: dict[str, Any]) -> dict[str, Any]:
        def is_since(task: dict[str, Any], name: str) -> bool:
            since = asked.get(f"{name}_gte")
            return since is None or pendulum.parse(task[name]) >= pendulum.parse(since)  # type: ignore[operator]  # instants

        rows = [
            task
            for task in self.tasks
            if task["dag_id"] in asked["dag_ids"]
            and task["task_id"] in asked.get("task_ids", [task["task_id"]])
            and task["state"] in asked.get("state", [task["state"]])
            and is_since(task, "start_date")
            and is_since(task, "end_date")
        ]
        return _page("task_instances", rows, asked["page_limit"], asked["page_offset"])


def _page(name: str, rows: Sequence[Any], limit: int, offset: int) -> dict[str, Any]:
    return {name: rows[offset : offset + min(limit, PAGE_LIMIT)], "total_entries": len(rows)}


@dataclass
class Launch:
    """What somebody asked Dagster to run."""

    selector: dict[str, str]
    tags: dict[str, str]


@dataclass
class Job:
    """A job as the fake knows it; `tags` are those that a unit's job carries."""

    name: str
    tags: dict[str, str] = field(default_factory=dict)
    location: str = "parity"


class FakeDagster(LoopbackServer):
    """Runs end at once as `run_status`; `refusal` is what a launch is answered with instead of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []
        self.launches: list[Launch] = []
        self.run_status = "SUCCESS"
        self.refusal: dict[str, Any] | None = None
        self.failure_events: list[dict[str, Any]] = []
        self.listed: list[dict[str, Any]] = []
        self.terminated: list[str] = []
        self.sick_daemons: list[str] = []
        self.login_page = False

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        if self.login_page:
            return 200, LOGIN_PAGE
        asked = json.loads(body)
        if errors := _errors_of_query(asked["query"]):
            return 400, {"errors": [{"message": error} for error in errors]}
        return 200, {"data": self._data(asked["query"], asked.get("variables") or {})}

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "launchPipelineExecution" in query:
            return {"launchPipelineExecution": self._launch(*variables.values())}
        if "logsForRun" in query:
            return {"logsForRun": {"__typename": "EventConnection", "events": self.failure_events}}
        if "daemonHealth" in query:
            kinds = ["SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR"]
            rows = [{"daemonType": k, "required": True, "healthy": k not in self.sick_daemons} for k in kinds]
            return {"instance": {"daemonHealth": {"allDaemonStatuses": rows}}}
        if "terminateRuns" in query:
            self.terminated += variables["ids"]
            return {"terminateRuns": {"__typename": "TerminateRunsResult"}}
        if "runsOrError" in query:
            return {"runsOrError": {"__typename": "Runs", "results": self._listed(**variables)}}
        if "runOrError" in query:
            tags = [{"key": key, "value": value} for key, value in self.launches[-1].tags.items()]
            return {"runOrError": {"__typename": "Run", "status": self.run_status, "tags": tags}}
        if "pipelineOrError" in query:
            return {"pipelineOrError": self._job(variables["selector"])}
        locations = sorted({job.location for job in self.jobs} | {"parity"})
        if "workspaceOrError" in query:
            repositories = [{"name": "__repository__"}]
            loaded = {"__typename": "RepositoryLocation", "repositories": repositories}
            rows = [
                {"name": name, "loadStatus": "LOADED", "locationOrLoadError": loaded} for name in locations
            ]
            return {"workspaceOrError": {"__typename": "Workspace", "locationEntries": rows}}
        nodes = [{"name": "__repository__", "location": {"name": name}} for name in locations]
        return {"repositoriesOrError": {"__typename": "RepositoryConnection", "nodes": nodes}}

    def list_run(self, run_id: str, status: str, seconds: float | None = None, /, **tags: str) -> None:
        """A run with these tags, `parity_unit` for `parity/unit`; `seconds` is how long it took."""
        rows = [{"key": name.replace("_", "/", 1), "value": value} for name, value in tags.items()]
        end = None if seconds is None else 1000.0 + seconds
        self.listed.append(
            {"runId": run_id, "status": status, "startTime": 1000.0, "endTime": end, "tags": rows}
        )

    def _listed(self, filter: dict[str, Any], limit: int) -> list[dict[str, Any]]:  # noqa: A002 - GraphQL's name
        return [
            run
            for run in self.listed
            if run["status"] in filter["statuses"] and all(tag in run["tags"] for tag in filter["tags"])
        ][:limit]

    def _launch(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            return self.refusal
        tags = {tag["key"]: tag["value"] for tag in params["executionMetadata"]["tags"]}
        self.launches.append(Launch(params["selector"], tags))
        return {"__typename": "LaunchRunSuccess", "run": {"id": f"run-{len(self.launches)}"}}

    def _job(self, selector: dict[str, str]) -> dict[str, Any]:
        for job in self.jobs:
            if (job.name, job.location) == (selector["pipelineName"], selector["repositoryLocationName"]):
                tags = [{"key": key, "value": value} for key, value in job.tags.items()]
                return {"__typename": "Pipeline", "name": job.name, "tags": tags}
        return {"__typename": "PipelineNotFoundError", "message": "no such job"}


@cache
def _schema() -> Any:
    from dagster_graphql.schema import create_schema

    return create_schema().graphql_schema


def _errors_of_query(query: str) -> list[str]:
    from graphql import parse, validate

    return [error.message for error in validate(_schema(), parse(query))]
