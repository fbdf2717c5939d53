"""Child processes that all end: with the parent, on Ctrl-C, or when the next start finds them left over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from dagster_defs.adapters.files import atomic
from dagster_defs.errors import PortInUse, ServerDied, ServerSilent

GRACE_SECONDS = 8


@dataclass(frozen=True)
class Child:
    """A process in a group of its own, so that what it starts can be ended with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check_alive(self) -> None:
        """Raises ServerDied, with the end of its log, if the process has ended."""
        if self.process.poll() is not None:
            raise ServerDied(self.name, self.process.returncode, self.log, last_lines(self.log))


class Supervisor:
    """Starts processes and ends every one of them when its `with` block is left, however that happens.

    `folder` keeps logs and a list of what runs; what a killed earlier supervisor of the same folder has left
    running is ended first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[Child] = []
        self._record = folder / "processes.json"
        self._recording = threading.Lock()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.end_leftovers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None
    ) -> Child:
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                list(command),
                env=dict(env),
                cwd=cwd,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children.append(child)
        self._write_record()
        return child

    def run(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        """Start and wait. Raises ServerDied, with the end of its log, unless it exits 0."""
        child = self.start(name, command, env=env, cwd=cwd)
        if child.process.wait() != 0:
            child.check_alive()
        self.children.remove(child)

    def wait_until(self, name: str, ready: Callable[[], bool], *, seconds: float) -> None:
        """Poll until `ready`. Raises ServerDied if any child has ended, ServerSilent after `seconds`."""
        deadline = time.monotonic() + seconds
        while not ready():
            for child in self.children:
                child.check_alive()
            if time.monotonic() > deadline:
                raise ServerSilent(name, seconds, self.folder / "logs")
            time.sleep(0.2)

    def stop(self) -> None:
        """End every child and all that it started; the youngest first."""
        for child in reversed(self.children):
            _signal_group(child.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for child in reversed(self.children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            _signal_group(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self.children.clear()
        self._record.unlink(missing_ok=True)

    def _write_record(self) -> None:
        rows = []
        with self._recording:
            for child in self.children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    started = psutil.Process(child.process.pid).create_time()
                    rows.append({"name": child.name, "pid": child.process.pid, "started": started})
            atomic.write_json(self._record, rows)

    def end_leftovers(self) -> None:
        """End what a killed earlier supervisor of the same folder has left running."""
        if not self._record.exists():
            return
        with contextlib.suppress(ValueError):
            for row in json.loads(self._record.read_text()):
                # A pid is used again sooner or later: the start time tells whether it is still ours.
                with contextlib.suppress(psutil.NoSuchProcess):
                    if abs(psutil.Process(row["pid"]).create_time() - row["started"]) < 1:
                        _signal_group(row["pid"], signal.SIGKILL)
        self._record.unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def chosen_port(variable: str, what: str) -> int:
    """The port that an environment variable asks for, or any free one. Raises PortInUse if that one is taken."""
    text = os.environ.get(variable, "0")
    wanted = int(text) if text.isdecimal() else -1
    if wanted == 0:
        return free_port()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
        except (OSError, OverflowError) as error:
            raise PortInUse(text, what, variable) from error
    return wanted


def last_lines(log: Path, count: int = 15) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    return ""


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
