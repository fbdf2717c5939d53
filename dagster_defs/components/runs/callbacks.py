"""Airflow's `on_failure_callback` for runs whose failure Airflow does not see: calls the same function."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.api import address_of_run
from dagster_defs.adapters.files.legacy_code import LegacyFunction
from dagster_defs.components.runs.run_window import occasion_of_run
from dagster_defs.errors import NotOwner, ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.settings import Settings
from dagster_defs.windows import EventSchedule, Times


@dataclass(frozen=True, slots=True)
class FailedTask:
    """The part of Airflow's `task_instance` that a callback reads. `run_id` is Dagster's."""

    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    log_url: str
    map_index: int = -1


@dataclass(frozen=True, slots=True)
class OnFailure:
    unit: Unit
    times: Times
    function: LegacyFunction

    @contextmanager
    def of(self, context: dg.AssetExecutionContext) -> Iterator[None]:
        """Call the function once if the block fails and no further try is due.

        It is not called for a run that Airflow's proxy launched, because Airflow calls the task's callback itself, nor
        for a run that was refused because Dagster does not own the unit, nor for a run that somebody terminated.
        """
        try:
            yield
        except (dg.RetryRequested, NotOwner):
            raise
        except Exception as error:
            if tags.AIRFLOW_TRY not in context.run.tags:
                self._tell(context, error)
            raise

    def _tell(self, context: dg.AssetExecutionContext, failure: Exception) -> None:
        try:
            function = self.function.load()
            if function is None:
                raise LookupError(f"module {self.function.module!r} has no function {self.function.name!r}")
            context.log.info(f"calling on_failure: {self.function.path}")
            function(self._callback_context(context, failure))
        except (Exception, SystemExit) as error:
            context.log.error(
                f"on_failure, {self.function.path}, failed itself, so nobody was notified: {error!r}"
            )

    def _callback_context(self, context: dg.AssetExecutionContext, failure: Exception) -> Mapping[str, Any]:
        """The callback's argument, with the names of Airflow's context. Many windows count as one interval."""
        task = FailedTask(
            self.unit.dag_id,
            self.unit.task_id,
            context.run.run_id,
            context.retry_number + 1,
            _address(context.run.run_id),
        )
        values = {"task_instance": task, "ti": task, "run_id": context.run.run_id, "exception": failure}
        if isinstance(self.times, EventSchedule):
            return {**values, **_of_occasion(context)}
        keys = context.partition_key_range
        try:
            windows = list(self.times.windows_between(keys.start, keys.end))
        except ParityError:  # a partition of one of the unit's former schedules
            return values
        start, end = windows[0].start, windows[-1].end
        return {**values, "data_interval_start": start, "data_interval_end": end, "logical_date": start}


def _of_occasion(context: dg.AssetExecutionContext) -> Mapping[str, Any]:
    try:
        occasion = occasion_of_run(context)
    except ParityError:
        return {}
    bounds = {"data_interval_start": occasion.start, "data_interval_end": occasion.end}
    return {**bounds, "logical_date": occasion.logical_date}


def _address(run_id: str) -> str:
    """The URL of the run's log, or only the run id if Dagster's address is unknown."""
    url = Settings.from_process().named_dagster_url
    return address_of_run(url, run_id) if url else run_id
