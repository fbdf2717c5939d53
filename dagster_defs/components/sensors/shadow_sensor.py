"""The sensor that starts a candidate run for each window that legacy has run."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

import dagster as dg
import pendulum
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES

from dagster_defs.adapters.store.ledger import LedgerReader
from dagster_defs.adapters.store.proxied_state import read_marks
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, UnitState, state_of, tags
from dagster_defs.lifecycle.ledger import UnitHistory
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import PartitionedSchedule

EVENTS = 1_000  # materializations that one tick reads
RUNS = 25  # candidate runs that one tick starts
FIRST_LOOK = pendulum.duration(days=1)


@dataclass(frozen=True, slots=True)
class ShadowedUnit:
    """What the sensor knows of a unit. `told_by`: the legacy asset whose materialization tells that a window was run.

    `after`: units whose candidate data this one's candidate reads.
    """

    unit: Unit
    job: str
    told_by: dg.AssetKey
    partitions: PartitionedSchedule
    after: frozenset[Unit] = frozenset()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A window that legacy has run and that waits for its candidate run; `event`: its place in the event log."""

    unit: Unit
    partition: str
    event: int
    run_id: str  # of the Dagster run that wrote it; empty where Airflow did
    start: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """`until`: the event log was read up to here; `waiting`: what has no candidate run yet."""

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
    name: str, units: Sequence[ShadowedUnit], jobs: Sequence[Any], poll_seconds: int
) -> dg.SensorDefinition:
    """`jobs`: of the candidates of all units."""
    by_key = {unit.told_by: unit for unit in units}
    by_unit = {unit.unit: unit for unit in units}

    @dg.sensor(
        name=f"{name}_shadow",
        jobs=jobs,
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Each window that legacy has run is run as a candidate too, and compared.",
    )
    def shadow(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            folder = Settings.from_process().proxied_state
            marks, histories = read_marks(folder), LedgerReader(folder).read().histories()
        except ParityError as error:
            return dg.SkipReason(str(error))
        cursor = Cursor.read(context.cursor)
        until, fresh = _read_log(context, cursor.until, by_key)
        waiting = _newest([*_parsed(context, by_unit, cursor.waiting), *_parsed(context, by_unit, fresh)])
        shadowed = {unit: _is_shadowed(unit, marks, histories) for unit in {one.unit for one in waiting}}
        waiting = [one for one in waiting if shadowed[one.unit] is not False]
        waiting, settled = _without_failed(context.instance, waiting)
        settled = {one for one in settled if shadowed[one.unit]}
        started = list(_due(waiting, settled, by_unit, _busy(context.instance)))[:RUNS]
        left = [one for one in waiting if one not in started]
        kept = tuple((str(one.unit), one.partition, one.event, one.run_id) for one in left)
        return dg.SensorResult(
            run_requests=[_request(by_unit[one.unit].job, one) for one in started],
            cursor=replace(cursor, until=until, waiting=kept).write(),
        )

    return shadow


def _is_shadowed(
    unit: Unit, marks: Mapping[Unit, bool], histories: Mapping[Unit, UnitHistory]
) -> bool | None:
    """None where its ledger or its mark cannot be read: its windows wait until somebody has mended that."""
    try:
        recorded = histories.get(unit, UnitHistory(unit)).stage
        if recorded is not None:
            return UnitState(unit, recorded).runs_candidate
        return state_of(unit, marks).runs_candidate
    except ParityError:
        return None


def _read_log(
    context: dg.SensorEvaluationContext, until: int | None, by_key: Mapping[dg.AssetKey, ShadowedUnit]
) -> tuple[int | None, list[tuple[str, str, int, str]]]:
    """The log's materializations since `until`, at most a tick's worth, and which of them tell of a window.

    One question for all units: what it costs follows from what was materialized, not from how many units there are.
    """
    since = (pendulum.now("UTC") - FIRST_LOOK).timestamp() if until is None else None
    records = context.instance.event_log_storage.get_event_records(
        dg.EventRecordsFilter(
            dg.DagsterEventType.ASSET_MATERIALIZATION, after_cursor=until, after_timestamp=since
        ),
        limit=EVENTS,
        ascending=True,
    )
    told = [
        (str(by_key[key].unit), record.partition_key, record.storage_id, record.run_id)
        for record in records
        for key in [record.asset_key]
        if key is not None and key in by_key and record.partition_key
    ]
    return (records[-1].storage_id if records else until), told


def _parsed(
    context: dg.SensorEvaluationContext,
    by_unit: Mapping[Unit, ShadowedUnit],
    told: Iterable[tuple[str, str, int, str]],
) -> Iterator[Waiting]:
    """What can be run: a unit that is gone, or a key that is no partition's any more, is left out and said."""
    for name, partition, event, run_id in told:
        try:
            unit = Unit.parse(name)
            start = by_unit[unit].partitions.window_of(partition).start
        except (ParityError, KeyError) as error:
            context.log.warning(f"{name} {partition} gets no candidate run: {error}")
            continue
        yield Waiting(unit, partition, event, run_id, start)


def _newest(waiting: Iterable[Waiting]) -> list[Waiting]:
    """One for each window, the last that was told, in the order of the windows."""
    last = {(one.unit, one.partition): one for one in sorted(waiting, key=lambda one: one.event)}
    return sorted(last.values(), key=lambda one: (one.start, one.unit))


def _without_failed(
    instance: dg.DagsterInstance, waiting: Sequence[Waiting]
) -> tuple[list[Waiting], set[Waiting]]:
    """Without those whose legacy run has failed, of which there is nothing to stand beside; and which are settled.

    A Dagster run tells of each model as it is built: the window is done when the run is. A run that Dagster has
    forgotten has ended, and had it failed, this would have been seen.
    """
    ids = sorted({one.run_id for one in waiting if one.run_id})
    runs = instance.get_runs(dg.RunsFilter(run_ids=ids)) if ids else []
    failed = {
        run.run_id
        for run in runs
        if run.status in FINISHED_STATUSES and run.status is not dg.DagsterRunStatus.SUCCESS
    }
    going_on = {run.run_id for run in runs if run.status not in FINISHED_STATUSES}
    left = [one for one in waiting if one.run_id not in failed]
    return left, {one for one in left if one.run_id not in going_on}


def _busy(instance: dg.DagsterInstance) -> set[Unit]:
    """Units with a candidate run that has not ended."""
    wanted = dg.RunsFilter(tags={tags.SIDE: Side.CANDIDATE.value}, statuses=list(NOT_FINISHED_STATUSES))
    return {Unit.parse(run.tags[tags.UNIT]) for run in instance.get_runs(wanted) if tags.UNIT in run.tags}


def _due(
    waiting: Sequence[Waiting],
    settled: Collection[Waiting],
    by_unit: Mapping[Unit, ShadowedUnit],
    busy: set[Unit],
) -> Iterator[Waiting]:
    """The first window of each unit that is settled, has no candidate run going on, and reads nothing that is to come.

    What legacy still runs is to come, for its own unit's later windows and for whoever reads it.
    """
    occupied = set(busy)
    for one in waiting:
        if one.unit in occupied:
            continue
        above = by_unit[one.unit].after
        held = above & occupied or any(other.unit in above and other.start <= one.start for other in waiting)
        occupied.add(one.unit)  # windows of a unit run in order: a held one holds the later ones too
        if one in settled and not held:
            yield one


def _request(job: str, one: Waiting) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{one.unit}|{one.partition}|{one.event}",
        job_name=job,
        partition_key=one.partition,
        tags={tags.LEGACY_EVENT: str(one.event)},
    )
