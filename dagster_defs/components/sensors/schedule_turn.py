"""What one tick of the schedule does for one retired DAG: which windows it starts, ends or lets wait."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
import pendulum
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from dagster_defs.adapters.dagster.runs import record_of
from dagster_defs.components.sensors.scheduled_dag import ScheduledDag
from dagster_defs.components.sensors.waited_job import waited_op
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.started import Place
from dagster_defs.lifecycle.waits import Outcome, Waiting
from dagster_defs.usecases.waits import AwaitedStates, key_at
from dagster_defs.windows import Scheduled, instant_text

RUNS = 25  # most runs that one tick starts for one DAG
BY_HAND = 20  # how many of the newest runs of each window that waits are looked at
LOST = 1_000  # how many of a DAG's newest runs tell what was started before the cursor was lost


@dataclass
class ScheduleTurn:
    """`is_spent`: whether the tick has no time for another look. `after`, `requests`, `told`, `dropped`: what comes of
    the turn: the place from then on, the runs to be started, what its windows wait for, and those that nobody starts
    any more, with the reason."""

    instance: dg.DagsterInstance
    dag: ScheduledDag
    place: Place
    states: AwaitedStates
    is_spent: Callable[[], bool]
    after: Place = field(default_factory=Place)
    requests: list[dg.RunRequest] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def take(self, begin: datetime) -> None:
        """A window whose turn has come is started, or waits; one that has waited in vain is ended."""
        now = pendulum.now("UTC")
        opened, last = self._to_start(begin)
        waiting = self.place.waiting
        if self.place.held:
            waiting = tuple(each.resumed(now) for each in waiting)
        waiting = tuple(each for each in waiting if self._is_scheduled(each))
        by_hand = self._by_hand(waiting)
        waiting = (*waiting, *(Waiting(window.start, begun=now) for window in opened))
        for wait in self.dag.waits:
            asked = (wait.asks_about(each.logical_date) or () for each in waiting)
            self.states.expect(wait, (date for dates in asked for date in dates))
        still: list[Waiting] = []
        # Those that were looked at least recently come first, so that none is left out for ever.
        for n, each in enumerate(sorted(waiting, key=lambda one: one.seen or one.logical_date)):
            if n and self.dag.waits and self.is_spent():
                still.append(each)
            else:
                still += self._look(each, by_hand.get(self._key(each), ()))
        self.after = Place(last, tuple(sorted(still, key=lambda one: one.logical_date)))

    def _look(self, waiting: Waiting, by_hand: Sequence[dg.DagsterRun]) -> Sequence[Waiting]:
        """The window, if it waits on."""
        key = self._key(waiting)
        if written := next((run for run in by_hand if run.is_success and record_of(run).whole), None):
            self.dropped.append(
                f"{self.dag.dag_id} {key} is not started: somebody has, and run {written.run_id[:8]} has succeeded"
            )
            return []
        if live := next((run for run in by_hand if not run.is_finished), None):
            self.told.append(
                f"{self.dag.dag_id} {key} waits: run {live.run_id[:8]}, which somebody started, has not ended"
            )
            return [waiting.resumed(pendulum.now("UTC"))]
        looked = waiting.looked(self.dag.waits, self.states.of, pendulum.now("UTC"))
        window = self.dag.partitions.window_containing(pendulum.instance(looked.logical_date))
        match looked.outcome(self.dag.waits):
            case Outcome.WAITING:
                lines = ", ".join(map(str, looked.told(self.dag.waits)))
                self.told.append(f"{self.dag.dag_id} {key} waits: {lines}")
                return [looked]
            case Outcome.MET:
                self.requests.append(_request(self.dag, window, looked))
            case outcome:
                self.requests.append(_ending(self.dag, window, looked, outcome))
        return []

    def _key(self, waiting: Waiting) -> str:
        return key_at(self.dag.partitions, waiting.logical_date)

    def _is_scheduled(self, waiting: Waiting) -> bool:
        if self._key(waiting):
            return True
        at = instant_text(waiting.logical_date)
        self.dropped.append(
            f"{self.dag.dag_id}: the schedule has no window from {at} any more, which waits no longer"
        )
        return False

    def _by_hand(self, waiting: Sequence[Waiting]) -> Mapping[str, Sequence[dg.DagsterRun]]:
        """By partition, newest first: runs of the DAG for windows that wait, created since their turn came. The
        schedule has started none of these windows, so somebody else has."""
        begun = {self._key(each): each.begun for each in waiting}
        if not begun:
            return {}
        filters = _runs(self.dag, partitions=begun.keys())
        found: dict[str, list[dg.DagsterRun]] = {}
        for record in self.instance.get_run_records(filters, limit=BY_HAND * len(begun)):
            run = record.dagster_run
            since = begun[run.tags[tags.PARTITION]]
            if tags.IN_VAIN not in run.tags and (since is None or record.create_timestamp > since):
                found.setdefault(run.tags[tags.PARTITION], []).append(run)
        return found

    def _to_start(self, begin: datetime) -> tuple[Sequence[Scheduled], datetime | None]:
        """The DAG's windows whose turn has come, as many as may run; one that waits takes a place, as in Airflow. And
        the start of the newest window whose turn has come by now."""
        dag, place, now = self.dag, self.place, pendulum.now("UTC")
        started = None if place.last is None else pendulum.instance(place.last)
        due = [window for window in dag.due(started or begin, now) if not started or window.start > started]
        if not dag.catchup:
            due = due[-1:]
        live = self.instance.get_runs_count(_runs(dag, statuses=list(NOT_FINISHED_STATUSES)))
        room = min(dag.max_active_runs - live - len(place.waiting), RUNS)
        if not due or room <= 0:
            return [], place.last
        if not started:  # the first tick, or a cursor that was lost
            written = self._written()
            newest = due[-1].start
            due = [window for window in due if dag.partitions.key_of(window) not in written]
            if not due:
                return [], newest
        if dag.in_order:
            if place.waiting or (started and not self._has_succeeded(started)):
                return [], place.last
            room = 1
        opened = due[:room]
        return opened, opened[-1].start

    def _written(self) -> Collection[str]:
        """Partitions of which a run of the whole DAG has succeeded."""
        filters = _runs(self.dag, statuses=[dg.DagsterRunStatus.SUCCESS])
        runs = self.instance.get_runs(filters, limit=LOST)
        return {run.tags.get(tags.PARTITION, "") for run in runs if record_of(run).whole}

    def _has_succeeded(self, start: datetime) -> bool:
        key = self.dag.partitions.key_of(self.dag.partitions.window_containing(pendulum.instance(start)))
        newest = self.instance.get_runs(_runs(self.dag, partitions=[key]), limit=1)
        return bool(newest) and newest[0].status is dg.DagsterRunStatus.SUCCESS


def _runs(
    dag: ScheduledDag, *, partitions: Collection[str] = (), statuses: Sequence[Any] = ()
) -> dg.RunsFilter:
    of_windows = {tags.PARTITION: sorted(partitions)} if partitions else {}
    return dg.RunsFilter(tags={tags.DAG: dag.dag_id, **of_windows}, statuses=list(statuses) or None)


def _request(dag: ScheduledDag, window: Scheduled, waited: Waiting) -> dg.RunRequest:
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


def _ending(dag: ScheduledDag, window: Scheduled, waited: Waiting, outcome: Outcome) -> dg.RunRequest:
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
