"""Tells Airflow what one run in Dagster has done, each thing once: Airflow is asked first what it has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from dagster_defs.adapters.airflow.echo_client import EchoClient
from dagster_defs.adapters.dagster.event_log import EventReader, instant
from dagster_defs.adapters.dagster.runs import PlannedAssets, partition_bounds
from dagster_defs.errors import AirflowFault, EchoCutShort, EchoOutstanding, ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.echo_place import PREFIX, STARTED, is_echo
from dagster_defs.lifecycle.listening import Listening, Started, states_told
from dagster_defs.lifecycle.waits import WHOLE_DAG, States, Wait
from dagster_defs.usecases.triggers import Source, Triggering, starts_of, succeeded_steps, variables_of
from dagster_defs.usecases.waits import Awaited, AwaitedStates
from dagster_defs.windows import Partitions, Scheduled, Times

if TYPE_CHECKING:
    import dagster as dg

CLOCKS = timedelta(minutes=10)  # how far Airflow's and Dagster's clocks may differ
_ENDS = ("success", "failed")
_Part = tuple[str, Callable[[], None]]  # of what is told of a run: its name, the same in each tick, and how


@dataclass(frozen=True, slots=True)
class EchoedUnit:
    """A mirrored task. `step`: its own in a run on the legacy side; `keys`: the assets that it makes."""

    unit: Unit
    step: str
    keys: Sequence[dg.AssetKey]
    times: Times


@dataclass(frozen=True, slots=True)
class EchoedDag:
    """A mirrored DAG. `partitions`: of its windows, from the first unit's start to the last one's end; None if it has
    no clock."""

    dag_id: str
    units: tuple[EchoedUnit, ...]
    partitions: Partitions[Scheduled] | None = None
    awaited: Sequence[Awaited] = ()

    @property
    def mirrored(self) -> frozenset[str]:
        """Its tasks whose mirrors make assets."""
        return frozenset(each.unit.task_id for each in self.units if each.keys)

    def unit(self, task_id: str) -> EchoedUnit | None:
        return next((each for each in self.units if each.unit.task_id == task_id), None)


@dataclass
class Echo:
    """Of the runs of one DAG, in one tick. `told`: what was, in words, by the last `tell`; `done`: the names of all
    parts of its run that Airflow was told, in whichever tick."""

    instance: dg.DagsterInstance
    dag: EchoedDag
    listening: Listening
    airflow: EchoClient
    told: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    _datasets: dict[str, int] = field(default_factory=dict)

    def tell(
        self, record: Any, done: Collection[str] = (), is_spent: Callable[[], bool] = lambda: False
    ) -> None:
        """All that this run has done and that something in Airflow listens to. Told again, nothing is there twice.
        `done`: parts that an earlier tick has told. What cannot be told holds up no other part of the run; the first
        reason is raised in the end: EchoOutstanding, AirflowFault, and other ParityErrors of the run alone. If Airflow
        does not answer, or the time is spent after at least one part, the rest is left."""
        self.told, self.done = [], {*done}
        faults: list[ParityError] = []
        has_told = False
        for parts in (self._windows(record), self._events(record), self._starts(record)):
            with _collected(faults):
                for name, tell in parts:
                    if name in self.done:
                        continue
                    if has_told and is_spent():
                        raise EchoCutShort
                    has_told = True
                    with _collected(faults):
                        tell()
                        self.done.add(name)
        if faults:
            raise faults[0]

    def _windows(self, record: Any) -> Iterator[_Part]:
        bounds = partition_bounds(record.dagster_run)
        if not self.listening.sensors or self.dag.partitions is None or bounds is None:
            return
        windows = list(self.dag.partitions.windows_between(*bounds))
        states = AwaitedStates(self.instance, {self.dag.dag_id: self.dag.awaited})
        wait = Wait("", self.dag.dag_id)
        states.expect(wait, [window.start for window in windows])
        for window in windows:
            key = self.dag.partitions.key_of(window)
            yield f"window|{key}", partial(self._state_of, window, key, states.of(wait))

    def _state_of(self, window: Scheduled, key: str, state: States) -> None:
        whole = state(window.start, WHOLE_DAG)
        if whole not in _ENDS:
            return  # another run of the window has not ended, or will come: that one is told
        names = (each.unit.task_id for each in self.dag.awaited)
        known = {name: found for name in names if (found := state(window.start, name))}
        if self._window(window, known, succeeded=whole == "success"):
            self.told.append(f"{key} {whole}")

    def _window(self, window: Scheduled, known: Mapping[str, str], *, succeeded: bool) -> bool:
        """False if Airflow has a run of its own that has succeeded."""
        dag_id = self.dag.dag_id
        run = self.airflow.run_at(dag_id, window.start)
        if run is not None and not is_echo(run.run_id) and run.state == "success":
            return False
        if run is not None and run.state == "running":
            raise EchoOutstanding(f"Airflow's own run {run.run_id} of {dag_id} is under way", "Let it end")
        if not self.airflow.paused(dag_id):
            raise EchoOutstanding(f"{dag_id} is not paused in Airflow, which would run it", "Pause it")
        if run is None:
            run = self.airflow.put_run(dag_id, f"{PREFIX}{window.start.isoformat()}", window)
        self.airflow.put_states(run, states_told(self.listening.tasks, known), succeeded=succeeded)
        return True

    def _events(self, record: Any) -> Iterator[_Part]:
        for task_id, addresses in self.listening.datasets.items():
            own = self.dag.unit(task_id)
            for about in [] if own is None else self._written(own, record):
                key = f"{record.dagster_run.run_id}|{task_id}|{about}"
                for address in addresses:
                    since = record.create_timestamp - CLOCKS
                    yield f"event|{key}|{address}", partial(self._event, address, key, since)

    def _event(self, address: str, key: str, since: datetime) -> None:
        if address not in self._datasets:
            found = self.airflow.dataset(address)
            if found is None:
                raise EchoOutstanding(f"Airflow has no dataset {address}", "Export the inventory again")
            self._datasets[address] = found
        dataset = self._datasets[address]
        if not self.airflow.has_event(dataset, key, since):
            self.airflow.put_event(address, dataset, key)
        self.told.append(address)

    def _written(self, own: EchoedUnit, record: Any) -> Iterator[str]:
        """What the unit has written in this run: partitions, or an empty text for a run without any."""
        run = record.dagster_run
        if not succeeded_steps(self.instance, run.run_id, [own.step]):
            return
        if not {*own.keys} <= {*(PlannedAssets(self.instance).of_step(run, own.step) or ())}:
            return
        since = record.create_timestamp - CLOCKS
        for event in EventReader(self.instance).materializations(own.keys[0], since=since):
            if event.run_id == run.run_id and not event.is_skip:
                yield event.partition or ""

    def _starts(self, record: Any) -> Iterator[_Part]:
        for started in self.listening.starts:
            key = f"{started.trigger.task}__{record.dagster_run.run_id}"
            yield f"starts|{started.dag_id}|{key}", partial(self._start, started, key, record)

    def _start(self, started: Started, key: str, record: Any) -> None:
        """A run for each window. Airflow has one run of a date at most: without a date of their own, the windows of one
        run in Dagster start theirs a microsecond apart."""
        source = self._source(started)
        if not Triggering(self.instance).has_come_to_it(source, record.dagster_run):
            return
        for number, start in enumerate(starts_of(source, record, key, instant(record.end_time))):
            own = f"{STARTED}{key}" + (f"__{number}" if number else "")
            date = start.occasion.logical_date
            assert date is not None  # noqa: S101 - `starts_of` gives each one
            apart = timedelta(0) if started.trigger.logical_date else timedelta(microseconds=number)
            run = self.airflow.start(started.dag_id, own, date + apart, start.occasion.conf)
            if run.run_id == own:
                self.told.append(f"a run of {started.dag_id}")
            else:
                self.told.append(f"no run of {started.dag_id}, where {run.run_id} has its date")

    def _source(self, started: Started) -> Source:
        """Raises EchoOutstanding, and a ParityError for a template that only Airflow renders."""
        after = [self.dag.unit(name) for name in started.trigger.after]
        units = [each for each in after if each is not None]
        if len(units) < len(after) or not units:
            raise EchoOutstanding(f"{started.trigger.task} comes after a task without a mirror", "Mirror it")
        return Source(
            started.trigger, [each.step for each in units], variables_of(started.trigger, units[0].times)
        )


@contextmanager
def _collected(faults: list[ParityError]) -> Iterator[None]:
    """Faults of one part of what is told. Raises what all other parts would raise, too."""
    try:
        yield
    except EchoCutShort:
        raise
    except ParityError as error:
        if isinstance(error, AirflowFault) and not error.lasting:
            raise
        faults.append(error)


def is_told(run: dg.DagsterRun) -> bool:
    """Whether Airflow was told of this very run: one that re-executes it inherits its tags."""
    return run.tags.get(tags.ECHOED, "").startswith(run.run_id)


def note_told(instance: dg.DagsterInstance, run: dg.DagsterRun, told: Sequence[str]) -> None:
    instance.add_run_tags(run.run_id, {tags.ECHOED: f"{run.run_id}: {', '.join(told) or 'nothing'}"})
