"""Airflow's `retries` and `execution_timeout` in a Dagster run, applied to the unit's own work.

Decision 8 says why neither Dagster's RetryPolicy nor its `dagster/max_runtime` tag is used.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import dagster as dg

from dagster_defs.errors import (
    CandidateRefused,
    NotOwner,
    NotProvedSafe,
    NotRangeable,
    RunLives,
    TimedOut,
    UsageError,
    WindowDiffers,
    WritesToLegacy,
)
from dagster_defs.lifecycle import tags

# Retrying does not help against these.
_HOPELESS = (
    UsageError,
    CandidateRefused,
    NotOwner,
    NotProvedSafe,
    NotRangeable,
    RunLives,
    WindowDiffers,
    WritesToLegacy,
    dg.DagsterError,
)


@dataclass(frozen=True, slots=True)
class Tries:
    """At most `retries` further tries after the first, `delay` seconds apart."""

    retries: int
    delay: float

    @contextmanager
    def of(self, context: dg.AssetExecutionContext) -> Iterator[None]:
        """One try. A failure raises RetryRequested, or is re-raised unchanged if no further try is due.

        A run that Airflow's proxy launched tries only once: Airflow retries the proxy's task, and both numbers of tries
        would multiply. A run that somebody terminated is not retried.
        """
        try:
            yield
        except Exception as error:
            if not self._is_due_again(context, error):
                raise
            context.log.warning(f"try {context.retry_number + 1} of {self.retries + 1} failed: {error}")
            raise dg.RetryRequested(self.retries, self.delay) from error

    def _is_due_again(self, context: dg.AssetExecutionContext, error: Exception) -> bool:
        # Work that could not be stopped would overlap with the next try.
        hopeless = isinstance(error, _HOPELESS) or (isinstance(error, TimedOut) and error.goes_on)
        return (
            tags.AIRFLOW_TRY not in context.run.tags and not hopeless and context.retry_number < self.retries
        )


class _Alarm(BaseException):
    """Not an Exception, so that business code that catches those does not swallow it."""


@contextmanager
def time_limit(context: dg.AssetExecutionContext, what: str, seconds: float | None) -> Iterator[None]:
    """Raises TimedOut if the block takes longer than `seconds`; None: no limit.

    It uses SIGALRM, as Airflow does: native code is interrupted when it returns to Python. Outside the main thread,
    where no Dagster executor runs a step, there is no limit, and the log says so.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        context.log.warning(
            f"{what} is not in the main thread: its time-out of {seconds:g} s is not enforced"
        )
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
