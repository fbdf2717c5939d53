"""How long and how often a proxy retries while Dagster does not answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class Patience:
    """One outage: it begins with the first failure and ends at the latest `seconds` after it.

    `pause()` is the time to wait before the next try, or None when the bound is reached. The pauses double and are
    spread at random over their upper half, so that a thousand tasks do not come back in the same second.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._began: float | None = None
        self._step = FIRST_PAUSE

    def pause(self) -> float | None:
        now = self._clock()
        if self._began is None:
            self._began = now
        left = self.seconds - (now - self._began)
        if left <= 0:
            return None
        chosen = random.uniform(self._step / 2, self._step)  # noqa: S311 - spreads load, guards nothing
        self._step = min(self._step * 2, LONGEST_PAUSE)
        return min(chosen, left)

    def passed(self) -> float:
        """Seconds since the outage began."""
        return 0.0 if self._began is None else self._clock() - self._began


def poll_pause(waited: float) -> float:
    """Seconds between two polls of a run, growing with the wait: short runs end promptly, long ones cost little."""
    return min(max(waited / 20, 0.5), 10.0)
