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
from dagster_defs.components.sensors.waited_job import waited_op
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.histories import Retired, UnitHistory
from dagster_defs.lifecycle.started import SCHEDULES, Place, cursor_of, places
from dagster_defs.lifecycle.waits import Outcome, Wait, Waiting
from dagster_defs.settings import Settings
from dagster_defs.usecases.waits import Awaited, AwaitedStates, key_at
from dagster_defs.windows import PartitionedSchedule, Schedule, Window, instant_text

RUNS = 25  # most runs that one tick starts for one DAG
SHOWN = 20  # windows that a tick's skip reason names


@dataclass(frozen=True, slots=True)
class ScheduledDag:
    """A mirrored DAG, and how Airflow ran its windows: `max_active_runs` at a time; with `catchup`, missed windows
    too; with `in_order`, each window only after the previous one has succeeded.

    `partitions` range from the first unit's start to the last unit's end; `schedules` say when each unit has windows;
    `job` runs a window that all units have. `waits`: what a window waits for besides its end.
    """

    dag_id: str
    job: str
    units: tuple[Unit, ...]
    partitions: PartitionedSchedule
    schedules: Mapping[Unit, Schedule]
    catchup: bool
    max_active_runs: int
    in_order: bool
    waits: tuple[Wait, ...] = ()

    @property
    def waited_job(self) -> str:
        """The job that ends a window which has waited in vain."""
        return f"waited__{self.job}"

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
    awaited: Mapping[str, Sequence[Awaited]] | None = None,
) -> dg.SensorDefinition:
    """`jobs`: those of `dags`. `held`: DAGs, and why none of their windows can be started. `root`: the Dagster
    project. `awaited`: by DAG, the units that may be waited for. The cursor holds the `Place` of each DAG."""

    @dg.sensor(
        name=f"{name}{SCHEDULES}",
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
        cursor = places(context.cursor)
        requests: list[dg.RunRequest] = []
        waiting: list[str] = []
        states = AwaitedStates(context.instance, awaited or {})
        retired = {unit.dag_id for unit, history in histories.items() if isinstance(history, Retired)}
        for dag_id, fault in sorted((held or {}).items()):
            if dag_id in retired:
                context.log.error(f"{dag_id}: its windows are waiting, because {fault}")
        for dag in dags:
            if dag.dag_id in (held or {}):
                continue
            try:
                begin = dag.takes_over(histories)
                if begin is None:
                    continue
                turn = _turn(context.instance, dag, begin, cursor.get(dag.dag_id, Place()), states)
                requests += turn.requests
                waiting += turn.told
                known = dag.partitions.schedule.known_until
                if known is not None and known <= pendulum.now("UTC"):
                    context.log.error(
                        f"{dag.dag_id}: its windows are listed to {instant_text(known)}, and later ones cannot be run. "
                        "Export the inventory again and run parity scaffold, or mirror it with a cron"
                    )
            except ParityError as error:  # one DAG's fault must not stop the others
                context.log.error(f"{dag.dag_id}: {error}")
                continue
            cursor[dag.dag_id] = turn.place
        for line in waiting:
            context.log.info(line)
        why = None if requests else "; ".join(_first(waiting)) or "no window of a retired DAG is due"
        return dg.SensorResult(run_requests=requests, cursor=cursor_of(cursor), skip_reason=why)

    return schedules


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one tick does for one DAG. `told`: what its windows wait for."""

    place: Place
    requests: Sequence[dg.RunRequest] = ()
    told: Sequence[str] = ()


def _turn(
    instance: dg.DagsterInstance, dag: ScheduledDag, begin: datetime, place: Place, states: AwaitedStates
) -> _Turn:
    """A window whose turn has come is started, or waits; one that has waited in vain is ended."""
    opened = _to_start(instance, dag, begin, place)
    last = opened[-1].start if opened else place.last
    requests: list[dg.RunRequest] = []
    still: list[Waiting] = []
    told: list[str] = []
    for waiting in (*place.waiting, *(Waiting(window.start) for window in opened)):
        if not key_at(dag.partitions, waiting.logical_date):  # the schedule has changed since its turn came
            continue
        looked = waiting.looked(dag.waits, states.of, pendulum.now("UTC"))
        window = dag.partitions.window_containing(looked.logical_date)
        match looked.outcome(dag.waits):
            case Outcome.WAITING:
                still.append(looked)
                lines = ", ".join(map(str, looked.told(dag.waits)))
                told.append(f"{dag.dag_id} {dag.partitions.key_of(window)} waits: {lines}")
            case Outcome.MET:
                requests.append(_request(dag, window, looked))
            case outcome:
                requests.append(_ending(dag, window, looked, outcome))
    return _Turn(Place(last, tuple(still)), requests, told)


def _first(lines: Sequence[str]) -> Sequence[str]:
    more = [f"{len(lines) - SHOWN} more windows wait"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]


def _to_start(instance: dg.DagsterInstance, dag: ScheduledDag, begin: datetime, place: Place) -> list[Window]:
    """The DAG's windows whose turn has come, as many as may run; one that waits takes a place, as in Airflow."""
    now = pendulum.now("UTC")
    started = None if place.last is None else pendulum.instance(place.last)
    due = [window for window in dag.due(started or begin, now) if not started or window.start > started]
    if not dag.catchup:
        due = due[-1:]
    live = instance.get_runs_count(_runs(dag, statuses=list(NOT_FINISHED_STATUSES)))
    room = min(dag.max_active_runs - live - len(place.waiting), RUNS)
    if not due or room <= 0:
        return []
    if not dag.in_order:
        return due[:room]
    if place.waiting or (started and not _has_succeeded(instance, dag, started)):
        return []
    return due[:1]


def _has_succeeded(instance: dg.DagsterInstance, dag: ScheduledDag, start: datetime) -> bool:
    key = dag.partitions.key_of(dag.partitions.window_containing(pendulum.instance(start)))
    newest = instance.get_runs(_runs(dag, partition=key), limit=1)
    return bool(newest) and newest[0].status is dg.DagsterRunStatus.SUCCESS


def _runs(dag: ScheduledDag, *, partition: str = "", statuses: Sequence[Any] = ()) -> dg.RunsFilter:
    run_tags = {tags.DAG: dag.dag_id} | ({tags.PARTITION: partition} if partition else {})
    return dg.RunsFilter(tags=run_tags, statuses=list(statuses) or None)


def _request(dag: ScheduledDag, window: Window, waited: Waiting) -> dg.RunRequest:
    key = dag.partitions.key_of(window)
    since = {name: instant_text(each.since, "seconds") for name, each in waited.progress.items()}
    return dg.RunRequest(
        run_key=f"{dag.dag_id}|{key}",
        job_name=dag.job_of(window),
        partition_key=key,
        tags={
            tags.WINDOW_START: window.start.isoformat(),
            tags.WINDOW_END: window.end.isoformat(),
            **({tags.WAITED: json.dumps(since)} if since else {}),
        },
    )


def _ending(dag: ScheduledDag, window: Window, waited: Waiting, outcome: Outcome) -> dg.RunRequest:
    """The run that stands for a window which nothing will start any more, so that people and alerts see it."""
    key = dag.partitions.key_of(window)
    why = "; ".join(str(each) for each in waited.told(dag.waits) if each.outcome is outcome)
    return dg.RunRequest(
        run_key=f"{dag.dag_id}|{key}|waited",
        job_name=dag.waited_job,
        run_config={"ops": {waited_op(dag.waited_job): {"config": {"outcome": outcome.value, "why": why}}}},
        tags={
            tags.PARTITION: key,
            tags.WINDOW_START: window.start.isoformat(),
            tags.WINDOW_END: window.end.isoformat(),
        },
    )
