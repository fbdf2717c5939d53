"""The walk of a directed graph: dbt's nodes, Airflow's tasks, the units of an estate."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def reachable(starts: Iterable[T], next_of: Callable[[T], Iterable[T]]) -> set[T]:
    """Everything that one or more steps from the starts lead to; a start itself only if a circle leads back to it."""
    reached: set[T] = set()
    waiting = set(starts)
    while waiting:
        waiting = {following for node in waiting for following in next_of(node)} - reached
        reached |= waiting
    return reached
