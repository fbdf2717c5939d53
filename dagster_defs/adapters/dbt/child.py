"""A dbt command as a child process, whose structured log is read while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dagster_defs.adapters.dbt.executable import DbtExecutable, environment_of
from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.adapters.processes.piped import end_group, lines_of
from dagster_defs.windows.values import value_as_yaml

# First asked as a person would at a terminal, so that dbt cancels its statements; each with its seconds.
_ENDINGS = ((signal.SIGINT, 10.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
_LAST_LINES = 5  # that are no event, for an error of which dbt's log says nothing
_LOG = ("--log-format", "json", "--log-level", "info", "--no-quiet")
_LOG_FILE = ("--log-format-file", "debug", "--log-level-file", "debug")  # as a run in this process logs
_GONE = ("--no-use-colors", "--no-partial-parse")
_FRAME = re.compile(
    r"^\s*(?:\d+: .*|at \S+:\d+.*)$", re.MULTILINE
)  # of a stack without names, below an error of dbt 2
_QUIET_SECONDS = 2.0  # after which nothing more is expected in the pipe of a dbt that has ended


class Child:
    """A running dbt. `errors`: what dbt has reported as such, one text each; `version`: what it calls itself."""

    def __init__(
        self,
        executable: DbtExecutable,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
    ) -> None:
        """Raises OSError if the program cannot be started."""
        words = [*of_dbt_2(arguments), *_LOG] if executable.is_fusion else [*arguments, *_LOG, *_LOG_FILE]
        self._process = GUARDIAN.start(
            [str(executable.path), *words],
            env=environment_of(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._lines = lines_of(self._process.stdout)
        self._other: deque[str] = deque(maxlen=_LAST_LINES)
        self._gone = False
        self.errors: list[str] = []
        self.version = ""

    def events(self, deadline: float | None = None) -> Iterator[dict[str, Any]]:
        """dbt's events until it ends. Raises queue.Empty at the deadline, a time of the monotonic
        clock."""
        while (line := self._next_line(deadline)) is not None:
            event = _event(line)
            if event is None:
                self._other.append(line)
                continue
            self._take(event)
            yield event

    def _next_line(self, deadline: float | None) -> str | None:
        """None once dbt has ended, or has closed its output: what it leaves running may keep that open."""
        while True:
            ended = self._process.poll() is not None
            left = _QUIET_SECONDS if ended or deadline is None else deadline - time.monotonic()
            try:
                return self._lines.get(timeout=max(0.0, min(left, _QUIET_SECONDS)))
            except queue.Empty:
                if ended:
                    return None
                if deadline is not None and time.monotonic() >= deadline:
                    raise

    def _take(self, event: Mapping[str, Any]) -> None:
        info, data = event["info"], event["data"]
        if info.get("name") == "MainReportVersion":
            self.version = str(data.get("version", "")).lstrip("=")
        elif info.get("level") == "error":
            said = str(data.get("exc") or info.get("msg", ""))
            self.errors.append(_FRAME.sub("", said).strip())

    def wait(self) -> int:
        """The exit code of a dbt that has logged its last event; what it has left running is ended."""
        code = self._process.wait()
        self._forget()
        return int(code)

    def stop(self) -> bool:
        """End dbt with everything that it has started; whether all of it is gone."""
        for number, seconds in _ENDINGS:
            if self._is_gone():
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            until = time.monotonic() + seconds
            while not self._is_gone() and time.monotonic() < until:
                with contextlib.suppress(queue.Empty):  # so that a full pipe does not hold up its end
                    self._lines.get(timeout=0.05)
        gone = self._gone
        self._forget()
        return gone

    def _is_gone(self) -> bool:
        """Whether its whole process group is; then its number may be that of others."""
        if not self._gone and self._process.poll() is not None:
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                self._gone = True
        return self._gone

    def _forget(self) -> None:
        """Whatever is left of it is killed."""
        if not self._gone:
            end_group(self._process.pid)
            self._gone = True
        GUARDIAN.forget(self._process.pid)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why dbt failed: its own errors, or the last that it printed."""
        if self.errors:
            return tuple(self.errors)
        return (" / ".join(self._other) or f"it exited {self._process.returncode}, and said nothing",)


def of_dbt_2(arguments: Sequence[str]) -> Iterator[str]:
    """The same for dbt Fusion and dbt-core 2: variables in one line, and without options that it calls no longer
    supported."""
    before = ""
    for word in arguments:
        if before == "--vars":
            yield value_as_yaml(yaml.safe_load(word) or {})
        elif word not in _GONE:
            yield word
        before = word


def call(
    executable: DbtExecutable, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The events of a whole command, and why it failed; no reasons if it did not."""
    try:
        child = Child(executable, arguments, cwd=cwd, environment=environment)
    except OSError as error:
        return [], (f"{executable.path} cannot be started: {error.strerror or error}",)
    try:
        events = list(child.events())
        code = child.wait()
    except BaseException:
        child.stop()
        raise
    return events, child.reasons if code else ()


def listed(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The unique ids in the events of `dbt ls --output json`, sorted."""
    found = (_object(event["info"].get("msg", "")) for event in events)
    return sorted({str(each["unique_id"]) for each in found if each and "unique_id" in each})


def _event(line: str) -> dict[str, Any] | None:
    event = _object(line)
    if event and isinstance(event.get("info"), dict) and isinstance(event.setdefault("data", {}), dict):
        return event
    return None


def _object(text: str) -> dict[str, Any] | None:
    if text.startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(text)
            return document if isinstance(document, dict) else None
    return None
