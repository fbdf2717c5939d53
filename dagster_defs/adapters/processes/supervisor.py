"""Child processes that are sure to end: with the parent, whatever ends it, or at the latest at the next start."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, TracebackType

from typing_extensions import Self

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes import guardian
from dagster_defs.adapters.processes.guardian import GUARDIAN, Known
from dagster_defs.adapters.processes.waiting import Reminder, Say, reminding, say_nothing, say_seconds
from dagster_defs.errors import PortInUse, ServerDied, ServerSilent

GRACE_SECONDS = guardian.GRACE_SECONDS


@dataclass(frozen=True)
class Child:
    """A process in its own group, so that whatever it starts can be ended with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check_alive(self) -> None:
        """Raises ServerDied, with the end of its log, if the process has ended."""
        if self.process.poll() is not None:
            raise ServerDied(self.name, self.process.returncode, self.log, last_lines(self.log))


class Supervisor:
    """Starts processes and ends all of them when its `with` block is left, for whatever reason: a guardian ends them if
    this process cannot.

    `folder` holds logs and a list of what is running; anything that an earlier supervisor of the same folder left
    running because its guardian was killed too is ended first. Every few seconds, `say` is told what is being waited
    for.
    """

    def __init__(self, folder: Path, say: Say = say_nothing) -> None:
        self.folder = folder
        self.say = say
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
            process = GUARDIAN.start(
                command,
                env=env,
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
        with reminding(f"waiting for {name}, which writes to {child.log}", self.say):
            code = child.process.wait()
        if code != 0:
            child.check_alive()
        self.release(child)

    def release(self, child: Child) -> None:
        """Forget a child that has ended."""
        self.children.remove(child)
        GUARDIAN.forget(child.process.pid)
        self._write_record()

    def wait_until(
        self,
        name: str,
        ready: Callable[[], bool],
        *,
        seconds: float,
        pause: float = 0.2,
        so_far: Callable[[], str] | None = None,
    ) -> None:
        """Poll until `ready`. Raises ServerDied if any child has ended, ServerSilent after `seconds` seconds.

        `so_far`: what has been seen of what is waited for, told with each reminder.
        """
        began = time.monotonic()
        deadline = began + seconds
        reminder = Reminder(self.say, say_seconds())
        while not ready():
            for child in self.children:
                child.check_alive()
            if time.monotonic() > deadline:
                raise ServerSilent(name, seconds, self.folder / "logs")
            waited = time.monotonic() - began
            seen = f" ({so_far()})" if so_far is not None and reminder.is_due else ""
            reminder.remind(f"waiting for {name}{seen}: {waited:.0f} s so far, {seconds:.0f} s at most")
            time.sleep(pause)

    def stop(self) -> None:
        """End every child and everything that it started, youngest first."""
        known = [known for child in reversed(self.children) if (known := Known.of(child.process.pid))]
        guardian.end(known, grace=GRACE_SECONDS)
        for child in self.children:
            child.process.wait()
            GUARDIAN.forget(child.process.pid)
        self.children.clear()
        self._record.unlink(missing_ok=True)

    def _write_record(self) -> None:
        rows = []
        with self._recording:
            for child in self.children:
                if known := Known.of(child.process.pid):
                    rows.append({"name": child.name, **asdict(known), "mark": GUARDIAN.mark})
            atomic.write_json(self._record, rows)

    def end_leftovers(self) -> None:
        """End what an earlier, killed supervisor of the same folder left running."""
        if not self._record.exists():
            return
        with contextlib.suppress(ValueError, TypeError, KeyError):
            # Pids are reused sooner or later: the start time tells whether this one is still ours.
            rows = json.loads(self._record.read_bytes())
            known = [Known(int(row["pid"]), float(row["started"])) for row in rows]
            marks = {str(row.get("mark") or "") for row in rows} - {GUARDIAN.mark}
            for mark in marks or {""}:
                guardian.end(known, mark=mark, grace=0)
        self._record.unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def chosen_port(text: str, variable: str, what: str) -> int:
    """The port that `variable` requests with this text, or any free port. Raises PortInUse if it is taken."""
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


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Make Ctrl-C, a plain kill and a closing terminal unwind the stack, so that every child ends in order.

    SIGINT is set too, because a process that a script starts in the background inherits it ignored. Under nohup the
    terminal may close.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
