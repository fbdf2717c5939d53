"""Runs one task of a DAG file in Airflow's environment and waits for it, leaving no process behind."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes import guardian
from dagster_defs.adapters.processes.guardian import GUARDIAN, Known
from dagster_defs.errors import LegacyTaskRefused, TimedOut

SCHEMA = "parity/task/2"
GRACE_SECONDS = 20.0  # for `on_kill`, before the processes are killed
LIMIT_SLACK = 10.0  # first let Airflow enforce `execution_timeout` itself, and call `on_kill`
LAST_WORDS_SECONDS = 5.0  # for reading what is left in the pipe when the operator has ended
LOG_BYTES = 1_000_000  # per try, in the run's log
LAST_LINES = 100  # how many lines to show of what is beyond that
_BATCH_BYTES, _BATCH_SECONDS = 8_000, 1.0
# Variables for this process's Python; Airflow's Python has its own.
OF_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class AirflowEnvironment:
    """`python`: a Python with Airflow. `program`: `run_task.py`, or None if Airflow's environment has the package
    `handover`. `variables`: the process's whole environment."""

    python: Path
    dags_folder: Path
    dag_file: str
    program: Path | None
    databases: Path
    variables: Mapping[str, str] = field(repr=False)

    def run(self, request: Mapping[str, Any], *, say: Say, limit: float | None) -> Mapping[str, Any]:
        """Run the task; returns `record`, or `waiting` with the reason. `limit`: seconds that the operator may take.

        Raises LegacyTaskRefused if it was not run or its outcome is unknown, and TimedOut.
        """
        what = f"{request['dag_id']}.{request['task_id']}"
        if not self.python.is_file():
            remedy = "Name it in the unit's YAML (airflow: {python: …}) or in PARITY_AIRFLOW_PYTHON"
            raise LegacyTaskRefused(what, f"there is no Python with Airflow at {self.python}", remedy)
        with tempfile.TemporaryDirectory(prefix="parity-task-", ignore_cleanup_errors=True) as folder:
            result = Path(folder) / "result.json"
            document = {
                "schema": SCHEMA,
                **request,
                "dags_folder": str(self.dags_folder),
                "file": self.dag_file,
                "databases": str(self.databases),
                "result": str(result),
            }
            asked = Path(folder) / "request.json"
            atomic.write_json(asked, document, mode=atomic.PRIVATE)
            self._run(what, asked, result, Log(say), limit)
            return result_of(what, result)

    def _run(self, what: str, asked: Path, result: Path, log: Log, limit: float | None) -> None:
        program = [str(self.program)] if self.program else ["-m", "handover.run_task"]
        process = GUARDIAN.start(
            [str(self.python), *program, str(asked)],
            env={name: value for name, value in self.variables.items() if name not in OF_PYTHON},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        lines = _lines_of(process.stdout)
        try:
            if not _waited_for(process, lines, log, Path(f"{result}.started"), limit):
                assert limit is not None  # noqa: S101 - only a limit can have passed
                raise TimedOut(what, limit)
        finally:
            # Whatever the reason, first ask the operator to end, which is what `on_kill` is for.
            if (known := Known.of(process.pid)) and process.poll() is None:
                guardian.end([known], grace=GRACE_SECONDS)
            process.wait()
            _end_group(process.pid)
            GUARDIAN.forget(process.pid)
            log.take_all(lines)
            log.close()
        if process.returncode != 0:
            reason = f"its process ended with {process.returncode}, and it is unknown how far it got"
            raise LegacyTaskRefused(what, reason, "Read the run's log")


def _end_group(group: int) -> None:
    """Kill what the operator left running in its process group, whose number is not reused while any of it lives."""
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)


class Log:
    """Passes lines on in batches, up to LOG_BYTES; after that counts them, and keeps the last ones."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._batch: list[str] = []
        self._size, self._passed, self._left = 0, 0, 0
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._since = time.monotonic()

    def take(self, line: str) -> None:
        if self._passed >= LOG_BYTES:
            self._left += 1
            self._last.append(line[:_BATCH_BYTES])
            return
        self._batch.append(line[:_BATCH_BYTES])
        self._size += len(line[:_BATCH_BYTES]) + 1
        if self._size >= _BATCH_BYTES:
            self.flush()

    def take_all(self, lines: queue.Queue[str | None]) -> None:
        """Take the lines so far; a process that the operator left running may hold the pipe open and write to it."""
        until = time.monotonic() + LAST_WORDS_SECONDS
        with contextlib.suppress(queue.Empty):
            while time.monotonic() < until and (line := lines.get(timeout=0.3)) is not None:
                self.take(line)

    def flush_if_due(self) -> None:
        if time.monotonic() - self._since >= _BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._since = time.monotonic()
        if self._batch:
            self._say("\n".join(self._batch))
        self._passed += self._size
        self._batch, self._size = [], 0

    def close(self) -> None:
        self.flush()
        if self._left:
            beyond = f"… {self._left} more lines, beyond {LOG_BYTES:,} bytes; the last {len(self._last)}:"
            self._say("\n".join([beyond, *self._last]))


def _lines_of(stdout: IO[bytes] | None) -> queue.Queue[str | None]:
    """The lines as they arrive, then None."""
    lines: queue.Queue[str | None] = queue.Queue(maxsize=10_000)

    def read(pipe: Iterable[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in pipe:
                lines.put(line.decode("utf-8", "replace").rstrip("\r\n"))
        lines.put(None)

    assert stdout is not None  # noqa: S101 - it is a pipe
    threading.Thread(target=read, args=(stdout,), name="task-log", daemon=True).start()
    return lines


def _waited_for(
    process: subprocess.Popen[Any],
    lines: queue.Queue[str | None],
    log: Log,
    started: Path,
    limit: float | None,
) -> bool:
    """Whether the process ended by itself within the limit, which counts from when the operator began."""
    while process.poll() is None:
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=0.2)
            if line is not None:
                log.take(line)
            else:  # it has closed its output: wait for its end without busy-looping
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.2)
        log.flush_if_due()
        if limit is not None and _age(started) > limit + LIMIT_SLACK:
            return False
    return True


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return 0.0


def result_of(what: str, result: Path) -> Mapping[str, Any]:
    """What the process has left; raises LegacyTaskRefused if it is nothing, or that nothing was run."""
    try:
        result_document: dict[str, Any] = json.loads(result.read_bytes())
    except (OSError, ValueError) as error:
        raise LegacyTaskRefused(what, f"it left no result ({error})", "Read the run's log") from error
    if refused := result_document.get("refused"):
        raise LegacyTaskRefused(what, str(refused).rstrip("."), "Nothing was run")
    return result_document
