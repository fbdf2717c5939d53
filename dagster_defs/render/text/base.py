"""Where output goes, and what all reports share."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RunningBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from dagster_defs.escape import visible

T = TypeVar("T")
WIDE = 200  # if the output is not a terminal, no line is cut


class PlainText(Text):
    """Styled text in which every character is visible; rich's own drops some control characters and obeys others."""

    def __init__(self, text: str = "", style: str = "", **settings: Any) -> None:
        super().__init__(visible(text), style, **settings)

    def append(self, text: Any, style: Any = None) -> Self:
        super().append(visible(text) if isinstance(text, str) else text, style)
        return self


class PlainConsole(Console):
    """A console on which text is only text: square brackets are never markup, and control characters are not obeyed.

    Styles are given as `PlainText`. Everything that is printed passes through `render`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


class LazyConsole:
    """A console that examines the terminal and the environment on first use, not on import."""

    def __init__(self, *, stderr: bool) -> None:
        self._stderr = stderr

    @cached_property
    def console(self) -> PlainConsole:
        stream = sys.stderr if self._stderr else sys.stdout
        return PlainConsole(stderr=self._stderr, width=None if stream.isatty() else WIDE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)


out, err = LazyConsole(stderr=False), LazyConsole(stderr=True)


def print_json(document: Any) -> None:
    """Only data goes to stdout."""
    out.print_json(json.dumps(document), ensure_ascii=False) if out.is_terminal else print_plain(
        json.dumps(document)
    )


def print_plain(text: str) -> None:
    """Text as it is, neither wrapped nor cut."""
    out.out(visible(text), highlight=False)


def say(message: str) -> None:
    """Reports on stderr what was done: stdout is for data."""
    err.print(PlainText(message), soft_wrap=True)


def warn(message: str) -> None:
    err.print(PlainText("warning: ", style="yellow").append(message, style="default"), soft_wrap=True)


def print_error(message: str) -> None:
    err.print(PlainText("error: ", style="bold red").append(message, style="default"), soft_wrap=True)


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
        """A step that runs alone; a tick and its duration when it is finished."""
        began = time.monotonic()
        if err.is_terminal:
            with err.status(PlainText(f"{title} …")):
                yield
        else:
            yield
        self.say(f"{title} ({time.monotonic() - began:.0f} s)")

    def each(self, windows: Sequence[T]) -> Iterator[T]:
        """The windows one by one, with a progress bar on a terminal and a line per window elsewhere, both with an
        estimate."""
        began = time.monotonic()
        with RunningBar(
            TextColumn("Windows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=err.console, transient=True, disable=not err.is_terminal,
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
        err.print(PlainText(f"{elapsed:5.0f} s  ", style="dim").append(line, style="default"), soft_wrap=True)
