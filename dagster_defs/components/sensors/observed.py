"""Turns what Airflow did into events of the mirrored assets: a success materializes, anything else is observed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import dagster as dg

from dagster_defs.adapters.airflow.client import RETRIED, AirflowReader
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance
from dagster_defs.adapters.dagster.event_log import EventReader
from dagster_defs.components.runs.run_window import occasion_metadata
from dagster_defs.components.sensors.mapped_tasks import MappedTasks, WholeTask
from dagster_defs.components.sensors.task_runs import TaskRuns
from dagster_defs.errors import ParityError, Unaligned
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.attribution import Executor
from dagster_defs.settings import Settings
from dagster_defs.usecases.observe import Finished, Memory
from dagster_defs.windows import EventSchedule, Tick, Times

Event = dg.AssetMaterialization | dg.AssetObservation

COMMAND, MAP_INDEX, MAP_INDICES = "Command", "Map index", "Map indices"
MOST = 5_000  # events of one asset to search: more than one tick ever stores
NOTHING_CLAIMED = "Nothing is claimed about any partition"
CLOCKS = timedelta(minutes=10)  # how far Airflow's and Dagster's clocks may differ


def mirrored_keys(repository: dg.RepositoryDefinition) -> dict[Unit, list[dg.AssetKey]]:
    """The assets of each unit, according to the assets' own metadata."""
    keys_of: dict[Unit, list[dg.AssetKey]] = {}
    for node in repository.asset_graph.asset_nodes:
        mapping: Any = node.metadata.get(tags.TASK_MAPPING)
        for handle in getattr(mapping, "value", mapping) or ():
            keys = keys_of.setdefault(Unit(handle["dag_id"], handle["task_id"]), [])
            if node.key not in keys:
                keys.append(node.key)
    return keys_of


@dataclass
class EventTranslator:
    """`estate`: first part of the asset key of a task without a mirror.

    `also_written`: keys that a unit writes but another unit's mirror defines; these get observations.
    """

    estate: str
    client: AirflowReader
    instance: dg.DagsterInstance
    keys: Mapping[Unit, Sequence[dg.AssetKey]]
    times: Mapping[Unit, Times]
    also_written: Mapping[Unit, Sequence[dg.AssetKey]]
    settings: Settings
    _tries: set[str] = field(default_factory=set)

    def tell(self, finished: Sequence[Finished], memory: Memory) -> Iterator[list[Event]]:
        """The events of each task, including tries that went unseen; none for a try that Dagster itself ran.

        The instances of a mapped task with a mirror have one event together, once all of them have ended.
        """
        runs = TaskRuns(self.instance, [finished_try.task for finished_try in finished], self.settings)
        mapped = MappedTasks(self.client)
        for finished_try in finished:
            earlier = self.client.earlier_tries(finished_try.task)
            events = [*self._unseen_tries(finished_try, earlier, runs)]
            if self._is_one_of_many(finished_try.task):
                if (whole := mapped.whole(finished_try.task)) and not memory.knows(*whole.identity):
                    events += self._of_whole(finished_try, whole, runs)
                    memory.note(*whole.identity)
                yield events
                continue
            executor, run = runs.executor(finished_try.task, earlier)
            if executor is not Executor.DAGSTER:
                events += self._events(finished_try, run if executor is Executor.UNCLEAR else "")
            yield events

    def _is_one_of_many(self, task: TaskInstance) -> bool:
        """Whether its window is over only with the other instances; a try that Airflow repeats is told by itself."""
        return task.map_index >= 0 and task.state != RETRIED and self._is_mirrored(task.unit)

    def _is_mirrored(self, unit: Unit) -> bool:
        return unit in self.times and bool(self.keys.get(unit))

    def _of_whole(self, finished_try: Finished, whole: WholeTask, runs: TaskRuns) -> Iterator[Event]:
        executor, run = runs.executor_of_all(whole)
        if executor is Executor.DAGSTER:
            return
        of_all = replace(finished_try, task=whole.task)
        yield from self._events(of_all, run if executor is Executor.UNCLEAR else "", whole.states)

    def _unseen_tries(
        self, finished_try: Finished, earlier: Sequence[TaskInstance], runs: TaskRuns
    ) -> Iterator[Event]:
        """Airflow's own tries that failed and were cleared or retried between two ticks."""
        failed = [
            task
            for task in earlier
            if task.state in ("failed", RETRIED)
            and task.end
            and task.of_try not in self._tries
            and runs.executor(task, earlier)[0] is Executor.AIRFLOW
        ]
        if failed:
            known = self._known_tries(finished_try, failed)
            for task in failed:
                if task.of_try not in known:
                    yield from self._events(replace(finished_try, task=task))

    def _known_tries(self, finished_try: Finished, tries: Sequence[TaskInstance]) -> set[str]:
        """The tries of this task that Dagster's event log already has."""
        key, partition, _ = self._place(finished_try)
        since = min(task.end for task in tries if task.end) - CLOCKS
        known = EventReader(self.instance).observations(key, partition=partition, since=since, limit=MOST)
        return {event.task_instance.rsplit("|", 1)[0] for event in known}

    def _place(self, finished_try: Finished) -> tuple[dg.AssetKey, str | None, str]:
        """The first asset, the partition, and the reason if the run has none and should have one, or if what Airflow
        knows about a run without a window is incomplete."""
        unit = finished_try.task.unit
        keys, partitions = self.keys.get(unit), self.times.get(unit)
        if not keys or partitions is None:
            return dg.AssetKey([self.estate, unit.dag_id, unit.task_id]), None, ""
        try:
            if finished_try.run is None:
                return keys[0], None, "unaligned: Airflow no longer has its DAG run"
            if isinstance(partitions, EventSchedule):
                known = finished_try.run.occasion is not None
                return keys[0], None, "" if known else "unaligned: Airflow does not say what its run is about"
            window = finished_try.run.window
            if window is None or (isinstance(window, Tick) and not partitions.of_ticks):
                raise Unaligned(
                    str(partitions.schedule), finished_try.run.instead_of_window, (), NOTHING_CLAIMED
                )
            return keys[0], partitions.key_of(window), ""
        except ParityError as error:
            return keys[0], None, f"unaligned: {error}"
        except Exception as error:  # one odd run must never stop the others from being observed
            return keys[0], None, f"unaligned: {type(error).__name__}: {error}"

    def _events(self, finished_try: Finished, contradiction: str = "", indices: str = "") -> Iterator[Event]:
        """Materializations with the window's partition; for everything else, observations with the reason.

        `contradiction`: describes a Dagster run that did not succeed behind a try that did. Somebody marked the try by
        hand, or both have written; as that is unknown, it is not a materialization. `indices`: how the instances of a
        mapped task ended.
        """
        task = finished_try.task
        self._tries.add(task.of_try)
        first, partition, reason = self._place(finished_try)
        metadata = self._metadata(task, finished_try.run, indices)
        written = {**metadata, tags.WRITTEN_BY: str(task.unit)}
        for key in self.keys[task.unit] if self._is_mirrored(task.unit) else [first]:
            if task.state != "success":
                description = ". ".join(
                    filter(None, (f"{task.state} in Airflow, try {task.try_number}", reason))
                )
                yield dg.AssetObservation(
                    key, partition=partition, description=description, metadata=metadata
                )
            elif contradiction:
                said = f"success in Airflow, try {task.try_number}"
                description = f"{said}, but its {contradiction}: it may be written in part"
                yield dg.AssetObservation(key, partition=partition, description=description, metadata=written)
            elif reason:
                yield dg.AssetObservation(key, description=reason, metadata=written)
            else:
                yield dg.AssetMaterialization(key, partition=partition, metadata=metadata)
        if task.state == "success":
            for key in self.also_written.get(task.unit, ()):
                yield dg.AssetObservation(key, description=f"also built by {task.unit}", metadata=written)

    def _metadata(self, task: TaskInstance, run: DagRun | None, indices: str) -> dict[str, Any]:
        facts: dict[str, Any] = {
            tags.SHOWN_RUN: dg.MetadataValue.url(self.client.link(task.unit, task.run_id)),
            tags.SHOWN_RUN_ID: task.run_id,
            tags.SHOWN_TRY: task.try_number,
            tags.SHOWN_STATE: task.state,
            "Operator": task.operator,
            tags.AIRFLOW_TASK_INSTANCE: task.identity,
        }
        if indices:
            facts[MAP_INDICES] = indices
        elif task.map_index >= 0:
            facts[MAP_INDEX] = task.map_index
        if task.command:
            facts[COMMAND] = task.command
        if task.duration is not None:
            facts["Duration (s)"] = task.duration
        if task.start and task.end:
            facts[tags.BEGAN] = dg.MetadataValue.timestamp(task.start.timestamp())
            facts[tags.ENDED] = dg.MetadataValue.timestamp(task.end.timestamp())
        if run and run.occasion and isinstance(self.times.get(task.unit), EventSchedule):
            facts |= occasion_metadata(run.occasion)
        elif run and run.window:
            facts[tags.WINDOW_START] = dg.MetadataValue.timestamp(run.window.start.timestamp())
            facts[tags.WINDOW_END] = dg.MetadataValue.timestamp(run.window.end.timestamp())
        return facts


@dataclass(frozen=True)
class TickLog:
    """Detects an interrupted tick: Dagster stores a tick's events one by one, and its cursor last.

    The first event of a tick, an observation of `key`, names the cursor that the tick began with. If that is still the
    cursor, the tick stored some of its events, which must not be stored again.
    """

    instance: dg.DagsterInstance
    key: dg.AssetKey

    def opened(self, events: Iterable[Event], token: str, tasks: int) -> list[Event]:
        """The event that opens the tick, followed by the events that are not stored yet."""
        events = list(events)
        if not events:
            return []
        newest = next(EventReader(self.instance).observations(self.key, limit=1), None)
        if newest and newest.tick == token:
            return list(self._missing(events, newest.position))
        opening = dg.AssetObservation(
            self.key,
            description=f"{tasks} finished tasks of Airflow",
            metadata={tags.TICK: token, "Tasks": tasks},
        )
        return [opening, *events]

    def _missing(self, events: Sequence[Event], since: int) -> Iterator[Event]:
        stored: dict[dg.AssetKey, set[tuple[type, str]]] = {}
        for event in events:
            if event.asset_key not in stored:
                stored[event.asset_key] = set(self._stored(event.asset_key, since))
            if (type(event), _description(event)) not in stored[event.asset_key]:
                yield event

    def _stored(self, key: dg.AssetKey, since: int) -> Iterator[tuple[type, str]]:
        log = EventReader(self.instance)
        for event in log.materializations(key, after=since, limit=MOST):
            yield dg.AssetMaterialization, event.task_instance
        for event in log.observations(key, after=since, limit=MOST):
            yield dg.AssetObservation, event.task_instance


def _description(event: Event) -> str:
    """The task instance that an event, which is not stored yet, is about."""
    value: Any = event.metadata.get(tags.AIRFLOW_TASK_INSTANCE)
    return str(value.value) if value else ""
