"""What Dagster's event log and Airflow know of both sides of a window that has just been compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster_defs.adapters.airflow import AirflowAddress, AirflowClient, TaskInstance
from dagster_defs.errors import AirflowUnreachable
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.fairness import Standing, Write
from dagster_defs.windows import Window

if TYPE_CHECKING:
    import dagster as dg

MADE_FOR = "parity/legacy_event"  # tag of a candidate run: position of the legacy write that it stands beside
BEGAN, ENDED = "parity/legacy_began", "parity/legacy_ended"  # metadata of an observed materialization
AIRFLOW_RUN, AIRFLOW_RUN_ID, AIRFLOW_TRY = "Airflow run", "Airflow run id", "Try"
# dagster_airlift.constants; importing the package here costs a second.
AIRFLOW_RUN_TAG = "dagster-airlift/airflow-dag-run-id"


@dataclass(frozen=True, slots=True)
class LegacyRun:
    """The run that wrote a window in legacy: Airflow's own, or a Dagster run that Airflow's proxy launched."""

    write: Write
    airflow_run: str = ""
    airflow_try: int = 0
    address: str = ""
    dagster_run: str = ""


@dataclass(frozen=True)
class EventLog:
    """Dagster's event log, as far as a unit's writes and tests are asked for."""

    instance: dg.DagsterInstance

    def last_write(self, key: dg.AssetKey, partition: str | None = None) -> Any:
        """The newest materialization record of a partition, without one of all partitions; None if there is none."""
        import dagster as dg

        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
        records = self.instance.fetch_materializations(wanted, limit=1).records
        return records[0] if records else None

    def write(self, record: Any) -> Write | None:
        """A materialization as a write: its run's start and end, or those that the observer has noted."""
        if record is None:
            return None
        materialization = record.asset_materialization
        noted = {name: value.value for name, value in materialization.metadata.items()}
        at = _instant(record.timestamp)
        began = ended = at
        if record.run_id and (run := self.instance.get_run_record_by_id(record.run_id)):
            began = _instant(run.start_time) if run.start_time else run.create_timestamp
            ended = _instant(run.end_time) if run.end_time else at
        elif BEGAN in noted and ENDED in noted:
            began, ended = _instant(noted[BEGAN]), _instant(noted[ENDED])
        return Write(record.storage_id, materialization.partition, began, ended)

    def legacy_run(self, unit: Unit, key: dg.AssetKey, partition: str) -> LegacyRun | None:
        record = self.last_write(key, partition)
        write = self.write(record)
        if write is None:
            return None
        noted = {name: value.value for name, value in record.asset_materialization.metadata.items()}
        if not record.run_id:
            return LegacyRun(
                write,
                str(noted.get(AIRFLOW_RUN_ID, "")),
                int(noted.get(AIRFLOW_TRY, 0)),
                str(noted.get(AIRFLOW_RUN, "")),
            )
        run = self.instance.get_run_by_id(record.run_id)
        airflow_run = run.tags.get(AIRFLOW_RUN_TAG, "") if run else ""
        address = AirflowAddress.from_environment().link(unit, airflow_run) if airflow_run else ""
        airflow_try = int(run.tags.get("parity/airflow_try", 0)) if run else 0
        return LegacyRun(write, airflow_run, airflow_try, address, record.run_id)

    def made_for(self, run_id: str) -> int | None:
        run = self.instance.get_run_by_id(run_id) if run_id else None
        said = run.tags.get(MADE_FOR, "") if run else ""
        return int(said) if said.isdigit() else None

    def tests(self, run_id: str) -> Mapping[dg.AssetCheckKey, bool]:
        """Whether each asset check that a run has evaluated passed."""
        import dagster as dg

        logs = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        events = [log.dagster_event for log in logs if log.dagster_event is not None]
        found = [event.asset_check_evaluation_data for event in events]
        return {one.asset_check_key: one.passed for one in found}

    def running(self, unit: Unit, besides: str) -> list[dg.DagsterRun]:
        """Runs of the unit's legacy side that have not ended, other than that one."""
        import dagster as dg
        from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

        tags = {"parity/unit": str(unit), "parity/side": "legacy"}
        wanted = dg.RunsFilter(tags=tags, statuses=list(NOT_FINISHED_STATUSES))
        return [run for run in self.instance.get_runs(wanted) if run.run_id != besides]


def standing(
    log: EventLog,
    keys: tuple[dg.AssetKey, dg.AssetKey],
    partition: str,
    *,
    as_a_whole: bool,
    started_since: tuple[str, ...] | None,
    not_built: str = "",
) -> Standing:
    """`keys`: of the legacy asset and of its shadow."""
    legacy_key, shadow_key = keys
    candidate = log.last_write(shadow_key, partition)
    return Standing(
        as_a_whole=as_a_whole,
        legacy=log.write(log.last_write(legacy_key, partition)),
        candidate=log.write(candidate),
        newest_legacy=log.write(log.last_write(legacy_key)) if as_a_whole else None,
        newest_candidate=log.write(log.last_write(shadow_key)) if as_a_whole else None,
        made_for=log.made_for(candidate.run_id) if candidate else None,
        started_since=started_since,
        not_built=not_built,
    )


@dataclass(frozen=True, slots=True)
class Since:
    """Runs of a legacy task that have started since its run of a window, in words; None: Airflow did not answer.

    `of_window`: those of the same window; `of_any`: all of them.
    """

    of_window: tuple[str, ...] | None = ()
    of_any: tuple[str, ...] | None = ()


def started_since(
    log: EventLog, unit: Unit, legacy: LegacyRun | None, partition: str, window: Window
) -> Since:
    """Asks Dagster for runs that a proxy launched, and Airflow for its own."""
    if legacy is None:
        return Since()
    running = {run.run_id: run for run in log.running(unit, legacy.dagster_run)}
    here = [key for key, run in running.items() if run.tags.get("dagster/partition", partition) == partition]
    try:
        client = AirflowClient(AirflowAddress.from_environment(), patience=2)
        started = [
            task
            for task in client.started_task_instances(unit, legacy.write.began)
            if (task.run_id, task.try_number) != (legacy.airflow_run, legacy.airflow_try)
        ]
        of_window = [task for task in started if _is_of(client, task, legacy, window)]
    except AirflowUnreachable:
        return Since(None, None)
    return Since(
        (*map(_said, of_window), *(f"Dagster run {key[:8]}" for key in here)),
        (*map(_said, started), *(f"Dagster run {key[:8]}" for key in running)),
    )


def _is_of(client: AirflowClient, task: TaskInstance, legacy: LegacyRun, window: Window) -> bool:
    """Whether the task instance writes the window; one without a window may write anything."""
    if task.run_id == legacy.airflow_run:
        return True
    other = client.dag_run(task.unit.dag_id, task.run_id).window
    return other is None or (other.start < window.end and window.start < other.end)


def _said(task: TaskInstance) -> str:
    return f"try {task.try_number} of {task.run_id}"


def _instant(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)
