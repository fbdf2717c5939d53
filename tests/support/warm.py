"""The commands of this environment, each in a process of its own, forked from one that has imported their libraries.

Dagster's and dbt's imports take three CPU seconds, dbt's macros one more, and the tests call some two hundred commands.
A command starts with the arguments, the folder and the environment that it is given, and imports the project's own code
from there; what its start costs is the business of `tests/architecture/test_imports.py` and of the bench.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

MAINS = {
    "parity": "dagster_defs.cli:main",
    "dg": "dagster_dg_cli.cli:main",
    "dbt": "dbt.cli.main:cli",
    "dagster": "dagster._cli:main",
}


def run(
    name: str, *arguments: str, cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with the program of that name, its two outputs as text; warm if it is one of `MAINS`."""
    command = [str(Path(sys.executable).parent / name), *arguments]
    if name not in MAINS or not _server().forks:
        return subprocess.run(
            command, cwd=cwd, env=env, timeout=timeout, capture_output=True, text=True, check=False
        )
    with _outputs() as (out, err):
        request = {
            "main": MAINS[name],
            "argv": command,
            "cwd": str(cwd),
            "env": dict(env),
            "out": out.name,
            "err": err.name,
            "timeout": timeout,
        }
        code = _server().ask(request)
        if code is None:
            raise subprocess.TimeoutExpired(command, timeout, out.read(), err.read())
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


@contextlib.contextmanager
def _outputs() -> Iterator[tuple[Any, Any]]:
    with tempfile.NamedTemporaryFile("r+") as out, tempfile.NamedTemporaryFile("r+") as err:
        yield out, err


class _Server:
    def __init__(self) -> None:
        from dagster_defs.adapters.processes.guardian import GUARDIAN
        from tests.support.estate import foreign_environment

        # Without the path of the tests: a command uses the project's code of the folder that it is run in.
        environment = {name: value for name, value in foreign_environment().items() if name != "PYTHONPATH"}
        self._process = GUARDIAN.start(
            [sys.executable, "-P", str(Path(__file__))],
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.forks: bool = self._answer()["forks"]

    def ask(self, request: Mapping[str, Any]) -> int | None:
        """The exit code, negative for the signal that ended it; None if it timed out."""
        requests = self._process.stdin
        assert requests
        requests.write(json.dumps(request) + "\n")
        requests.flush()
        return self._answer()["code"]  # type: ignore[no-any-return]

    def _answer(self) -> Any:
        answers = self._process.stdout
        assert answers
        if not (line := answers.readline()):
            raise RuntimeError(f"the server of commands has ended: exit code {self._process.wait()}")
        return json.loads(line)


@lru_cache
def _server() -> _Server:
    return _Server()


def _serve() -> None:
    import dagster.components  # noqa: F401 - what the commands import
    import dagster_dbt  # noqa: F401
    import dagster_dg_cli.cli  # noqa: F401
    import dbt.adapters.duckdb
    import dbt.cli.main  # noqa: F401
    import duckdb  # noqa: F401
    import sqlglot  # noqa: F401
    import typer  # noqa: F401

    _prepare()
    # If an import has started a thread, a fork would be without it: then the commands are started as usual.
    _tell(forks=len(list(Path("/proc/self/task").iterdir())) == 1)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
        _tell(code=_code_of(child, request["timeout"]))


def _prepare() -> None:
    """Parse a project without models, and make the tables of a run: what many commands begin with."""
    from dbt.cli.main import dbtRunner

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.support.dbt_macros import keep_macros
    from tests.support.instances import keep_engines, make_an_empty_run

    del sys.path[0]
    keep_macros()
    keep_engines()
    make_an_empty_run()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "dbt_project.yml").write_text("{name: empty, profile: empty}")
        output = "{type: duckdb, path: ':memory:'}"
        Path(folder, "profiles.yml").write_text(f"empty: {{target: here, outputs: {{here: {output}}}}}")
        places = ["--project-dir", folder, "--profiles-dir", folder, "--no-send-anonymous-usage-stats"]
        dbtRunner().invoke(["--quiet", "--log-level", "none", "parse", *places])
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "dagster_defs")]:
        del sys.modules[name]


def _tell(**answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _code_of(child: int, timeout: float) -> int | None:
    import time

    deadline = time.monotonic() + timeout
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return None
        time.sleep(0.01)


def _become(request: Mapping[str, Any]) -> None:
    """Run the program as if it had been started like this."""
    import importlib
    import random

    for number, flags, path in (
        (0, os.O_RDONLY, os.devnull),
        (1, os.O_WRONLY, request["out"]),
        (2, os.O_WRONLY, request["err"]),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = request["argv"]
    named = [path for path in request["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [str(Path(request["argv"][0]).parent), *named]
    importlib.invalidate_caches()
    random.seed()
    module, _, function = request["main"].partition(":")
    sys.exit(getattr(importlib.import_module(module), function)())


if __name__ == "__main__":
    _serve()
