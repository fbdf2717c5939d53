"""What one tick does for one retired DAG without a clock: which runs it starts, and what Airflow is told of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import dagster as dg
import pendulum
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.rows import STARTED_BY_ASSETS, DagRun
from dagster_defs.errors import AirflowFault
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.echo_place import is_echo
from dagster_defs.lifecycle.event_queue import EventQueue
from dagster_defs.lifecycle.histories import Histories
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.lifecycle.trigger_place import Start, TriggerPlace, waiting_for
from dagster_defs.older_python import datetime_of
from dagster_defs.usecases.triggers import Source, Success, Successes, Triggering, Writer
from dagster_defs.windows import instant_text

RUNS = 25  # most runs that one tick starts for one DAG
LOST = 1_000  # how many of a DAG's newest runs tell which of them datasets started, if the cursor was lost


@dataclass(frozen=True, slots=True)
class TriggeredDag:
    """A mirrored DAG without a clock that others start. `sources`: the tasks in whose place Dagster does, once their
    DAGs are retired; `writers`: whose success is an event. With `in_order`, a run starts only after the one before it
    has succeeded."""

    dag_id: str
    job: str
    units: tuple[Unit, ...]
    starters: Starters
    max_active_runs: int
    in_order: bool = False
    writers: tuple[Writer, ...] = ()
    sources: tuple[Source, ...] = ()

    def retired_at(self, histories: Histories) -> datetime | None:
        """When the last of its units was retired; None until then."""
        return histories.all_retired(self.units)


@dataclass
class TriggerTurn:
    """`airflow`: the DAG's own, asked only if something in Airflow may start it. `retired`: DAGs of which nothing is in
    Airflow any more. `after`, `requests`, `told`, `dropped`: what comes of the turn: the place from then on, the runs
    to be started, what it waits for, and what is not started and why."""

    instance: dg.DagsterInstance
    dag: TriggeredDag
    place: TriggerPlace
    airflow: Callable[[], AirflowClient]
    retired: Collection[str]
    after: TriggerPlace = field(default_factory=TriggerPlace)
    requests: list[dg.RunRequest] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def take(self, retired_at: datetime) -> None:
        """Start what is due. Raises a ParityError if that cannot be found out."""
        place = self.place if self.place.since else self._first_look(retired_at)
        assert place.since is not None  # noqa: S101 - of the first look
        room = self._room()
        from_airflow, unanswered = self._in_airflow(place)
        triggering, successes = Triggering(self.instance), Successes(self.instance)
        pending = list(place.pending)
        for source in self.dag.sources:
            pending += triggering.starts(source, place.since, retired_at, place.knows)
        written = successes.of(self.dag.writers, place.since, place.knows)
        noted = triggering.noted | {each.key: each.noted for each in written}
        pending = self._unstarted(pending)
        due = sorted([*from_airflow, *pending], key=_date)
        started = due[: max(room, 0)]
        for start in started:
            self._request(start)
        left = [start for start in due if start not in started]
        queue = self._fold(
            place.queue, [each for each in written if _is_after(each, place.floor)], room - len(due)
        )
        self.after = replace(
            place.telling(noted, successes.oldest_open),
            queue=queue,
            pending=tuple(start for start in left if start in pending),
            unanswered=unanswered,
            last=self._last(started, written, place.last),
        )
        self._tell(left)

    def _first_look(self, retired_at: datetime) -> TriggerPlace:
        """Nothing counts that Airflow has acted upon: what tasks have triggered before the retirement, and the dataset
        events up to the date of the last run that they started."""
        if self.dag.starters.condition is None:
            return TriggerPlace(retired_at)
        last = self._last_of_datasets() or self.airflow().newest_dataset_date(self.dag.dag_id)
        floor = last or retired_at
        return TriggerPlace(min(floor, retired_at), floor, queue=EventQueue(last=last))

    def _last_of_datasets(self) -> datetime | None:
        """The date of Dagster's last run that datasets started, if the cursor was lost."""
        runs = self.instance.get_runs(dg.RunsFilter(tags={tags.DAG: self.dag.dag_id}), limit=LOST)
        named = (run.tags.get(tags.STARTED_BY, "").partition("__") for run in runs)
        return max((datetime_of(at) for kind, _, at in named if kind in STARTED_BY_ASSETS), default=None)

    def _room(self) -> int:
        of_dag = {tags.DAG: self.dag.dag_id}
        live = self.instance.get_runs_count(dg.RunsFilter(tags=of_dag, statuses=list(NOT_FINISHED_STATUSES)))
        if self.dag.in_order:
            newest = self.instance.get_runs(dg.RunsFilter(tags=of_dag), limit=1)
            return 1 if not live and all(run.is_success for run in newest) else 0
        return min(self.dag.max_active_runs - live, RUNS)

    def _in_airflow(self, place: TriggerPlace) -> tuple[Sequence[Start], tuple[str, ...]]:
        """The runs in Airflow's queue that Dagster is to start: of a paused DAG Airflow starts none. Whose run in
        Dagster has ended is told to Airflow, so that what waits there for it goes on."""
        if all(trigger.task.dag_id in self.retired for trigger in self.dag.starters.triggers):
            return [], ()
        dag_id = self.dag.dag_id
        try:
            airflow = self.airflow()
            if not airflow.dag(dag_id)["is_paused"]:
                self.dropped.append(
                    f"{dag_id} is not paused in Airflow, which starts its runs itself: pause it"
                )
                return [], place.unanswered
            queued = {run.run_id: run for run in airflow.queued_dag_runs(dag_id) if not is_echo(run.run_id)}
            return self._of_queue(airflow, queued, place.unanswered)
        except AirflowFault as error:
            self.dropped.append(f"{dag_id}: what Airflow's tasks have started is not known: {error}")
            return [], place.unanswered

    def _of_queue(
        self, airflow: AirflowClient, queued: Mapping[str, DagRun], unanswered: Collection[str]
    ) -> tuple[Sequence[Start], tuple[str, ...]]:
        starts: list[Start] = []
        newest = self._newest({*queued, *unanswered})
        for run_id, run in queued.items():
            own = newest.get(run_id)
            # A run whose end was told and that waits again was cleared.
            if own is None or tags.TOLD_AIRFLOW in own.tags:
                if run.occasion is None:
                    self.dropped.append(
                        f"{self.dag.dag_id}: Airflow does not say what its run {run_id} is about"
                    )
                else:
                    starts.append(Start(run_id, run.occasion, f"{run_id} in Airflow's queue"))
            elif _has_ended(own):
                airflow.note_end(run, succeeded=own.is_success)
                self._note(own)
        for run_id in {*unanswered} - queued.keys():
            if (own := newest.get(run_id)) and _has_ended(own):
                self._note(own)  # told in a tick that broke off, or ended by a person
        live = {run_id for run_id, own in newest.items() if not _has_ended(own)}
        return starts, tuple(sorted({*(start.key for start in starts), *live}))

    def _note(self, run: dg.DagsterRun) -> None:
        if tags.TOLD_AIRFLOW not in run.tags:
            state = "success" if run.is_success else "failed"
            self.instance.add_run_tags(run.run_id, {tags.TOLD_AIRFLOW: state})

    def _newest(self, keys: Collection[str]) -> dict[str, dg.DagsterRun]:
        """Dagster's newest run of each of what has started one."""
        if not keys:
            return {}
        wanted = {tags.DAG: self.dag.dag_id, tags.STARTED_BY: sorted(keys)}
        runs = self.instance.get_runs(dg.RunsFilter(tags=wanted))
        return {run.tags[tags.STARTED_BY]: run for run in reversed(runs)}

    def _unstarted(self, starts: Sequence[Start]) -> list[Start]:
        """Without those that Dagster has a run of: the cursor may be older than its runs."""
        there = self._newest([start.key for start in starts])
        return list({start.key: start for start in starts if start.key not in there}.values())

    def _fold(self, queue: EventQueue, written: Sequence[Success], room: int) -> EventQueue:
        """A run whenever the condition holds and there is room for it, as Airflow's scheduler creates them."""
        addresses = self.dag.starters.writers
        queue, room = self._fire(queue, room)
        for each in written:
            queue = queue.with_event(addresses[each.unit], each.at, each.extent)
            queue, room = self._fire(queue, room)
        return queue

    def _fire(self, queue: EventQueue, room: int) -> tuple[EventQueue, int]:
        occasion = queue.occasion(self.dag.starters)
        if occasion is None:
            return queue, room
        if self._newest([occasion.run_id]):  # of a tick whose cursor was lost
            return queue.emptied(), room
        if room <= 0:
            return queue, room
        self._request(Start(occasion.run_id, occasion, ", ".join(queue.queued)))
        return queue.emptied(), room - 1

    def _request(self, start: Start) -> None:
        before = self._newest([start.key]).get(start.key)
        again = f"|{before.run_id}" if before else ""
        self.requests.append(
            dg.RunRequest(
                run_key=f"{self.dag.dag_id}|{start.key}{again}",
                job_name=self.dag.job,
                run_config={"occasion": start.occasion.as_json()},
                tags={tags.STARTED_BY: start.key},
            )
        )

    def _last(self, started: Sequence[Start], written: Sequence[Success], before: str) -> str:
        """What was seen last, in words."""
        if written:
            newest = written[-1]
            addresses = ", ".join(self.dag.starters.writers[newest.unit])
            return f"{newest.unit} wrote {addresses} at {instant_text(newest.at, 'seconds')}"
        return (
            f"{started[-1].why}, seen at {instant_text(pendulum.now('UTC'), 'seconds')}"
            if started
            else before
        )

    def _tell(self, left: Sequence[Start]) -> None:
        if left:
            limit = f"{self.dag.max_active_runs} of its runs may be active"
            self.told.append(f"{self.dag.dag_id}: {len(left)} runs wait for a free place ({limit})")
        elif not self.requests:
            self.told.append(f"{self.dag.dag_id} {waiting_for(self.after, self.dag.starters)}")


def _has_ended(run: dg.DagsterRun) -> bool:
    """For good: a run that Dagster will try again goes on in the next one."""
    return run.is_finished and (run.tags.get(WILL_RETRY_TAG) != "true" or AUTO_RETRY_RUN_ID_TAG in run.tags)


def _date(start: Start) -> Any:
    return start.occasion.logical_date or pendulum.now("UTC"), start.key


def _is_after(success: Success, floor: datetime | None) -> bool:
    return floor is None or success.at > floor
