"""How the tasks that a window waits for stand, according to Dagster's event log: whoever ran them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dagster_defs.adapters.dagster.event_log import EventReader, WindowEvent
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.waits import WHOLE_DAG, States, Wait
from dagster_defs.parity import Side
from dagster_defs.windows import PartitionedSchedule

if TYPE_CHECKING:
    import dagster as dg

NOTES = 20  # how many of a window's newest observations are searched for one of the unit's own
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed"})
FAILED = ("failed", "upstream_failed")


@dataclass(frozen=True, slots=True)
class Awaited:
    """A unit that may be waited for. `step`: that of its own in a run on the legacy side; `keys`: the assets that it
    makes, the first of which its events are read from."""

    unit: Unit
    partitions: PartitionedSchedule
    keys: Sequence[dg.AssetKey]
    step: str


@dataclass(frozen=True)
class AwaitedStates:
    """Reads each state once, so it is for one tick only."""

    instance: dg.DagsterInstance
    dags: Mapping[str, Sequence[Awaited]]
    _known: dict[tuple[Unit, str], str | None] = field(default_factory=dict)

    def of(self, wait: Wait) -> States:
        """The states of the DAG that the sensor waits for, by logical date and task, in Airflow's words."""
        units = self.dags.get(wait.dag, ())

        def state(logical_date: datetime, task: str) -> str | None:
            if task == WHOLE_DAG:
                return self._whole([each for each in units if each.keys], logical_date)
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
        if event.run_id and (made_by := self.instance.get_run_by_id(event.run_id)):
            return self._by_run(awaited, made_by, event)
        return event.state if event.state in ENDED else "success"

    def _newest_event(self, awaited: Awaited, partition: str) -> WindowEvent | None:
        """A materialization, or an observation that says how the unit's own task ended. A success that is only observed
        is in doubt, and none."""
        reader, key = EventReader(self.instance), awaited.keys[0]
        written = next(reader.materializations(key, partition=partition, limit=1), None)
        noted = next(
            (
                event
                for event in reader.observations(key, partition=partition, limit=NOTES)
                if event.state and event.written_by in ("", str(awaited.unit))
            ),
            None,
        )
        if noted is None or (written is not None and written.position > noted.position):
            return written
        return noted

    def _newest_run(self, awaited: Awaited, partition: str) -> Any:
        """Dagster's newest run of that window, of the unit alone or of its DAG; None without one."""
        import dagster as dg

        own = {tags.UNIT: str(awaited.unit), tags.SIDE: Side.LEGACY.value}
        newest = [
            *self.instance.get_run_records(dg.RunsFilter(tags={**own, tags.PARTITION: partition}), limit=1),
            *self.instance.get_run_records(
                dg.RunsFilter(tags={tags.DAG: awaited.unit.dag_id, tags.PARTITION: partition}), limit=1
            ),
        ]
        asked = [record for record in newest if tags.REFUSED not in record.dagster_run.tags]
        return max(asked, key=lambda record: record.create_timestamp, default=None)

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


def key_at(partitions: PartitionedSchedule, logical_date: datetime) -> str:
    """The partition of the run with that logical date; empty if there is none."""
    try:
        window = partitions.window_containing(logical_date)
        is_run = window.start == logical_date and partitions.schedule.is_in_bounds(window)
        return partitions.key_of(window) if is_run else ""
    except ParityError:
        return ""
