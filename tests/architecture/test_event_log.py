"""Dagster's event log has one reader."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.estate import ROOT

READER = "dagster_defs/adapters/dagster/event_log.py"
# By which an instance, or its storage, is asked for events, and what their records hold.
READING = frozenset(
    {
        "all_logs",
        "asset_materialization",
        "asset_observation",
        "event_log_storage",
        "fetch_materializations",
        "fetch_observations",
        "get_latest_materialization_event",
        "get_event_records",
        "get_records_for_run",
    }
)


def readings(program: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Attribute) and node.attr in READING:
            yield f"{node.lineno}: {node.attr}"


@pytest.mark.parametrize(
    "program",
    [
        "instance.fetch_observations(key, limit=1)",
        "def f(log):\n    return log.instance.event_log_storage.get_event_records(None)",
        "pages(self.instance.fetch_materializations, wanted)",
        "x = record.asset_materialization.metadata",
    ],
)
def test_a_second_reader_is_seen(program: str) -> None:
    """A call, a method that is handed on, and a record that is taken apart."""
    assert list(readings(program))


def test_the_event_log_is_read_in_one_file() -> None:
    """Everything else of the product gets records of `event_log.py`, with names and types of our own."""
    files: list[Path] = sorted((ROOT / "dagster_defs").rglob("*.py"))
    found = {
        str(path.relative_to(ROOT)): seen
        for path in files
        if str(path.relative_to(ROOT)) != READER
        and (seen := list(readings(path.read_text(encoding="utf-8"))))
    }

    assert found == {}
