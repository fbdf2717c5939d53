"""A table of figures, each as a ratio to the first of its block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """`seconds`: one figure for each repetition, of the same run as its peers'."""

    what: str
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.seconds)


def print_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    """The first row is what the others are compared with."""
    table = Table(title=title, box=None, title_justify="left", header_style="bold")
    for header in ("", "median", "min", "max", "ratio to the first", "over the first"):
        table.add_column(header, justify="left" if not header else "right")
    for row in rows:
        table.add_row(
            row.what,
            f"{row.median:.1f}",
            f"{min(row.seconds):.1f}",
            f"{max(row.seconds):.1f}",
            f"{row.median / rows[0].median:.2f}",
            f"{row.median - rows[0].median:+.1f}",
        )
    console.print(table)
