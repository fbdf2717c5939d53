"""Dagsters that misbehave on purpose: one that is made up, and a gateway in front of a real one."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from tests.support.fake_dagster import FakeDagster
from tests.support.fakes import LOGIN_PAGE, LoopbackServer

ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class HangsUp(ConnectionError):
    """The connection is closed without an answer."""


@dataclass
class Fault:
    """The fault that the next `times` requests with `where` in their body meet.

    `answer`: a status and a body, or None for a connection that is closed. `arrives`: the request is carried out
    before that; its answer is lost.
    """

    where: str
    answer: tuple[int, Any] | None = None
    times: int = 1
    arrives: bool = False


LOGIN = (200, LOGIN_PAGE)
BAD_GATEWAY = (502, "<html>Bad gateway</html>")


@dataclass
class Faults:
    planned: list[Fault] = field(default_factory=list)
    met: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes) -> Fault | None:
        with self._lock:
            for fault in self.planned:
                if fault.times > 0 and fault.where in body.decode():
                    fault.times -= 1
                    self.met += 1
                    return fault
        return None

    def answer(self, body: bytes, real: Callable[[], tuple[int, Any]]) -> tuple[int, Any]:
        fault = self.take(body)
        if fault is None:
            return real()
        if fault.arrives:
            real()
        if fault.answer is None:
            raise HangsUp
        return fault.answer


@dataclass
class KnownRun:
    run_id: str
    status: str
    tags: dict[str, str]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that is closed on purpose is not reported."""


class UnrulyDagster(FakeDagster):
    """Knows its runs by id and by tag, ends them on request, and meets `faults`.

    `port`: a given one, for a server that comes up late.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        handler = self._server.RequestHandlerClass
        self._server.server_close()
        self._server = _Quiet(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.faults = Faults()
        self.runs: list[KnownRun] = []
        self.tags_of_runs: dict[str, str] = {}  # that each run gives itself
        self.terminations: list[tuple[str, str]] = []
        self.ends_as: str | None = (
            "CANCELED"  # the status that a termination gives a run; None: it is refused
        )
        self.not_loaded: list[str] = []

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        self.headers = dict(headers)
        return self.faults.answer(
            body, lambda: super(UnrulyDagster, self).answer(method, path, body, headers)
        )

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "terminateRun" in query:
            return {"terminateRun": self._terminate(variables["runId"], variables["policy"])}
        if "runsOrError" in query:
            wanted = variables["tag"]
            matching = [run for run in reversed(self.runs) if run.tags.get(wanted["key"]) == wanted["value"]]
            return {"runsOrError": {"__typename": "Runs", "results": [_shown(run) for run in matching]}}
        if "runOrError" in query:
            for run in self.runs:
                if run.run_id == variables["runId"]:
                    return {"runOrError": {"__typename": "Run", **_shown(run)}}
            return {"runOrError": {"__typename": "RunNotFoundError", "message": "no such run"}}
        answer = super()._data(query, variables)
        for entry in answer.get("workspaceOrError", {}).get("locationEntries", ()):
            if self.not_loaded:
                entry["locationOrLoadError"] = {"__typename": "PythonError", "message": self.not_loaded.pop()}
        return answer

    def _launch(self, params: dict[str, Any]) -> dict[str, Any]:
        answer = super()._launch(params)
        if "run" in answer:
            tags = {**self.launches[-1].tags, **self.tags_of_runs}
            self.runs.append(KnownRun(answer["run"]["id"], self.run_status, tags))
        return answer

    def _terminate(self, run_id: str, policy: str) -> dict[str, Any]:
        self.terminations.append((run_id, policy))
        status = self.ends_as if policy == "SAFE_TERMINATE" else "CANCELED"
        if status:
            next(run for run in self.runs if run.run_id == run_id).status = status
            return {"__typename": "TerminateRunSuccess"}
        return {"__typename": "TerminateRunFailure", "message": "Unable to terminate run"}


class Gateway(LoopbackServer):
    """Stands in front of a real Dagster, and passes on requests that meet no fault."""

    def __init__(self, real: str) -> None:
        super().__init__()
        handler = self._server.RequestHandlerClass
        self._server.server_close()
        self._server = _Quiet(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.real = real
        self.faults = Faults()

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        return self.faults.answer(body, lambda: ask(self.real, path, body))


def ask(url: str, path: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(f"{url}{path}", body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 - loopback
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:  # Dagster's own errors come with a body, too
        return error.code, json.loads(error.read())


def _shown(run: KnownRun) -> dict[str, Any]:
    tags = [{"key": key, "value": value} for key, value in run.tags.items()]
    return {"runId": run.run_id, "status": run.status, "tags": tags}
