"""What Dagster's event log and Airflow know about both sides of a window that was just compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.airflow.rows import TaskInstance
from dagster_defs.adapters.dagster.api import address_of_run
from dagster_defs.adapters.dagster.event_log import EventReader, WindowEvent, instant
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.errors import AirflowFault
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.fairness import Standing, Write
from dagster_defs.settings import Settings
from dagster_defs.windows import Scheduled, Tick, Window, share_time

if TYPE_CHECKING:
    import dagster as dg

PATIENCE = 2.0  # seconds for asking Airflow what has started since
RUNS = 100  # how many of a unit's newest candidate runs are read
OBSERVATIONS = 1_000  # how many of an asset's newest observations are read


@dataclass(frozen=True, slots=True)
class LegacyRun:
    """The run that wrote a window in legacy: Airflow's own, or a Dagster run that Airflow's proxy launched."""

    write: Write
    airflow_run: str = ""
    airflow_try: int = 0
    address: str = ""
    dagster_run: str = ""


@dataclass(frozen=True, slots=True)
class Records:
    """The last materializations of one output on both sides: of a given partition and of any; None if there is none."""

    legacy: WindowEvent | None
    candidate: WindowEvent | None
    newest_legacy: WindowEvent | None
    newest_candidate: WindowEvent | None


@dataclass(frozen=True)
class EventLog:
    """The part of Dagster's event log about a unit's writes and tests."""

    instance: dg.DagsterInstance
    settings: Settings
    _silent: set[str] = field(
        default_factory=set, compare=False
    )  # Airflows that did not say which version they are

    def run_address(self, run_id: str) -> str:
        """The URL of the run in Dagster's UI."""
        return address_of_run(self.settings.dagster_url, run_id)

    @property
    def events(self) -> EventReader:
        return EventReader(self.instance)

    def last_write(self, key: dg.AssetKey, partition: str | None = None) -> WindowEvent | None:
        """The newest materialization of the partition, or of any partition if none is given; None if there is none."""
        return next(self.events.materializations(key, partition=partition, limit=1), None)

    def last_write_in(self, key: dg.AssetKey, airflow_run: str) -> WindowEvent | None:
        """The newest materialization in this run of Airflow's, or for it, among the newest of the asset."""
        newest = self.events.materializations(key, limit=OBSERVATIONS)
        return next((event for event in newest if event.airflow_run == airflow_run), None)

    def records_in(self, keys: tuple[dg.AssetKey, dg.AssetKey], airflow_run: str) -> Records:
        """`records`, for a run without a window."""
        (legacy, shadow), of_run = keys, self.last_write_in
        return Records(
            of_run(legacy, airflow_run),
            of_run(shadow, airflow_run),
            self.last_write(legacy),
            self.last_write(shadow),
        )

    def records(self, keys: tuple[dg.AssetKey, dg.AssetKey], partition: str) -> Records:
        """`keys`: the legacy asset's and its shadow's."""
        legacy, shadow = keys
        return Records(
            self.last_write(legacy, partition),
            self.last_write(shadow, partition),
            self.last_write(legacy),
            self.last_write(shadow),
        )

    def write(self, event: WindowEvent | None) -> Write | None:
        """A materialization as a write, with its run's start and end, or those that the observer recorded."""
        if event is None:
            return None
        began = ended = event.at
        if event.run_id and (run := self.instance.get_run_record_by_id(event.run_id)):
            began = instant(run.start_time) if run.start_time else run.create_timestamp
            ended = instant(run.end_time) if run.end_time else event.at
        elif event.began and event.ended:
            began, ended = event.began, event.ended
        return Write(event.position, event.name, began, ended)

    def written_since(self, key: dg.AssetKey, own: Write | None, window: Scheduled | None) -> tuple[str, ...]:
        """Descriptions of runs that have written the asset since `own` without materializing it, oldest first.

        `window`: only runs that overlap it, or whose window is unknown; None: all runs.
        """
        if own is None:
            return ()
        runs: dict[str, None] = {}
        newest = self.events.observations(key, since=own.began, limit=OBSERVATIONS)
        for event in reversed(list(newest)):
            if not event.written_by or (event.ended or event.at) <= own.began:
                continue
            if window is None or event.may_be_of(window):
                runs[f"{event.written_by}{_run_in_words(event)}"] = None
        return tuple(runs)

    def failed_runs(self, unit: Unit, partitions: Sequence[str]) -> Mapping[str, dg.DagsterRun]:
        """By partition, the newest candidate run if it has not succeeded."""
        import dagster as dg

        wanted = {tags.UNIT: str(unit), tags.SIDE: "candidate", tags.PARTITION: list(partitions)}
        statuses = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
        newest: dict[str, dg.DagsterRun] = {}
        for run in self.instance.get_runs(dg.RunsFilter(tags=wanted, statuses=statuses), limit=RUNS):
            newest.setdefault(run.tags[tags.PARTITION], run)
        return {key: run for key, run in newest.items() if run.status is not dg.DagsterRunStatus.SUCCESS}

    def not_made(
        self, unit: Unit, keys: tuple[dg.AssetKey, dg.AssetKey], partitions: Sequence[str], before: int
    ) -> tuple[str, ...]:
        """Why another unit's shadow lacks partitions that legacy has run, one line per partition.

        Either its last candidate run failed before writing the shadow, or there was none. `keys`: the legacy asset's
        and its shadow's. `before`: a position in the event log; nothing that legacy wrote later can have been read.
        """
        legacy, shadow = keys
        legacy_partitions = self.instance.get_materialized_partitions(legacy)
        wanted = [partition for partition in partitions if partition in legacy_partitions]
        if not wanted:
            return ()
        failed = self.failed_runs(unit, wanted)
        made = self.instance.get_materialized_partitions(shadow)
        reasons: list[str] = []
        for partition in wanted:
            run = failed.get(partition)
            last = self.last_write(shadow, partition) if run and partition in made else None
            if run and not (last and last.run_id == run.run_id):
                why = f"candidate run {run.run_id[:8]} of {unit} failed"
            elif partition not in made:
                why = f"{unit} has had no candidate run of it"
            else:
                continue
            if (read := self.last_write(legacy, partition)) and read.position > before:
                continue
            reasons.append(f"{shadow.to_user_string()} of {partition} is missing: {why}")
        return tuple(reasons)

    def legacy_run(self, unit: Unit, event: WindowEvent | None) -> LegacyRun | None:
        """The run behind this materialization of a legacy asset."""
        write = self.write(event)
        if event is None or write is None:
            return None
        if not event.run_id:
            return LegacyRun(write, event.airflow_run, int(event.airflow_try or 0), event.address)
        run = self.instance.get_run_by_id(event.run_id)
        airflow_run = run.tags.get(tags.AIRFLOW_RUN, "") if run else ""
        address = self._link(unit, airflow_run) if airflow_run else ""
        airflow_try = int(run.tags.get(tags.AIRFLOW_TRY, 0)) if run else 0
        return LegacyRun(write, airflow_run, airflow_try, address, event.run_id)

    def _link(self, unit: Unit, airflow_run: str) -> str:
        """Empty if Airflow, which may never have been asked, does not say which pages it has."""
        address = AirflowAddress.of(settings_of_dag(self.settings, unit.dag_id))
        if address.url in self._silent:
            return ""
        try:
            return AirflowReader(address, patience=0).link(unit, airflow_run)
        except AirflowFault:
            self._silent.add(address.url)
            return ""

    def made_for(self, run_id: str) -> int | None:
        run = self.instance.get_run_by_id(run_id) if run_id else None
        position = run.tags.get(tags.LEGACY_EVENT, "") if run else ""
        return int(position) if position.isdigit() else None

    def tests(self, run_id: str) -> Mapping[dg.AssetCheckKey, bool]:
        """Whether each asset check that the run evaluated passed."""
        return self.events.passed(run_id)

    def running(self, unit: Unit, besides: str) -> list[dg.DagsterRun]:
        """Unfinished runs of the unit's legacy side other than `besides`."""
        import dagster as dg
        from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

        whose = {tags.UNIT: str(unit), tags.SIDE: "legacy"}
        wanted = dg.RunsFilter(tags=whose, statuses=list(NOT_FINISHED_STATUSES))
        return [run for run in self.instance.get_runs(wanted) if run.run_id != besides]


def standing(
    log: EventLog,
    keys: tuple[dg.AssetKey, dg.AssetKey],
    records: Records,
    window: Scheduled | None,
    *,
    as_a_whole: bool,
    started_since: tuple[str, ...] | None,
    not_built: str = "",
    not_made: tuple[str, ...] = (),
) -> Standing:
    """`keys`: the legacy asset's and its shadow's. `window` is None for a run without one."""
    legacy_key, shadow_key = keys
    legacy, candidate = log.write(records.legacy), log.write(records.candidate)
    rows = None if as_a_whole else window
    return Standing(
        as_a_whole=as_a_whole,
        legacy=legacy,
        candidate=candidate,
        newest_legacy=log.write(records.newest_legacy),
        newest_candidate=log.write(records.newest_candidate),
        made_for=log.made_for(records.candidate.run_id) if records.candidate else None,
        started_since=started_since,
        not_built=not_built,
        not_made=not_made,
        other_legacy=log.written_since(legacy_key, legacy, rows),
        other_candidate=log.written_since(shadow_key, candidate, rows),
        copied=records.candidate.baseline if records.candidate else "",
    )


@dataclass(frozen=True, slots=True)
class Since:
    """Descriptions of a legacy task's runs that started after its run of a window; None if Airflow did not answer.

    `of_window`: only runs of the same window; `of_any`: all of them.
    """

    of_window: tuple[str, ...] | None = ()
    of_any: tuple[str, ...] | None = ()


def started_since(
    log: EventLog, unit: Unit, legacy: LegacyRun | None, partition: str, window: Scheduled | None
) -> Since:
    """Asks Dagster for runs that a proxy launched, and Airflow for its own runs."""
    if legacy is None:
        return Since()
    running = {run.run_id: run for run in log.running(unit, legacy.dagster_run)}
    here = [key for key, run in running.items() if run.tags.get(tags.PARTITION, partition) == partition]
    try:
        client = AirflowReader(
            AirflowAddress.of(settings_of_dag(log.settings, unit.dag_id)), patience=PATIENCE
        )
        started = [
            task
            for task in client.started_task_instances(unit, legacy.write.began)
            if not _is_of_run(task, legacy)
        ]
        of_window = [task for task in started if _is_of(client, task, legacy, window)]
    except AirflowFault:
        return Since(None, None)
    return Since(
        (*map(_try_in_words, of_window), *(f"Dagster run {key[:8]}" for key in here)),
        (*map(_try_in_words, started), *(f"Dagster run {key[:8]}" for key in running)),
    )


def _is_of_run(task: TaskInstance, legacy: LegacyRun) -> bool:
    """Whether the task instance is the run itself. A proxy's later try follows the Dagster run of an earlier try."""
    if task.run_id != legacy.airflow_run:
        return False
    return bool(legacy.dagster_run) or task.try_number == legacy.airflow_try


def _is_of(client: AirflowReader, task: TaskInstance, legacy: LegacyRun, window: Scheduled | None) -> bool:
    """Whether the task instance is of the window, or of the tick; a run without a window may write anything."""
    if task.run_id == legacy.airflow_run:
        return True
    if window is None:
        return False
    other = client.dag_run(task.unit.dag_id, task.run_id).window
    # Where runs have windows, one with an empty data interval may have written anything.
    if other is None or (isinstance(other, Tick) and isinstance(window, Window)):
        return True
    return share_time(other, window)


def _run_in_words(event: WindowEvent) -> str:
    run = event.airflow_run or (f"Dagster run {event.run_id[:8]}" if event.run_id else "")
    return f" ({run})" if run else ""


def _try_in_words(task: TaskInstance) -> str:
    return f"try {task.try_number} of {task.run_id}"
