"""Airflow's callbacks of a task for runs that Airflow does not see: calls the same functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.api import address_of_run
from dagster_defs.adapters.files.legacy_code import LegacyFunction
from dagster_defs.components.runs.run_window import occasion_of_run
from dagster_defs.errors import NotOwner, ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.callback_context import about_window, callback_context
from dagster_defs.settings import Settings
from dagster_defs.windows import EventSchedule, Times


class Told:
    """What a try has to say beside its end; here nobody listens."""

    def begins(self) -> None:
        """It is certain that the task runs."""

    def skips(self) -> None:
        """The task itself has said that it is skipped."""

    def is_left_out(self) -> None:
        """Airflow's rules have skipped it, and Airflow calls nothing for that."""


@dataclass
class Telling(Told):
    """`ended`: what is called at the end of a block that does not fail; empty for nothing."""

    call: Callable[[str], None]
    ended: str = "on_success"

    def begins(self) -> None:
        self.call("on_execute")

    def skips(self) -> None:
        self.ended = "on_skipped"

    def is_left_out(self) -> None:
        self.ended = ""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """`functions`: by the name of the attribute in YAML that has them, such as `on_failure`."""

    unit: Unit
    times: Times
    functions: Mapping[str, Sequence[LegacyFunction]]

    @contextmanager
    def of(self, context: dg.AssetExecutionContext) -> Iterator[Told]:
        """Call `on_failure` once if the block fails and no further try is due, `on_retry` if one is, and `on_success`
        or `on_skipped` if it does not fail; `on_execute` when the block says that it begins.

        None is called for a run that Airflow's proxy launched, because Airflow calls the task's callbacks itself, nor
        for a run that was refused because Dagster does not own the unit, nor for a run that somebody terminated.
        """
        told = Telling(lambda name: self._call(name, context, None))
        try:
            yield told
        except NotOwner:
            raise
        except dg.RetryRequested as request:
            self._call("on_retry", context, request.__cause__)
            raise
        except Exception as error:
            self._call("on_failure", context, error)
            raise
        else:
            self._call(told.ended, context, None)

    def _call(self, name: str, context: dg.AssetExecutionContext, reason: BaseException | None) -> None:
        """Each of them, whatever the one before it does, as Airflow does."""
        if tags.AIRFLOW_TRY in context.run.tags:
            return
        for function in self.functions.get(name, ()):
            try:
                context.log.info(f"calling {name}: {function.path}")
                function.call(self._context(context, reason))
            except (Exception, SystemExit) as error:
                context.log.error(
                    f"{name}, {function.path}, failed itself, so nobody was notified: {error!r}"
                )

    def _context(self, context: dg.AssetExecutionContext, reason: BaseException | None) -> Mapping[str, Any]:
        """The callback's argument, with the names of Airflow's context. Many windows count as one interval."""
        run_id = context.run.run_id
        values = callback_context(self.unit, run_id, context.retry_number + 1, _address(run_id), reason)
        if isinstance(self.times, EventSchedule):
            return {**values, **_of_occasion(context)}
        keys = context.partition_key_range
        try:
            windows = list(self.times.windows_between(keys.start, keys.end))
        except ParityError:  # a partition of one of the unit's former schedules
            return values
        start, end = windows[0].start, windows[-1].end
        return {**values, **about_window(start, end, start)}


def _of_occasion(context: dg.AssetExecutionContext) -> Mapping[str, Any]:
    try:
        occasion = occasion_of_run(context)
    except ParityError:
        return {}
    return about_window(occasion.start, occasion.end, occasion.logical_date)


def _address(run_id: str) -> str:
    """The URL of the run's log, or only the run id if Dagster's address is unknown."""
    url = Settings.from_process().named_dagster_url
    return address_of_run(url, run_id) if url else run_id
