"""Reports every few seconds what a long step is waiting for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SAY_SECONDS = 5.0  # between two progress lines on a terminal
SAY_SELDOM_SECONDS = 30.0  # between two progress lines in a log

Say = Callable[[str], None]


def say_seconds() -> float:
    return SAY_SECONDS if sys.stderr.isatty() else SAY_SELDOM_SECONDS


def say_nothing(line: str) -> None:
    """A `say` that reports nothing."""


class Reminder:
    """Passes on a loop's messages at most once every few seconds, and not immediately."""

    def __init__(self, say: Say, seconds: float) -> None:
        self._say, self._seconds, self._said = say, seconds, time.monotonic()

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._said + self._seconds

    def remind(self, line: str) -> None:
        if self.is_due:
            self._said = time.monotonic()
            self._say(line)


@contextmanager
def reminding(line: str, say: Say, seconds: float | None = None) -> Iterator[None]:
    """Repeats the line, with the seconds so far, while a block is running that cannot report itself."""
    began, over = time.monotonic(), threading.Event()
    pause = say_seconds() if seconds is None else seconds

    def remind() -> None:
        while not over.wait(pause):
            say(f"{line}: {time.monotonic() - began:.0f} s so far")

    thread = threading.Thread(target=remind, name="reminder", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
