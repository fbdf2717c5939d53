"""Where output goes, and what all reports have in common."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RunningBar
from rich.table import Table
from rich.text import Text

T = TypeVar("T")
WIDE = 200  # where nobody looks at a terminal, no line is cut
out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)


def print_json(document: Any) -> None:
    """Data goes to stdout, and nothing else does."""
    out.print_json(json.dumps(document), ensure_ascii=False) if out.is_terminal else print_plain(
        json.dumps(document)
    )


def print_plain(text: str) -> None:
    out.out(text, highlight=False)


def say(message: str) -> None:
    """What was done, on stderr: stdout is for data."""
    err.print(Text(message), soft_wrap=True)


def warn(message: str) -> None:
    err.print(Text("warning: ", style="yellow").append(message, style="default"), soft_wrap=True)


def print_error(message: str) -> None:
    err.print(Text("error: ", style="bold red").append(message, style="default"), soft_wrap=True)


def table(*headers: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for header in headers:
        table.add_column(header, justify="right" if header.endswith("ROWS") else "left", overflow="fold")
    return table


class Steps:
    """Progress of long work, on stderr: a spinner with the time on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step that runs alone; a tick and its seconds when it is over."""
        began = time.monotonic()
        if err.is_terminal:
            with err.status(f"{title} …"):
                yield
        else:
            yield
        self.say(f"{title} ({time.monotonic() - began:.0f} s)")

    def each(self, windows: Sequence[T]) -> Iterator[T]:
        """The windows one by one; on a terminal a bar, elsewhere a line for each, both with an estimate."""
        began = time.monotonic()
        with RunningBar(
            TextColumn("Windows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=err, transient=True, disable=not err.is_terminal,
        ) as bar:  # fmt: skip
            task = bar.add_task("windows", total=len(windows))
            for number, window in enumerate(windows, start=1):
                yield window
                bar.advance(task)
                left = (time.monotonic() - began) / number * (len(windows) - number)
                if not err.is_terminal:
                    self.say(f"{number} of {len(windows)} windows" + (f", {left:.0f} s left" if left else ""))
        self.say(f"{len(windows)} windows ({time.monotonic() - began:.0f} s)")

    def say(self, line: str) -> None:
        elapsed = time.monotonic() - self._started
        err.print(Text(f"{elapsed:5.0f} s  ", style="dim").append(line, style="default"), soft_wrap=True)
