"""Ends servers whose parent is gone, whatever ended it: a signal, its terminal closing, or kill -9.

A guardian is a small process next to the parent, in its own session. The parent tells it through a pipe which processes
to watch. When the pipe closes, or the guardian's parent id changes, it ends every watched process and everything that
it started. This file is both the program, run by its path, and the parent's side of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

GRACE_SECONDS = 8
# A variable in the environment of everything started here; its value names the guardian.
MARK = "PARITY_GUARDED_BY"
_GUARDIAN = "guardian"  # the value in a guardian's own environment: another one lets it do its work
_LOOK_SECONDS = 0.5
_POSTGRES_SECONDS = 3  # in which a server that was being started when the parent went has written its file


@dataclass(frozen=True, slots=True)
class Known:
    """A process, told from a later one with the same id by when it started."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Known | None:
        """None if the process is gone."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    @property
    def process(self) -> psutil.Process | None:
        """None if it has ended, or its id now belongs to another process."""
        with contextlib.suppress(psutil.Error):
            if self.keeps_its_id and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE:
                return psutil.Process(self.pid)
        return None

    @property
    def keeps_its_id(self) -> bool:
        """Whether its id is still its own: it is running, or has not been waited for."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < 1
        except psutil.Error:
            return False


def family(leaders: Iterable[Known], mark: str = "") -> list[Known]:
    """The live ones of these processes, their descendants and their groups, and any process with `mark` in its
    environment: a daemon leaves its parent and group, but rarely its environment."""
    known = [leader for leader in leaders if leader.keeps_its_id]
    alive = [leader for leader in known if leader.process]
    groups = {leader.pid for leader in known}
    members: dict[Known, None] = dict.fromkeys(alive)
    for leader in alive:
        with contextlib.suppress(psutil.Error):
            for below in psutil.Process(leader.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    members[Known(below.pid, below.create_time())] = None
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) in groups or (mark and process.environ().get(MARK) == mark):
                members[Known(process.pid, process.create_time())] = None
    mine = os.getpid()
    return [each for each in members if each.pid != mine and not _is_guardian(each)]


def _is_guardian(each: Known) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return psutil.Process(each.pid).environ().get(MARK) == _GUARDIAN
    return False


def end(leaders: Iterable[Known], *, mark: str = "", grace: float = GRACE_SECONDS) -> None:
    """Ask them to end, and after `grace` seconds kill the remaining ones with everything that they started."""
    known = list(leaders)
    everyone = family(known, mark)
    for each in [leader for leader in known if leader.process] or everyone:
        _signal(each, _polite_signal(each))
    until = time.monotonic() + grace
    while time.monotonic() < until and any(each.process for each in everyone):
        time.sleep(0.05)
    for each in {*everyone, *family(known, mark)}:
        _signal(each, signal.SIGKILL)


def _polite_signal(each: Known) -> signal.Signals:
    """PostgreSQL takes SIGTERM to mean "when the last client has left"."""
    with contextlib.suppress(psutil.Error):
        if "postgres" in psutil.Process(each.pid).name():
            return signal.SIGINT
    return signal.SIGTERM


def _signal(each: Known, number: signal.Signals) -> None:
    """Signal its whole group if it leads one, else only the process."""
    if each.process is None:
        return
    with contextlib.suppress(OSError):
        if os.getpgid(each.pid) == each.pid:
            os.killpg(each.pid, number)
        else:
            os.kill(each.pid, number)


def postgres_of(folder: Path) -> Known | None:
    """The PostgreSQL server that runs on this folder, told from another process with its id by its folder."""
    try:
        pid, data = (folder / "postmaster.pid").read_text().splitlines()[:2]
        process = psutil.Process(int(pid))
        ours = (
            "postgres" in process.name()
            and Path(process.cwd()).samefile(folder)
            and Path(data).samefile(folder)
        )
        return Known(process.pid, process.create_time()) if ours else None
    except (OSError, ValueError, psutil.Error):
        return None


@dataclass
class Guardian:
    """The parent's side: one guardian per parent process, started when the first child is watched."""

    mark: str = ""
    _watched: dict[Known, None] = field(default_factory=dict)
    _folders: set[str] = field(default_factory=set)
    _process: subprocess.Popen[bytes] | None = None
    _parent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a process that ends, with everything that it starts, when this process does, for whatever reason.

        `env`: None for this process's own. `options`: those of `subprocess.Popen`.
        """
        if env is None:
            command = ["env", *(f"{name}={value}" for name, value in self.environment({}).items()), *command]
        else:
            env = self.environment(env)
        process = subprocess.Popen(list(command), env=env, **options)
        self.watch(process.pid)
        return process

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """An environment for a process to be started: the guardian is running, and will recognise it by this."""
        with self._lock:
            self._start()
            return {**env, MARK: self.mark}

    def watch(self, pid: int) -> None:
        known = Known.of(pid)
        if known is not None:
            with self._lock:
                self._forget_after_fork()
                self._watched[known] = None
                self._tell({"watch": [known.pid, known.started]})

    def forget(self, pid: int) -> None:
        with self._lock:
            self._forget_after_fork()
            for known in [each for each in self._watched if each.pid == pid]:
                del self._watched[known]
                self._tell({"forget": [known.pid, known.started]})

    @contextlib.contextmanager
    def watching_postgres(self, folder: Path) -> Iterator[None]:
        """Watch any PostgreSQL server that runs on this folder, for the duration of the block."""
        with self._lock:
            self._forget_after_fork()
            self._folders.add(str(folder))
            self._tell({"postgres": str(folder)})
        try:
            yield
        finally:
            with self._lock:
                self._folders.discard(str(folder))
                self._tell({"forget_postgres": str(folder)})

    def _forget_after_fork(self) -> None:
        if self._parent not in (0, os.getpid()):
            self._watched, self._folders, self._process = {}, set(), None
            self._parent, self.mark = 0, ""

    def _start(self) -> None:
        self._forget_after_fork()
        if self._process is not None and self._process.poll() is None:
            return
        self._parent = os.getpid()
        self.mark = self.mark or f"{self._parent}-{uuid.uuid4().hex}"
        self._process = subprocess.Popen(
            # It inherits this process's environment, except for its mark.
            ["env", f"{MARK}={_GUARDIAN}", sys.executable, "-I", __file__, str(self._parent), self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        for known in self._watched:
            self._write({"watch": [known.pid, known.started]})
        for folder in self._folders:
            self._write({"postgres": folder})

    def _tell(self, message: Mapping[str, Any]) -> None:
        self._start()
        try:
            self._write(message)
        except OSError:  # the guardian was killed: tell the next one everything
            assert self._process is not None  # noqa: S101 - `_start` has just made it
            self._process.kill()
            self._process.wait()
            self._start()

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None  # noqa: S101 - `_start` comes first
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


GUARDIAN = Guardian()


def _messages(parent: int) -> Iterator[Mapping[str, Any]]:
    """The parent's messages, until the parent is gone."""
    waiting = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], _LOOK_SECONDS)[0]:
            continue
        read = os.read(0, 1 << 16)
        if not read:
            return
        *lines, waiting = (waiting + read).split(b"\n")
        yield from map(json.loads, lines)


def main(parent: int, mark: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: dict[Known, None] = {}
    folders: set[str] = set()
    for message in _messages(parent):
        match message:
            case {"watch": [pid, started]}:
                watched[Known(pid, started)] = None
            case {"forget": [pid, started]}:
                watched.pop(Known(pid, started), None)
            case {"postgres": folder}:
                folders.add(folder)
            case {"forget_postgres": folder}:
                folders.discard(folder)
    end([*_servers(folders), *watched], mark=mark)


def _servers(folders: set[str]) -> list[Known]:
    until = time.monotonic() + _POSTGRES_SECONDS
    while True:
        servers = [server for folder in folders if (server := postgres_of(Path(folder)))]
        if len(servers) == len(folders) or time.monotonic() > until:
            return servers
        time.sleep(0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
