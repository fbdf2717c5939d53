"""A real Dagster of three processes, code server, web server and daemon, each of which can be killed and started again.

The daemon starts runs from a queue, and marks those that do not end on request (run monitoring).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.adapters.processes.supervisor import Child, Supervisor, free_port
from tests.legacy_dags.handover.conftest import Started
from tests.support.estate import BIN, ROOT, foreign_environment
from tests.support.unruly_dagsters import ask

RUNS = "{ runsOrError { ... on Runs { results { status tags { key value } } } } }"
LOCATIONS = (
    "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
)
CONFIGURATION = {
    "telemetry": {"enabled": False},
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {"dequeue_interval_seconds": 1},
    },
    # Where it is switched on, Dagster does the same after three minutes, checking every second minute.
    "run_monitoring": {"enabled": True, "poll_interval_seconds": 1, "cancel_timeout_seconds": 2},
}


@dataclass
class KillableDagster:
    """`folder`: where the units note what they do, and look for the file `go` that lets them end."""

    folder: Path
    supervisor: Supervisor
    port: int = field(default_factory=free_port)
    code_port: int = field(default_factory=free_port)
    running: dict[str, Child] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        """Start `code`, `web` or `daemon`, on the same port if it ran before."""
        workspace = ("-w", str(self.folder / "workspace.yaml"))
        place = ("-h", "127.0.0.1", "-p")
        programs = {
            "code": ["dagster", "code-server", "start", "-f", str(Path(__file__).with_name("real_dagster.py")),
                     *place, str(self.code_port)],
            "web": ["dagster-webserver", *place, str(self.port), *workspace],
            "daemon": ["dagster-daemon", "run", *workspace],
        }  # fmt: skip
        program, *arguments = programs[name]
        # Each start has its own log.
        life = f"{name}-{len(self.supervisor.children)}"
        self.running[name] = self.supervisor.start(life, [str(BIN / program), *arguments], env=self._env)

    def kill(self, name: str, *and_these: int) -> None:
        """Kill with SIGKILL, so that nothing is tidied up."""
        child = self.running.pop(name)
        for pid in (child.process.pid, *and_these):
            os.kill(pid, signal.SIGKILL)
        child.process.wait(30)

    def below(self, name: str) -> list[int]:
        """All descendant processes of a server."""
        return [each.pid for each in psutil.Process(self.running[name].process.pid).children(recursive=True)]

    def is_loaded(self) -> bool:
        """Whether the web server knows the jobs, and the current code server answers."""
        try:
            socket.create_connection(("127.0.0.1", self.code_port), 5).close()
            entries = self._ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except OSError:
            return False
        return [entry["locationOrLoadError"]["__typename"] for entry in entries] == ["RepositoryLocation"]

    def runs(self, day: str) -> list[str]:
        """The states of the runs of a day, oldest first; of all days if `day` is empty."""
        return [
            run["status"]
            for run in reversed(self._ask(RUNS)["runsOrError"]["results"])
            if not day or {"key": "dagster/partition", "value": day} in run["tags"]
        ]

    def noted(self, what: str) -> list[str]:
        file = self.folder / what
        return file.read_text().splitlines() if file.exists() else []

    def forget(self) -> None:
        for file in ("go", "began", "ended", "checked"):
            (self.folder / file).unlink(missing_ok=True)

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def wait(self, fact: Callable[[], bool], seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while not fact():
            for child in self.running.values():
                child.check_alive()
            assert time.monotonic() < until, f"not after {seconds} s"
            time.sleep(0.1)

    def wait_for_work(self, started: Started | None = None, runs: int = 1) -> int:
        """Wait until so many runs have begun their work; returns the process of the last one."""

        def has_begun() -> bool:
            assert started is None or started.process.poll() is None, started and started.log()
            return len(self.noted("began")) == runs

        self.wait(has_begun)
        return int(self.noted("began")[-1].split()[-1])

    def _ask(self, query: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
        _, answer = ask(self.url, "/graphql", json.dumps({"query": query}).encode())
        data: dict[str, dict[str, list[dict[str, Any]]]] = answer["data"]
        return data

    @property
    def _env(self) -> dict[str, str]:
        return {
            **foreign_environment(),
            "DAGSTER_HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "HELD_UP_FOLDER": str(self.folder),
            "PARITY_STORE": f"file:{self.folder}",
            "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
        }


@contextmanager
def killable_dagster(folder: Path) -> Iterator[KillableDagster]:
    """All three, once they run and know the jobs. At the end no process is left, orphans included."""
    with Supervisor(folder) as supervisor:
        dagster = KillableDagster(folder, supervisor)
        (folder / "dagster.yaml").write_text(yaml.safe_dump(CONFIGURATION))
        location = {"host": "127.0.0.1", "port": dagster.code_port, "location_name": "held_up"}
        (folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": location}]}))
        with instance_at(folder):
            pass  # creates the storage: three processes that create it at once would break it
        for name in ("code", "web", "daemon"):
            dagster.start(name)
        dagster.wait(dagster.is_loaded)
        yield dagster
