"""Airflow's `on_failure_callback`, for runs that Airflow does not see fail: it calls the same function."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.api import address_of_run
from dagster_defs.adapters.files.legacy_code import LegacyFunction
from dagster_defs.errors import NotOwner, ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.settings import Settings
from dagster_defs.windows import PartitionedSchedule


@dataclass(frozen=True, slots=True)
class FailedTask:
    """What a callback reads of Airflow's `task_instance`. `run_id` is Dagster's."""

    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    log_url: str
    map_index: int = -1


@dataclass(frozen=True, slots=True)
class OnFailure:
    unit: Unit
    partitions: PartitionedSchedule
    function: LegacyFunction

    @contextmanager
    def of(self, context: dg.AssetExecutionContext) -> Iterator[None]:
        """Calls the function once if the block fails and no further try is due.

        Not for a run that Airflow's proxy launched: Airflow calls the task's callback itself. Nor for one that was
        refused because the unit is not Dagster's, which says nothing about the unit, and one that somebody ended.
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
            function(self._told(context, failure))
        except (Exception, SystemExit) as error:
            context.log.error(f"on_failure, {self.function.path}, failed itself and told nobody: {error!r}")

    def _told(self, context: dg.AssetExecutionContext, failure: Exception) -> Mapping[str, Any]:
        """By the names of Airflow's context. Of a run over many windows the interval is that of all together."""
        task = FailedTask(
            self.unit.dag_id,
            self.unit.task_id,
            context.run.run_id,
            context.retry_number + 1,
            _address(context.run.run_id),
        )
        told = {"task_instance": task, "ti": task, "run_id": context.run.run_id, "exception": failure}
        keys = context.partition_key_range
        try:
            windows = list(self.partitions.windows_between(keys.start, keys.end))
        except ParityError:  # a partition of a schedule that the unit had once
            return told
        start, end = windows[0].start, windows[-1].end
        return {**told, "data_interval_start": start, "data_interval_end": end, "logical_date": start}


def _address(run_id: str) -> str:
    """Where the run's log is; its id alone where nobody says at which address Dagster answers."""
    url = Settings.from_process().named_dagster_url
    return address_of_run(url, run_id) if url else run_id
