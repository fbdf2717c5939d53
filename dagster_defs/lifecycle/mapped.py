"""What the instances of a mapped task come to: one unit has one window, however many instances ran for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

OVER = ("failed", "upstream_failed", "success", "skipped")
"""States that an instance does not leave on its own. Of several, the first counts, as in Airflow's own summary."""

REMOVED = "removed"  # an index beyond the task's present number of instances


def state_of_all(states: Mapping[int, str]) -> str:
    """Airflow's state of the whole task, by the states of its map indices.

    Empty as long as one of them is not over, or an index is missing among them.
    """
    counted = {index: state for index, state in states.items() if state != REMOVED}
    if not counted or sorted(counted) != list(range(len(counted))):
        return ""
    if any(state not in OVER for state in counted.values()):
        return ""
    return next(state for state in OVER if state in counted.values())


def in_words(states: Collection[str]) -> str:
    counts = Counter(state for state in states if state != REMOVED)
    return ", ".join(f"{counts[state]} {state}" for state in OVER if counts[state])
