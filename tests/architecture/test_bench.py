"""The bench's promises: a figure beyond its bound, or one that is missing, is not kept."""

from __future__ import annotations

import importlib.util
import io
import sys
from typing import Any

import pytest
from rich.console import Console

from tests.estate import ROOT

# The folder is no installed package: a bench runs from the project's root.
_spec = importlib.util.spec_from_file_location("bench_table", ROOT / "bench" / "table.py")
assert _spec is not None
assert _spec.loader is not None
table = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = table
_spec.loader.exec_module(table)
Bound, Row = table.Bound, table.Row

ROWS = [Row("ours", [1.0, 1.2, 1.1], 0.7), Row("peer", [2.0])]


@pytest.mark.parametrize(
    ("bound", "kept", "said"),
    [
        (Bound("ours", 0.6, of="peer"), True, "kept: ours / peer: 0.55"),
        (Bound("ours", 0.5, of="peer"), False, "BEYOND: ours / peer: 0.55"),
        (Bound("ours", 0.5, of="absent"), False, "NOT MEASURED: ours / absent"),
        (Bound("ours", seconds=1.1), True, "kept: ours, seconds: 1.10"),
        (Bound("ours", seconds=1.0), False, "BEYOND: ours, seconds"),
        (Bound("ours", gigabytes=0.5), False, "BEYOND: ours, GB: 0.70"),
    ],
)
def test_a_bound_can_fail(bound: Any, kept: bool, said: str) -> None:
    """The median counts, and each figure is printed beside its limit."""
    written = io.StringIO()

    assert table.print_rows(Console(file=written, width=200), "title", ROWS, [bound]) is kept
    assert said in written.getvalue()
