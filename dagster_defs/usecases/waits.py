"""How the tasks that a window waits for stand, according to Dagster's event log: whoever ran them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dagster_defs.adapters.dagster.event_log import EventReader, WindowEvent
from dagster_defs.adapters.dagster.runs import PlannedAssets
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.waits import WHOLE_DAG, States, Wait
from dagster_defs.parity import Side
from dagster_defs.windows import Partitions, Scheduled

if TYPE_CHECKING:
    import dagster as dg

NEWEST = (
    20  # how many of a window's newest events, and of its newest runs, are searched for one of the whole unit
)
BATCH = 25  # most windows that one query asks about
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed"})
FAILED = ("failed", "upstream_failed")


@dataclass(frozen=True, slots=True)
class Awaited:
    """A unit that may be waited for. `step`: that of its own in a run on the legacy side; `keys`: the assets that it
    makes, the first of which its events are read from."""

    unit: Unit
    partitions: Partitions[Scheduled]
    keys: Sequence[dg.AssetKey]
    step: str


@dataclass(frozen=True)
class AwaitedStates:
    """Reads each state once, so it is for one tick only."""

    instance: dg.DagsterInstance
    dags: Mapping[str, Sequence[Awaited]]
    _known: dict[tuple[Unit, str], str | None] = field(default_factory=dict)
    _dates: dict[str, set[datetime]] = field(default_factory=dict)
    _found: dict[tuple[Any, str], _Found] = field(default_factory=dict)
    _runs: dict[str, dg.DagsterRun | None] = field(default_factory=dict)

    @cached_property
    def _planned(self) -> PlannedAssets:
        return PlannedAssets(self.instance)

    def expect(self, wait: Wait, dates: Iterable[datetime]) -> None:
        """Logical dates of `wait.dag` that will be asked for in this tick: they are read together."""
        self._dates.setdefault(wait.dag, set()).update(dates)

    def of(self, wait: Wait) -> States:
        """The states of the DAG that the sensor waits for, by logical date and task, in Airflow's words."""
        units = self.dags.get(wait.dag, ())

        def state(logical_date: datetime, task: str) -> str | None:
            if task == WHOLE_DAG:
                return self._whole(units, logical_date)
            found = next((each for each in units if each.unit.task_id == task), None)
            return None if found is None else self._state(found, logical_date)

        return state

    def _whole(self, units: Sequence[Awaited], logical_date: datetime) -> str | None:
        """A DAG's run has failed or succeeded once all its tasks have ended; a skipped task is no failure."""
        there = [each for each in units if key_at(each.partitions, logical_date)]
        states = [self._state(each, logical_date) for each in there]
        if not any(states):
            return None
        if not ENDED.issuperset(states):
            return "running"
        return "failed" if any(state in FAILED for state in states) else "success"

    def _state(self, awaited: Awaited, logical_date: datetime) -> str | None:
        key = key_at(awaited.partitions, logical_date)
        if not key or not awaited.keys:
            return None
        place = awaited.unit, key
        if place not in self._known:
            self._known[place] = self._read(awaited, key)
        return self._known[place]

    def _read(self, awaited: Awaited, partition: str) -> str | None:
        event = self._newest_event(awaited, partition)
        run = self._newest_run(awaited, partition)
        if run is not None and (
            event is None or event.run_id == run.dagster_run.run_id or run.create_timestamp > event.at
        ):
            return self._by_run(awaited, run.dagster_run, event)
        if event is None:
            return None
        if event.run_id and (made_by := self._run(event.run_id)):
            return self._by_run(awaited, made_by, event)
        return event.state if event.state in ENDED else "success"

    def _newest_event(self, awaited: Awaited, partition: str) -> WindowEvent | None:
        """A materialization, or an observation that says how the unit's own task ended: an observation without a state,
        or of another unit that writes the same asset, says nothing. Nor does what a run of a part of the unit wrote."""
        reader, key = EventReader(self.instance), awaited.keys[0]

        def materializations(partitions: Collection[str], limit: int) -> list[WindowEvent]:
            return list(reader.materializations(key, partitions=partitions, limit=limit))

        def observations(partitions: Collection[str], limit: int) -> list[WindowEvent]:
            return list(reader.observations(key, partitions=partitions, limit=limit))

        def is_whole(event: WindowEvent) -> bool:
            made_by = self._run(event.run_id) if event.run_id else None
            return made_by is None or self._is_of(awaited, made_by)

        written: WindowEvent | None = next(
            filter(is_whole, self._newest(awaited, partition, "written", materializations)), None
        )
        noted: WindowEvent | None = next(
            (
                event
                for event in self._newest(awaited, partition, "noted", observations)
                if event.state and event.written_by in ("", str(awaited.unit)) and is_whole(event)
            ),
            None,
        )
        if noted is None or (written is not None and written.position > noted.position):
            return written
        return noted

    def _newest_run(self, awaited: Awaited, partition: str) -> Any:
        """Dagster's newest run of that window that was to do all of the unit, of the unit alone or of its DAG; None
        without one. A run that was refused did nothing, and what was written before it still stands."""
        of_unit = {tags.UNIT: str(awaited.unit), tags.SIDE: Side.LEGACY.value}
        of_dag = {tags.DAG: awaited.unit.dag_id}
        newest = (
            next(
                (
                    record
                    for record in self._newest(of, partition, "runs", self._runs_with(own))
                    if tags.REFUSED not in record.dagster_run.tags
                    and self._is_of(awaited, record.dagster_run)
                ),
                None,
            )
            for of, own in ((awaited, of_unit), (awaited.unit.dag_id, of_dag))
        )
        return max(filter(None, newest), key=lambda record: record.create_timestamp, default=None)

    def _runs_with(self, own: Mapping[str, str]) -> Callable[[Collection[str], int], Sequence[Any]]:
        import dagster as dg

        def read(partitions: Collection[str], limit: int) -> Sequence[Any]:
            wanted = dg.RunsFilter(tags={**own, tags.PARTITION: sorted(partitions)})
            return self.instance.get_run_records(wanted, limit=limit)

        return read

    def _newest(
        self,
        of: Awaited | str,
        partition: str,
        what: str,
        read: Callable[[Collection[str], int], Sequence[Any]],
    ) -> Iterator[Any]:
        """What there is of the partition, newest first; the other expected partitions are read along with it.

        `of`: a unit or a DAG. If there is so much of other partitions that something may be missing, it is read alone.
        """
        place = (of.unit if isinstance(of, Awaited) else of), what
        known = self._found.get((place, partition))
        if known is None:
            wanted = self._expected(of, partition)
            limit = NEWEST * len(wanted)
            found = read(wanted, limit)
            by_partition: dict[str, list[Any]] = {each: [] for each in wanted}
            for each in found:
                by_partition[_partition_of(each)].append(each)
            for name, own in by_partition.items():
                self._found[place, name] = _Found(own, is_all=len(found) < limit)
            known = self._found[place, partition]
        yield from known.newest
        if not known.is_all:
            yield from read([partition], NEWEST)

    def _expected(self, of: Awaited | str, partition: str) -> Collection[str]:
        units = [of] if isinstance(of, Awaited) else self.dags.get(of, ())
        dates = self._dates.get(of.unit.dag_id if isinstance(of, Awaited) else of, ())
        keys = {key_at(unit.partitions, date) for unit in units for date in dates}
        return {partition, *sorted(keys - {"", partition})[: BATCH - 1]}

    def _run(self, run_id: str) -> dg.DagsterRun | None:
        if run_id not in self._runs:
            self._runs[run_id] = self.instance.get_run_by_id(run_id)
        return self._runs[run_id]

    def _is_of(self, awaited: Awaited, run: dg.DagsterRun) -> bool:
        """Whether the run was to do all of the unit. One that ended a window in vain stands for all units; one whose
        plan is not known yet may be of all."""
        if tags.IN_VAIN in run.tags:
            return True
        planned = self._planned.of_step(run, awaited.step)
        return not run.is_finished if planned is None else {*awaited.keys} <= {*planned}

    def _by_run(self, awaited: Awaited, run: dg.DagsterRun, event: WindowEvent | None) -> str:
        """A step that a run has not come to was held up by another. Airflow may try again what its proxy launched."""
        steps = self.instance.get_run_step_stats(run.run_id, [awaited.step])
        status = next((step.status.value for step in steps if step.status is not None), "")
        if status == "SUCCESS":
            is_skip = event is not None and event.run_id == run.run_id and event.is_skip
            return "skipped" if is_skip else "success"
        if not run.is_finished:
            return "running"
        if tags.AIRFLOW_TRY in run.tags:
            return "up_for_retry"
        if run.is_success:
            return "skipped"
        return "failed" if status == "FAILURE" else "upstream_failed"


@dataclass(frozen=True, slots=True)
class _Found:
    """Newest first. `is_all`: nothing of that partition was left out."""

    newest: Sequence[Any]
    is_all: bool


def _partition_of(found: Any) -> str:
    return str(found.partition if isinstance(found, WindowEvent) else found.dagster_run.tags[tags.PARTITION])


def key_at(partitions: Partitions[Scheduled], logical_date: datetime) -> str:
    """The partition of the run with that logical date; empty if there is none."""
    try:
        window = partitions.window_containing(logical_date)
        is_run = window.start == logical_date and partitions.schedule.is_in_bounds(window)
        return partitions.key_of(window) if is_run else ""
    except ParityError:
        return ""
