"""Where the tea house keeps its files."""

from __future__ import annotations

import os
from pathlib import Path

HOME = Path(os.environ["TEA_HOME"])
DBT = {"cwd": str(HOME / "dbt"), "pool": "duckdb"}


def orders_file(day: str) -> Path:
    """What the shops have ordered, one file for each day."""
    return HOME / "landing" / f"orders_{day}.csv"


def out_file(name: str) -> Path:
    """What other houses get."""
    return Path(os.environ["TEA_OUT"]) / name
