"""A table of figures, each as a ratio to the first of its block, and the bounds that they must keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """`seconds`: one figure for each repetition, from the same run as its peers. `gigabytes`: the highest peak."""

    what: str
    seconds: Sequence[float]
    gigabytes: float | None = None

    @property
    def median(self) -> float:
        return median(self.seconds)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a row promises: at most `times` the median of the row `of`, and at most so many seconds or gigabytes.

    `memory_times`: likewise of the peaks. `over`: the row that is taken off both before they are compared. A peer that
    could not be measured leaves its bound open, and an open bound is not kept.
    """

    what: str
    times: float | None = None
    of: str = ""
    over: str = ""
    seconds: float | None = None
    gigabytes: float | None = None
    memory_times: float | None = None

    def figures(self, rows: Mapping[str, Row]) -> Iterator[tuple[str, float, float]]:
        """The bounded quantity, its figure (infinite if it was not measured), and its limit."""
        row = rows[self.what]
        if self.times is not None:
            peer = rows.get(self.of)
            base, note = (rows[self.over].median, f", over {self.over}") if self.over else (0.0, "")
            ratio = (row.median - base) / (peer.median - base) if peer else inf
            yield f"{self.what} / {self.of}{note}", ratio, self.times
        if self.seconds is not None:
            yield f"{self.what}, seconds", row.median, self.seconds
        if self.memory_times is not None:
            peaks = row.gigabytes, rows[self.of].gigabytes if self.of in rows else None
            ratio = peaks[0] / peaks[1] if peaks[0] and peaks[1] else inf
            yield f"{self.what} / {self.of}, GB", ratio, self.memory_times
        if self.gigabytes is not None and row.gigabytes is not None:
            yield f"{self.what}, GB", row.gigabytes, self.gigabytes


def print_rows(console: Console, title: str, rows: Sequence[Row], bounds: Iterable[Bound] = ()) -> bool:
    """Print the rows, each compared with the first. Returns whether every bound is kept."""
    table = Table(title=title, box=None, title_justify="left", header_style="bold")
    for header in ("", "median", "min", "max", "ratio to the first", "over the first"):
        table.add_column(header, justify="left" if not header else "right")
    for row in rows:
        table.add_row(
            row.what if row.gigabytes is None else f"{row.what} ({row.gigabytes:.1f} GB)",
            f"{row.median:.1f}",
            f"{min(row.seconds):.1f}",
            f"{max(row.seconds):.1f}",
            f"{row.median / rows[0].median:.2f}",
            f"{row.median - rows[0].median:+.1f}",
        )
    console.print(table)
    named = {row.what: row for row in rows}
    kept = True
    for what, figure, limit in (figures for bound in bounds for figures in bound.figures(named)):
        kept = kept and figure <= limit
        word = "kept" if figure <= limit else "NOT MEASURED" if figure == inf else "BEYOND"
        console.print(f"  {word}: {what}: {figure:.2f}, at most {limit:.2f}")
    return kept
