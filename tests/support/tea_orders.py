"""What the tea house sells: orders of its shops in Germany, by day, and lots of an auction in Kolkata."""

from __future__ import annotations

import csv
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

DAYS = ("2024-03-29", "2024-03-30", "2024-03-31", "2024-04-01")  # the second window has 23 hours


def orders() -> list[dict[str, Any]]:
    """Twelve orders of each day; some of them weigh nothing."""
    rng = random.Random(7)  # noqa: S311 - no secret
    rows = [(day, lot) for day in DAYS for lot in rng.sample(range(1, 31), 12)]
    return [
        {"order_id": number, "day": day, "lot_id": lot, "kilos": rng.choice((0, 5, 10, 25))}
        for number, (day, lot) in enumerate(rows, start=1)
    ]


def lots() -> list[dict[str, Any]]:
    """One every four hours: some on the border between two days in Kolkata."""
    first = datetime(2024, 3, 28, 18, 30, tzinfo=timezone.utc)
    return [
        {
            "lot_id": number + 1,
            "sold_at": (first + timedelta(hours=4 * number)).strftime("%Y-%m-%d %H:%M:%S"),
            "price": f"{3 + number * 0.25:.2f}",
        }
        for number in range(30)
    ]


def write(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(file: Path) -> list[dict[str, str]]:
    with file.open() as rows:
        return list(csv.DictReader(rows))


def as_text(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The rows as `read` gives them."""
    return [{name: str(value) for name, value in row.items()} for row in rows]
