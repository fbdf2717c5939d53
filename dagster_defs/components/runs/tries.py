"""Airflow's `retries` and `execution_timeout` in a Dagster run, for as much of it as the unit itself does.

Decision 8 says why neither Dagster's RetryPolicy nor its tag `dagster/max_runtime` is used.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import dagster as dg

from dagster_defs.errors import (
    NotOwner,
    NotRangeable,
    RunLives,
    TimedOut,
    UsageError,
    WindowDiffers,
    WritesToLegacy,
)
from dagster_defs.lifecycle import tags

# Questions that cannot be answered get no better by asking again.
_HOPELESS = (UsageError, NotOwner, NotRangeable, RunLives, WindowDiffers, WritesToLegacy, dg.DagsterError)


@dataclass(frozen=True, slots=True)
class Tries:
    """At most `retries` more tries after the first, `delay` seconds apart."""

    retries: int
    delay: float

    @contextmanager
    def of(self, context: dg.AssetExecutionContext) -> Iterator[None]:
        """One try. What fails in it raises RetryRequested, or is raised as it is where no further try is due.

        A run that Airflow's proxy launched tries once: Airflow's task retries its proxy, and the tries of both
        would multiply. A run that somebody ends is not tried again.
        """
        try:
            yield
        except Exception as error:
            if not self._is_due_again(context, error):
                raise
            context.log.warning(f"try {context.retry_number + 1} of {self.retries + 1} failed: {error}")
            raise dg.RetryRequested(self.retries, self.delay) from error

    def _is_due_again(self, context: dg.AssetExecutionContext, error: Exception) -> bool:
        # What could not be stopped would meet its successor.
        hopeless = isinstance(error, _HOPELESS) or (isinstance(error, TimedOut) and error.goes_on)
        return (
            tags.AIRFLOW_TRY not in context.run.tags and not hopeless and context.retry_number < self.retries
        )


class _Alarm(BaseException):
    """No Exception, so that business code that handles those does not swallow it."""


@contextmanager
def time_limit(context: dg.AssetExecutionContext, what: str, seconds: float | None) -> Iterator[None]:
    """Raises TimedOut if the block takes longer than `seconds`; None: no limit.

    By SIGALRM, as Airflow does it: native code is interrupted when it comes back to Python. Outside of the main
    thread, where no Dagster executor runs a step, there is no limit, and the log says so.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        context.log.warning(f"{what} is not in the main thread: its time-out of {seconds:g} s is not kept")
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise _Alarm

    handler = signal.signal(signal.SIGALRM, ring)
    before = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Alarm:
        raise TimedOut(what, seconds) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *before)
