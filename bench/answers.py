"""CPU time of commands that only answer, next to that of importing Dagster in the same run."""

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer.main
from rich.console import Console

from bench.table import Bound, Row
from dagster_defs.cli import app

BIN = Path(sys.executable).parent
PEER = "import dagster"
COMPLETION = {"_PARITY_COMPLETE": "complete_bash", "COMP_WORDS": "parity st", "COMP_CWORD": "1"}
COMMANDS: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    PEER: ((sys.executable, "-c", PEER), {}),
    "dagster --help": ((str(BIN / "dagster"), "--help"), {}),
    "dbt --version": ((str(BIN / "dbt"), "--version"), {}),
    "parity --help": ((str(BIN / "parity"), "--help"), {}),
    "parity --version": ((str(BIN / "parity"), "--version"), {}),
    "parity st<TAB>": ((str(BIN / "parity"),), COMPLETION),
    "parity status": ((str(BIN / "parity"), "status"), {}),
}
EACH_HELP = "parity COMMAND --help, the slowest command"
AT_ONCE = ("parity --help", EACH_HELP, "parity --version", "parity st<TAB>")
BOUNDS = [
    *(Bound(name, 0.25, of=PEER) for name in AT_ONCE),
    Bound("parity status", 1.5, of=PEER),
]
ROUNDS, HELP_ROUNDS = 5, 3


def cpu_milliseconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """CPU time of the process and its children, which other load on the machine hardly affects."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, check=False, timeout=300
    )
    if done.returncode != 0 and command[0] == str(
        BIN / "parity"
    ):  # dbt asks the network for its latest version
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-2000:]!r} {done.stderr[-2000:]!r}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure(console: Console) -> list[Row]:
    """Run the commands in turn, so that all see the same load; the first round, which fills caches, does not count."""
    rounds = [
        {name: cpu_milliseconds(*command) for name, command in COMMANDS.items()} for _ in range(ROUNDS + 1)
    ]
    rows = [Row(name, [milliseconds[name] for milliseconds in rounds[1:]]) for name in COMMANDS]
    return [*rows, Row(EACH_HELP, [_slowest_help(console) for _ in range(HELP_ROUNDS)])]


def _slowest_help(console: Console) -> float:
    commands: Any = typer.main.get_command(app)
    taken = {name: cpu_milliseconds((str(BIN / "parity"), name, "--help"), {}) for name in commands.commands}
    slowest = max(taken, key=lambda name: taken[name])
    console.print(f"  help of {len(taken)} commands, the slowest: {slowest}, {taken[slowest]:.0f} ms")
    return taken[slowest]
