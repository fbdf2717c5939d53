"""The sensor that starts each window of a retired DAG, continuing where Airflow's scheduler stopped."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pendulum
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.histories import Retired, UnitHistory
from dagster_defs.settings import Settings
from dagster_defs.windows import PartitionedSchedule, Schedule, Window, instant_text

RUNS = 25  # most runs that one tick starts for one DAG


@dataclass(frozen=True, slots=True)
class ScheduledDag:
    """A mirrored DAG, and how Airflow ran its windows: `max_active_runs` at a time; with `catchup`, missed windows
    too; with `in_order`, each window only after the previous one has succeeded.

    `partitions` range from the first unit's start to the last unit's end; `schedules` say when each unit has windows;
    `job` runs a window that all units have.
    """

    dag_id: str
    job: str
    units: tuple[Unit, ...]
    partitions: PartitionedSchedule
    schedules: Mapping[Unit, Schedule]
    catchup: bool
    max_active_runs: int
    in_order: bool

    @property
    def jobs(self) -> Mapping[str, frozenset[Unit]]:
        """The units that each of the DAG's jobs runs: one job runs all units, and there is one more for each period in
        which some units have not begun yet or have ended."""
        bounds = {schedule.start for schedule in self.schedules.values()}
        bounds |= {schedule.end.add(seconds=1) for schedule in self.schedules.values() if schedule.end}
        stretches = dict.fromkeys(self._units_at(instant) for instant in sorted(bounds))
        everybody = frozenset(self.units)
        fewer = [units for units in stretches if units and units != everybody]
        return {
            self.job: everybody,
            **{f"part_{n}__{self.job}": units for n, units in enumerate(fewer, start=1)},
        }

    def _units_at(self, start: datetime) -> frozenset[Unit]:
        """The units that have a window starting at that instant."""
        return frozenset(
            unit
            for unit, schedule in self.schedules.items()
            if schedule.start <= start and (schedule.end is None or start <= schedule.end)
        )

    def job_of(self, window: Window) -> str | None:
        """The job that runs exactly the units that have the window; None if no unit has it."""
        units = self._units_at(window.start)
        return next((name for name, mine in self.jobs.items() if mine == units), None)

    def takes_over(self, histories: Mapping[Unit, UnitHistory]) -> datetime | None:
        """The start of its first window in Dagster; None until the last of its units is retired."""
        begins = []
        for unit in self.units:
            match histories.get(unit):
                case Retired(open=None, begins=begin):
                    begins.append(begin)
                case _:
                    return None
        return max(filter(None, begins), default=None)

    def due(self, begin: datetime, now: datetime) -> Iterator[Window]:
        """The windows from `begin` on that are over, oldest first. A window is run once it is over."""
        for window in self.partitions.schedule.windows(pendulum.instance(begin), pendulum.instance(now)):
            if window.start >= begin and window.end <= now and self.job_of(window):
                yield window


def build_schedule_sensor(
    name: str,
    dags: Sequence[ScheduledDag],
    jobs: Sequence[Any],
    poll_seconds: int,
    root: Path,
    held: Mapping[str, str] | None = None,
) -> dg.SensorDefinition:
    """`jobs`: those of `dags`. `held`: other DAGs, and why none of their windows can be started. `root`: the
    Dagster project. The cursor holds the last started window of each DAG."""

    @dg.sensor(
        name=f"{name}_schedules",
        jobs=jobs,
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs each window of a retired DAG once it is over, as Airflow's scheduler did.",
    )
    def schedules(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            histories = store_reader(Settings.from_process(root)).read().histories()
        except ParityError as error:
            return dg.SkipReason(str(error))
        cursor: dict[str, str] = json.loads(context.cursor or "{}")
        requests: list[dg.RunRequest] = []
        retired = {unit.dag_id for unit, history in histories.items() if isinstance(history, Retired)}
        for dag_id, fault in sorted((held or {}).items()):
            if dag_id in retired:
                context.log.error(f"{dag_id}: its windows are waiting, because {fault}")
        for dag in dags:
            try:
                begin = dag.takes_over(histories)
                if begin is None:
                    continue
                started = cursor.get(dag.dag_id)
                to_start = list(_to_start(context.instance, dag, begin, started and pendulum.parse(started)))
                requests += [_request(dag, window) for window in to_start]
                known = dag.partitions.schedule.known_until
                if known is not None and known <= pendulum.now("UTC"):
                    context.log.error(
                        f"{dag.dag_id}: its windows are listed to {instant_text(known)}, and later ones cannot be run. "
                        "Export the inventory again and run parity scaffold, or mirror it with a cron"
                    )
            except ParityError as error:  # one DAG's fault must not stop the others
                context.log.error(f"{dag.dag_id}: {error}")
                continue
            if to_start:
                cursor[dag.dag_id] = to_start[-1].start.isoformat()
        why = None if requests else "no window of a retired DAG is due"
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(cursor), skip_reason=why)

    return schedules


def _to_start(instance: dg.DagsterInstance, dag: ScheduledDag, begin: datetime, started: Any) -> list[Window]:
    """The DAG's windows to start now, as many as may run."""
    now = pendulum.now("UTC")
    waiting = [window for window in dag.due(started or begin, now) if not started or window.start > started]
    if not dag.catchup:
        waiting = waiting[-1:]
    live = instance.get_runs_count(_runs(dag, statuses=list(NOT_FINISHED_STATUSES)))
    room = min(dag.max_active_runs - live, RUNS)
    if not waiting or room <= 0:
        return []
    if not dag.in_order:
        return waiting[:room]
    if started and not _has_succeeded(instance, dag, started):
        return []
    return waiting[:1]


def _has_succeeded(instance: dg.DagsterInstance, dag: ScheduledDag, start: datetime) -> bool:
    key = dag.partitions.key_of(dag.partitions.window_containing(pendulum.instance(start)))
    newest = instance.get_runs(_runs(dag, partition=key), limit=1)
    return bool(newest) and newest[0].status is dg.DagsterRunStatus.SUCCESS


def _runs(dag: ScheduledDag, *, partition: str = "", statuses: Sequence[Any] = ()) -> dg.RunsFilter:
    run_tags = {tags.DAG: dag.dag_id} | ({tags.PARTITION: partition} if partition else {})
    return dg.RunsFilter(tags=run_tags, statuses=list(statuses) or None)


def _request(dag: ScheduledDag, window: Window) -> dg.RunRequest:
    key = dag.partitions.key_of(window)
    return dg.RunRequest(
        run_key=f"{dag.dag_id}|{key}",
        job_name=dag.job_of(window),
        partition_key=key,
        tags={tags.WINDOW_START: window.start.isoformat(), tags.WINDOW_END: window.end.isoformat()},
    )
