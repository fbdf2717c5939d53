"""Runs a program whose output is a run's log, and leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from dagster_defs.adapters.processes import guardian
from dagster_defs.adapters.processes.guardian import GUARDIAN, Known

GRACE_SECONDS = 20.0  # for a program's own ending, such as `on_kill`, before the processes are killed
LAST_WORDS_SECONDS = 5.0  # for reading what is left in the pipe when the program has ended
LOG_BYTES = 1_000_000  # per try, in the run's log
LAST_LINES = 100  # how many lines to show of what is beyond that
_BATCH_BYTES, _BATCH_SECONDS = 8_000, 1.0

Say = Callable[[str], None]


def run_piped(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Log,
    is_over: Callable[[], bool],
    cwd: Path | None = None,
    stdin: bytes | None = None,
) -> int | None:
    """The exit code; None if the program had to be ended, because `is_over` said so.

    `stdin`: what it can read. It then stays open as long as the program may run: its end asks the program to end.
    """
    process = GUARDIAN.start(
        list(command),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    lines = lines_of(process.stdout)
    if process.stdin is not None:
        _feed(process.stdin, stdin or b"")
    try:
        if not _waited_for(process, lines, log, is_over):
            return None
    finally:
        # Whatever the reason, first ask the program to end.
        if process.stdin is not None:
            _close(process, process.stdin)
        if (known := Known.of(process.pid)) and process.poll() is None:
            guardian.end([known], grace=GRACE_SECONDS)
        process.wait()
        end_group(process.pid)
        GUARDIAN.forget(process.pid)
        log.take_all(lines)
        log.close()
    return process.returncode


def _feed(pipe: IO[bytes], content: bytes) -> None:
    """In a thread, and through an end of its own: a program that does not read blocks neither this one nor a close."""
    own = os.dup(pipe.fileno())

    def write() -> None:
        rest = memoryview(content)
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(own, rest) :]
        os.close(own)

    threading.Thread(target=write, name="task-input", daemon=True).start()


def _close(process: subprocess.Popen[Any], pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        pipe.close()
    if process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=GRACE_SECONDS)


def end_group(group: int) -> None:
    """Kill what the program left running in its process group, whose number is not reused while any of it lives."""
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
        """Take the lines so far; a process that the program left running may hold the pipe open and write to it."""
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


def lines_of(stdout: IO[bytes] | None) -> queue.Queue[str | None]:
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
    process: subprocess.Popen[Any], lines: queue.Queue[str | None], log: Log, is_over: Callable[[], bool]
) -> bool:
    """Whether the process ended by itself."""
    while process.poll() is None:
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=0.2)
            if line is not None:
                log.take(line)
            else:  # it has closed its output: wait for its end without busy-looping
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.2)
        log.flush_if_due()
        if is_over():
            return False
    return True


class TimeLeft:
    """What is left of a time-out of `limit` seconds; None: there is no end."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._end = None if limit is None else time.monotonic() + limit

    def seconds(self) -> float | None:
        return None if self._end is None else max(0.001, self._end - time.monotonic())

    def is_over(self) -> bool:
        return self._end is not None and time.monotonic() > self._end
