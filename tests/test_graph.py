"""The walk of a directed graph."""

from __future__ import annotations

import pytest

from dagster_defs.graph import reachable

PARENTS = {"d": ["b", "c"], "b": ["a"], "c": ["a", "d"], "e": ["e"], "g": ["f"]}


@pytest.mark.parametrize(
    ("starts", "expected"),
    [("d", "abcd"), ("b", "a"), ("a", ""), ("e", "e"), ("bg", "af"), ("", "")],
    ids=["two-ways-and-a-circle", "one-step", "nothing-above", "itself", "two-starts", "no-start"],
)
def test_everything_above_is_reached_once(starts: str, expected: str) -> None:
    """Each node is asked once, and a start belongs to the answer only if a circle leads back to it."""
    asked: list[str] = []

    def parents(node: str) -> list[str]:
        asked.append(node)
        return PARENTS.get(node, [])

    assert reachable(starts, parents) == set(expected)
    assert len(asked) - len(set(asked)) <= len(set(starts) & set(expected))  # a start may be met again
