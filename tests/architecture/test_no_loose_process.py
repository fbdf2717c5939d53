"""A process that is started and not waited for ends with its parent: the guardian's `start` is the only door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.estate import ROOT

# What starts a process that goes on beside its parent.
STARTING = frozenset(
    {"Popen", "create_subprocess_exec", "create_subprocess_shell", "popen", "posix_spawn", "posix_spawnp"}
    | {"fork", "forkpty", "spawnl", "spawnle", "spawnlp", "spawnv", "spawnve", "spawnvp", "spawnvpe"}
)
WITH_A_REASON = {
    "dagster_defs/adapters/processes/guardian.py": "the guardian itself, and the door",
    "tests/support/warm.py": "the server that forks has the guardian, which ends what it has forked too",
    "tests/support/warm_airflow.py": "the server that forks has the guardian, which ends what it has forked too",
    "tests/journeys/test_waiting_in_airflow.py": "what it forks is one tick, which is killed, and it waits for that",
    "tests/components/alerts/test_what_is_told.py": "what it forks kills itself, and it waits for that",
    "tests/legacy_dags/handover/run_dag.py": "it forks as Airflow's executor does, and waits for what it has forked",
    "tests/adapters/processes/test_processes.py": (
        "who starts and dies there is the subject; each child ends in ten minutes"
    ),
}


def starts(source: str) -> list[int]:
    """Lines on which a process is started, under whatever name it was imported."""
    tree = ast.parse(source)
    named = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module in ("subprocess", "os", "asyncio", "asyncio.subprocess")
        for alias in node.names
        if alias.name in STARTING
    }
    return sorted(
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and _starts(node.func, named)
    )


def _starts(called: ast.expr, named: set[str]) -> bool:
    match called:
        case ast.Attribute(attr=name):
            return name in STARTING
        case ast.Name(id=name):
            return name in named
        case ast.Subscript(value=value):  # subprocess.Popen[str](…)
            return _starts(value, named)
        case _:
            return False


def sources() -> dict[str, Path]:
    folders = ("dagster_defs", "demo", "bench", "tests", "legacy_dags")
    found = (file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))
    return {file.relative_to(ROOT).as_posix(): file for file in found}


def test_every_process_has_the_guardian() -> None:
    """No file starts a process by itself but for those with a reason, and each of those still does."""
    found = {name for name, file in sources().items() if starts(file.read_text(encoding="utf-8"))}

    assert found == WITH_A_REASON.keys()


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess\nsubprocess.Popen(['sleep', '9'])",
        "import subprocess as sp\nwith sp.Popen(['sleep', '9']) as one: pass",
        "from subprocess import Popen as Start\nStart(['sleep', '9'])",
        "import subprocess\nsubprocess.Popen[str](['sleep', '9'])",
        "import asyncio\nasyncio.create_subprocess_exec('sleep', '9')",
        "import os\nos.posix_spawn('/bin/sleep', ['sleep', '9'], {})",
        "from os import fork\nif fork() == 0: pass",
    ],
)
def test_a_loose_process_is_found(source: str) -> None:
    """Each way of starting a process is seen, whatever it is called."""
    assert starts(source)


@pytest.mark.parametrize(
    "source", ["import subprocess\nx: subprocess.Popen[str]", "import subprocess\nsubprocess.run(['true'])"]
)
def test_what_starts_nothing_is_not_found(source: str) -> None:
    """A type, and a command that is waited for, are no loose process."""
    assert starts(source) == []
