"""The sensor that starts a candidate run for each window, or run without a window, that legacy has run."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pendulum
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES
from typing_extensions import Self

from dagster_defs.adapters.dagster.event_log import EventReader, WindowEvent
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, UnitState, state_of, tags
from dagster_defs.lifecycle.histories import UnitHistory, Unmoved
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import EventSchedule, Times

EVENTS = 1_000  # most materializations that one tick reads
RUNS = 25  # most candidate runs that one tick starts
FIRST_LOOK = pendulum.duration(days=1)
_UNDATED = pendulum.datetime(1970, 1, 1)  # runs without a window come first, in the order of their events


@dataclass(frozen=True, slots=True)
class ShadowedUnit:
    """What the sensor knows about a unit. `told_by`: the legacy asset whose materialization shows that a window ran.

    `after`: units whose candidate data this unit's candidate reads.
    """

    unit: Unit
    job: str
    told_by: dg.AssetKey
    times: Times
    after: frozenset[Unit] = frozenset()

    @property
    def op(self) -> str:
        return f"run__{self.job}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A window that legacy has run, waiting for its candidate run; `event`: its position in the event log.

    For a run without a window, `partition` is the id of that run, and `start` is None.
    """

    unit: Unit
    partition: str
    event: int
    run_id: str  # of the Dagster run that wrote it; empty if Airflow did
    start: datetime | None

    def is_before(self, later: "Waiting") -> bool:
        """Whether another unit's run of `later` may read it; unknown, and so possible, if either has no window."""
        return self.start is None or later.start is None or self.start <= later.start


@dataclass(frozen=True, slots=True)
class Cursor:
    """`until`: the event log was read up to here; `waiting`: windows without a candidate run yet."""

    until: int | None = None
    waiting: tuple[tuple[str, str, int, str], ...] = field(default_factory=tuple)

    @classmethod
    def read(cls, text: str | None) -> Self:
        if not text:
            return cls()
        stored = json.loads(text)
        waiting = tuple((unit, key, event, run_id) for unit, key, event, run_id in stored["waiting"])
        return cls(stored["until"], waiting)

    def write(self) -> str:
        return json.dumps({"until": self.until, "waiting": self.waiting})


def build_shadow_sensor(
    name: str, units: Sequence[ShadowedUnit], jobs: Sequence[Any], poll_seconds: int, root: Path
) -> dg.SensorDefinition:
    """`jobs`: the candidate jobs of all units. `root`: the Dagster project."""
    by_key = {unit.told_by: unit for unit in units}
    by_unit = {unit.unit: unit for unit in units}

    @dg.sensor(
        name=f"{name}_shadow",
        jobs=jobs,
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs each window that legacy has run as a candidate too, and compares it.",
    )
    def shadow(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            store = store_reader(Settings.from_process(root))
            marks, histories = store.marks(), store.read().histories()
        except ParityError as error:
            return dg.SkipReason(str(error))
        cursor = Cursor.read(context.cursor)
        until, fresh = _read_log(context, cursor.until, by_key)
        waiting = _newest([*_parsed(context, by_unit, cursor.waiting), *_parsed(context, by_unit, fresh)])
        shadowed = {
            unit: _is_shadowed(unit, marks, histories) for unit in {window.unit for window in waiting}
        }
        waiting = [window for window in waiting if shadowed[window.unit] is not False]
        waiting, settled = _without_failed(context.instance, waiting)
        settled = {window for window in settled if shadowed[window.unit]}
        started = list(_due(waiting, settled, by_unit, _busy(context.instance)))[:RUNS]
        requests = [
            request for window in started for request in _requests(context, by_unit[window.unit], window)
        ]
        left = [window for window in waiting if window not in started]
        kept = tuple((str(window.unit), window.partition, window.event, window.run_id) for window in left)
        return dg.SensorResult(
            run_requests=requests,
            cursor=replace(cursor, until=until, waiting=kept).write(),
        )

    return shadow


def _is_shadowed(
    unit: Unit, marks: Mapping[Unit, bool], histories: Mapping[Unit, UnitHistory]
) -> bool | None:
    """None if its ledger or mark cannot be read: its windows wait until that is fixed."""
    try:
        recorded = histories.get(unit, Unmoved(unit)).stage
        if recorded is not None:
            return UnitState(unit, recorded).runs_candidate
        return state_of(unit, marks).runs_candidate
    except ParityError:
        return None


def _read_log(
    context: dg.SensorEvaluationContext, until: int | None, by_key: Mapping[dg.AssetKey, ShadowedUnit]
) -> tuple[int | None, list[tuple[str, str, int, str]]]:
    """The log's materializations since `until`, at most a tick's worth, and which of them show that a window was run.

    One query serves all units: its cost depends on the number of materializations, not on the number of units.
    """
    by_path = {tuple(key.path): unit for key, unit in by_key.items()}
    since = pendulum.now("UTC") - FIRST_LOOK if until is None else None
    events = EventReader(context.instance).written_after(until, since, EVENTS)
    reported = [
        (str(by_path[event.asset].unit), event.name, event.position, event.run_id)
        for event in events
        if event.asset in by_path and event.name and _is_kin(event, by_path[event.asset])
    ]
    return (events[-1].position if events else until), reported


def _is_kin(event: WindowEvent, unit: ShadowedUnit) -> bool:
    """Whether it is about what the unit's runs are about: a unit's schedule may have changed."""
    if isinstance(unit.times, EventSchedule):
        return event.partition is None
    is_of_tick = unit.times.of_ticks if event.start is None else event.start == event.end
    return event.partition is not None and is_of_tick is unit.times.of_ticks


def _parsed(
    context: dg.SensorEvaluationContext,
    by_unit: Mapping[Unit, ShadowedUnit],
    events: Iterable[tuple[str, str, int, str]],
) -> Iterator[Waiting]:
    """The windows that can be run; deleted units and keys that are no longer partitions are skipped with a warning."""
    for name, partition, event, run_id in events:
        try:
            unit = Unit.parse(name)
            times = by_unit[unit].times
            start = None if isinstance(times, EventSchedule) else times.window_of(partition).start
        except (ParityError, KeyError) as error:
            context.log.warning(f"{name} {partition} gets no candidate run: {error}")
            continue
        yield Waiting(unit, partition, event, run_id, start)


def _newest(waiting: Iterable[Waiting]) -> list[Waiting]:
    """The latest event of each window, in window order."""
    last = {
        (window.unit, window.partition): window for window in sorted(waiting, key=lambda window: window.event)
    }
    return sorted(last.values(), key=lambda window: (window.start or _UNDATED, window.unit, window.event))


def _without_failed(
    instance: dg.DagsterInstance, waiting: Sequence[Waiting]
) -> tuple[list[Waiting], set[Waiting]]:
    """Drops windows whose legacy run failed, which have nothing to compare with; also returns the settled ones.

    A Dagster run reports each model as it is built, but its window is done only when the run is. A run that Dagster no
    longer has must have ended, and its failure would have been seen.
    """
    ids = sorted({window.run_id for window in waiting if window.run_id})
    runs = instance.get_runs(dg.RunsFilter(run_ids=ids)) if ids else []
    failed = {
        run.run_id
        for run in runs
        if run.status in FINISHED_STATUSES and run.status is not dg.DagsterRunStatus.SUCCESS
    }
    going_on = {run.run_id for run in runs if run.status not in FINISHED_STATUSES}
    left = [window for window in waiting if window.run_id not in failed]
    return left, {window for window in left if window.run_id not in going_on}


def _busy(instance: dg.DagsterInstance) -> set[Unit]:
    """Units with a candidate run that has not ended."""
    runs_filter = dg.RunsFilter(tags={tags.SIDE: Side.CANDIDATE.value}, statuses=list(NOT_FINISHED_STATUSES))
    return {
        Unit.parse(run.tags[tags.UNIT]) for run in instance.get_runs(runs_filter) if tags.UNIT in run.tags
    }


def _due(
    waiting: Sequence[Waiting],
    settled: Collection[Waiting],
    by_unit: Mapping[Unit, ShadowedUnit],
    busy: set[Unit],
) -> Iterator[Waiting]:
    """Each unit's first window, if it is settled, has no live candidate run, and reads nothing that is still to come.

    A window that legacy is still running is to come for its unit's later windows and for the units that read it.
    """
    occupied = set(busy)
    for window in waiting:
        if window.unit in occupied:
            continue
        above = by_unit[window.unit].after
        held = above & occupied or any(other.unit in above and other.is_before(window) for other in waiting)
        occupied.add(window.unit)  # a unit's windows run in order: a held window holds the later ones too
        if window in settled and not held:
            yield window


def _requests(
    context: dg.SensorEvaluationContext, unit: ShadowedUnit, window: Waiting
) -> Iterator[dg.RunRequest]:
    """One, or none if what was known about a run without a window is gone."""
    run_tags = {tags.LEGACY_EVENT: str(window.event)}
    if not isinstance(unit.times, EventSchedule):
        yield dg.RunRequest(
            run_key=f"{window.unit}|{window.partition}|{window.event}",
            job_name=unit.job,
            partition_key=window.partition,
            tags=run_tags,
        )
        return
    event = EventReader(context.instance).materialization(unit.told_by, window.event)
    if event is None or event.occasion is None:
        context.log.warning(f"{window.unit} {window.partition} gets no candidate run: its event is gone")
        return
    tried = event.airflow_try or f"event {window.event}"
    yield dg.RunRequest(
        run_key=f"{window.unit}|{window.partition}|{tried}",
        job_name=unit.job,
        run_config={"ops": {unit.op: {"config": {"occasion": event.occasion.as_json()}}}},
        tags={**run_tags, tags.OCCASION: window.partition},
    )
