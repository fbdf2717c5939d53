"""A code server forks the workers of its runs from a process that has imported libraries, and nothing of a team's."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml

from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.adapters.dagster.forked_workers import fork_workers, starts_workers
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.components.project import PRELOADED
from tests.support import warm
from tests.support.estate import BIN, foreign_environment
from tests.support.instances import instance_for_test

DEFINITIONS = """
import atexit, json, os, sys
from pathlib import Path
import dagster as dg
from dagster_defs.components.project import load_project

AT_START = sorted(sys.modules)
PLACE = Path(__file__).parent.parent
INHERITED = os.environ.get("SET_WHILE_LOADING", "")
os.environ["SET_WHILE_LOADING"] = "set"

def note(name, found):
    unfinished = PLACE / f"{name}.part"
    unfinished.write_text(json.dumps(found))
    unfinished.rename(PLACE / f"{name}.json")

@dg.op
def work(context):
    from team import rules
    atexit.register(note, f"end-{context.run_id}", "atexit")
    note(context.run_id, {
        "pid": os.getpid(), "parent": os.getppid(), "rule": rules.RULE, "modules": AT_START, "cwd": os.getcwd(),
        "variable": os.environ["OF_THE_SERVER"], "inherited": INHERITED,
    })

@dg.job(executor_def=dg.in_process_executor)
def noted():
    work()

@dg.definitions
def defs():
    own = load_project(Path(__file__).parent)
    return dg.Definitions.merge(own, dg.Definitions(jobs=[noted]))
"""
CONFIGURATION = {
    "telemetry": {"enabled": False},
    # Without a daemon there is no queue.
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
}
ELSEWHERE = {
    "run_launcher": {
        "module": "dagster._core.test_utils",
        "class": "ExplodingRunLauncher",
    }
}
PYPROJECT = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "team"\n'


@dataclass
class CodeServer:
    """`pid`: of the process that starts the workers."""

    folder: Path
    pid: int

    def run(self) -> Any:
        """What the op of a run, launched as Dagster's own command does, has noted about its process; once it ended."""
        before = {*self.folder.glob("end-*.json")}
        command = ("job", "launch", "-w", str(self.folder / "workspace.yaml"), "-j", "noted")
        done = warm.run("dagster", *command, cwd=self.folder, env=_environment(self.folder), timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        until = time.monotonic() + 120
        while not (ended := {*self.folder.glob("end-*.json")} - before):
            assert time.monotonic() < until, self.log
            time.sleep(0.1)
        [end] = ended
        assert json.loads(end.read_text()) == "atexit"
        return json.loads((self.folder / end.name.removeprefix("end-")).read_text())

    @property
    def log(self) -> str:
        return (self.folder / "logs" / "code.log").read_text()

    def write_rule(self, rule: str) -> None:
        (self.folder / "team" / "rules.py").write_text(f"RULE = {rule!r}\n")


def _environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        **foreign_environment(),
        "DAGSTER_HOME": str(folder),
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OF_THE_SERVER": "set",
        **more,
    }


@contextmanager
def code_server(folder: Path, **more: str) -> Iterator[CodeServer]:
    """Dagster's own, as a container of a team's code starts it."""
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "team" / "defs").mkdir(parents=True)
    for package in ("team", "team/defs"):
        (folder / package / "__init__.py").touch()
    (folder / "team" / "definitions.py").write_text(DEFINITIONS)
    (folder / "dagster.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    port = free_port()
    location = {"host": "127.0.0.1", "port": port, "location_name": "team"}
    (folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": location}]}))
    with instance_at(folder):
        pass  # creates the storage
    with Supervisor(folder) as supervisor:
        command = [str(BIN / "dagster"), "api", "grpc", "-m", "team.definitions", "-p", str(port)]
        server = supervisor.start("code", command, env=_environment(folder, **more), cwd=folder)
        supervisor.wait_until(
            "code",
            lambda: "Started Dagster code server" in (folder / "logs" / "code.log").read_text(),
            seconds=120,
        )
        yield CodeServer(folder, server.process.pid)


@pytest.fixture(scope="module")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeServer]:
    with code_server(tmp_path_factory.mktemp("forking")) as server:
        yield server


def fork_servers_of(server: CodeServer) -> list[psutil.Process]:
    children = psutil.Process(server.pid).children()
    return [child for child in children if any("forkserver" in word for word in child.cmdline())]


def test_it_starts_once_the_definitions_are_loaded(forking: CodeServer) -> None:
    """Before any run: the first one does not wait for its imports."""
    until = time.monotonic() + 60
    while not fork_servers_of(forking):
        assert time.monotonic() < until, forking.log
        time.sleep(0.1)
    assert [*forking.folder.glob("end-*.json")] == []


@pytest.mark.parametrize(("launcher", "starts"), [({}, True), (ELSEWHERE, False)])
def test_where_runs_are_started_elsewhere_there_is_none(launcher: dict[str, Any], starts: bool) -> None:
    """A pod or a container of a run launcher has its own imports."""
    with instance_for_test(overrides=CONFIGURATION | launcher) as instance:
        assert starts_workers(SimpleNamespace(_instance=instance)) is starts
    assert not starts_workers(SimpleNamespace(_instance=None))


def test_workers_are_forked_with_the_libraries_imported(forking: CodeServer) -> None:
    """Two runs have one parent, which has imported Dagster, dbt and this package, and nothing of the team's."""
    forking.write_rule("first")
    runs = [forking.run() for _ in range(2)]

    [parent] = {run["parent"] for run in runs}
    assert parent != forking.pid
    assert psutil.Process(parent).ppid() == forking.pid
    assert runs[0]["pid"] != runs[1]["pid"]
    for run in runs:
        assert {"dbt.cli.main", "dagster_defs.components", "dagster._grpc.impl"} <= {*run["modules"]}
        assert {"team.rules"}.isdisjoint(run["modules"])
        assert run["cwd"] == str(forking.folder)
        assert (run["variable"], run["inherited"]) == ("set", "set")


def test_a_worker_imports_the_teams_code_as_it_is_now(forking: CodeServer) -> None:
    """A run sees what the team has changed since the last one, although both come from one process."""
    forking.write_rule("before")
    before = forking.run()
    forking.write_rule("after")
    after = forking.run()

    assert before["parent"] == after["parent"]
    assert (before["rule"], after["rule"]) == ("before", "after")


def test_a_fork_server_that_has_died_is_started_again(forking: CodeServer) -> None:
    """A run after the end of the process that workers are forked from gets a new one."""
    forking.write_rule("any")
    first = forking.run()["parent"]
    os.kill(first, signal.SIGKILL)

    second = forking.run()["parent"]

    assert second != first
    assert psutil.Process(second).ppid() == forking.pid


def test_the_process_that_is_forked_has_one_thread(forking: CodeServer) -> None:
    """What it has imported has started no thread: a fork would copy what the thread was holding."""
    forking.write_rule("any")

    assert psutil.Process(forking.run()["parent"]).num_threads() == 1


def test_it_ends_with_its_code_server(tmp_path: Path) -> None:
    """Killed, a code server leaves no process behind from which workers would be forked."""
    with code_server(tmp_path) as server:
        server.write_rule("any")
        parent = psutil.Process(server.run()["parent"])
        os.kill(server.pid, signal.SIGKILL)

        gone, _ = psutil.wait_procs([parent], timeout=60)

    assert gone == [parent]


def test_a_team_can_keep_dagsters_own_workers(tmp_path: Path) -> None:
    """With PARITY_FORKED_WORKERS=0 each worker is a child of the code server, and imports what it needs itself."""
    with code_server(tmp_path, PARITY_FORKED_WORKERS="0") as server:
        server.write_rule("any")
        run = server.run()

    assert run["parent"] == server.pid
    assert "dbt.cli.main" not in run["modules"]


def test_nothing_changes_outside_a_code_server() -> None:
    """In a command, or in the worker itself, there is no server among the callers, and nothing is changed."""
    assert not fork_workers(PRELOADED)
