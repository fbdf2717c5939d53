"""What starts a retired DAG without a clock, according to Dagster's event log and run storage: whoever did it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pendulum

from dagster_defs.adapters.dagster.event_log import EventReader, WindowEvent, instant
from dagster_defs.adapters.dagster.runs import PlannedAssets, partition_bounds
from dagster_defs.errors import BadOccasion
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.event_queue import Extent
from dagster_defs.lifecycle.starters import Trigger
from dagster_defs.lifecycle.trigger_place import Start
from dagster_defs.windows import EventSchedule, Moment, Occasion, PartitionVars, VariableTemplate

if TYPE_CHECKING:
    import dagster as dg

CONF, DATE = "conf", "logical_date"


@dataclass(frozen=True, slots=True)
class Writer:
    """A unit whose success is an event of datasets. `key`: the asset that its events are read from; `keys`, `step`: all
    assets of its mirror and its step, empty without a mirror."""

    unit: Unit
    key: dg.AssetKey
    keys: Sequence[dg.AssetKey] = ()
    step: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A task in whose place Dagster starts a run, once its own DAG is retired. `steps`: of the units that it comes
    after; `variables`: its conf and its logical date."""

    trigger: Trigger
    steps: Sequence[str]
    variables: PartitionVars


@dataclass(frozen=True, slots=True)
class Success:
    """A unit has succeeded. `noted`: when Dagster learned of it; `at`: when it was."""

    key: str
    unit: Unit
    noted: datetime
    at: datetime
    extent: Extent | None


def variables_of(trigger: Trigger, times: Any) -> PartitionVars:
    """`times`: of the DAG that the task belongs to. Raises a ParityError for a template that only Airflow renders."""
    declared = [VariableTemplate(CONF, dict(trigger.conf))]
    declared += [VariableTemplate(DATE, trigger.logical_date)] if trigger.logical_date else []
    return PartitionVars(declared, times, trigger.task.dag_id, trigger.task.task_id)


@dataclass
class Successes:
    """Reads once for one tick. `oldest_open`: when the oldest write was noted whose run has not ended yet."""

    instance: dg.DagsterInstance
    oldest_open: datetime | None = None
    _runs: dict[str, Any] = field(default_factory=dict)

    def of(self, writers: Sequence[Writer], since: datetime, knows: Callable[[str], bool]) -> list[Success]:
        """What was noted after `since` and is not known, oldest first."""
        found = [each for writer in writers for each in self._of(writer, since, knows)]
        return sorted(found, key=lambda each: (each.at, each.key))

    def _of(self, writer: Writer, since: datetime, knows: Callable[[str], bool]) -> Iterator[Success]:
        for event in EventReader(self.instance).materializations(writer.key, since=since):
            key = str(event.position)
            if knows(key):
                continue
            counts = self._counts(writer, event)
            if counts is None:
                self.oldest_open = min(filter(None, (self.oldest_open, event.at)))
            elif counts:
                yield Success(key, writer.unit, event.at, event.ended or event.at, _extent(event))

    def _counts(self, writer: Writer, event: WindowEvent) -> bool | None:
        """None if that is not known yet. In a run of Dagster's, the unit's step has to succeed as a whole."""
        if not event.run_id:
            return True
        run = self._run(event.run_id)
        if run is None or not writer.step or event.is_skip or tags.REFUSED in run.tags:
            return False
        if not {*writer.keys} <= {*(PlannedAssets(self.instance).of_step(run, writer.step) or ())}:
            return False
        succeeded = writer.step in succeeded_steps(self.instance, run.run_id, [writer.step])
        return True if succeeded else (False if run.is_finished else None)

    def _run(self, run_id: str) -> Any:
        if run_id not in self._runs:
            self._runs[run_id] = self.instance.get_run_by_id(run_id)
        return self._runs[run_id]


def succeeded_steps(instance: dg.DagsterInstance, run_id: str, steps: Sequence[str]) -> Collection[str]:
    stats = instance.get_run_step_stats(run_id, list(steps))
    return {each.step_key for each in stats if each.status is not None and each.status.value == "SUCCESS"}


def _extent(event: WindowEvent) -> Extent | None:
    occasion = event.occasion
    start, end = (occasion.start, occasion.end) if occasion else (event.start, event.end)
    return Extent(start, end) if start and end else None


@dataclass(frozen=True)
class Triggering:
    """Runs of other retired DAGs, in which a task would have started a run. `noted`: by key, those that were read."""

    instance: dg.DagsterInstance
    noted: dict[str, datetime] = field(default_factory=dict)

    def starts(
        self, source: Source, since: datetime, retired: datetime, knows: Callable[[str], bool]
    ) -> list[Start]:
        """Of runs that have ended after `retired`. Raises a ParityError if a conf or a date cannot be rendered."""
        import dagster as dg

        ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
        wanted = dg.RunsFilter(
            tags={tags.DAG: source.trigger.task.dag_id}, statuses=ended, updated_after=since
        )
        found: list[Start] = []
        for record in self.instance.get_run_records(wanted):
            key = f"{source.trigger.task}|{record.dagster_run.run_id}"
            if knows(key) or record.end_time is None:
                continue
            at = instant(record.end_time)
            if at > retired and self.has_come_to_it(source, record.dagster_run):
                found += starts_of(source, record, key, at)
            self.noted[key] = record.update_timestamp
        return found

    def has_come_to_it(self, source: Source, run: dg.DagsterRun) -> bool:
        """Whether all that the task comes after has succeeded, and something of it in this run: the rest may have in
        the run that this one re-executes."""
        if tags.IN_VAIN in run.tags:
            return False
        done = {*succeeded_steps(self.instance, run.run_id, source.steps)}
        if not done:
            return False
        if run.root_run_id and not done.issuperset(source.steps):
            _, group = self.instance.get_run_group(run.run_id) or ("", ())
            for each in group:
                done |= {*succeeded_steps(self.instance, each.run_id, source.steps)}
        return done.issuperset(source.steps)


def starts_of(source: Source, record: Any, key: str, at: datetime) -> Iterator[Start]:
    """One for each window that the run is about. Raises a ParityError if a conf or a date cannot be rendered."""
    run, trigger = record.dagster_run, source.trigger
    for number, moment in enumerate(_moments(source, record)):
        told: Mapping[str, Any] = source.variables.for_window(moment)
        date = _date(trigger, told[DATE]) if trigger.logical_date else at
        occasion = Occasion.by_hand(date, told[CONF])
        # A date that was run already is not run again: Airflow would have such a run.
        own = (
            occasion.run_id
            if trigger.logical_date and not trigger.reset
            else f"{key}|{number}"
            if number
            else key
        )
        yield Start(
            own, occasion, f"{trigger.task}, in the place of which run {run.run_id[:8]} came to its end"
        )


def _moments(source: Source, record: Any) -> Sequence[Moment]:
    run, times = record.dagster_run, source.variables.partitions
    if not isinstance(times, EventSchedule):
        bounds = partition_bounds(run)
        return list(times.windows_between(*bounds)) if bounds else []
    if "occasion" in run.run_config:
        return [Occasion.from_json(run.run_config["occasion"])]
    return [Occasion.by_hand(record.create_timestamp, run.run_config.get("conf", {}))]


def _date(trigger: Trigger, text: str) -> datetime:
    """Raises BadOccasion for a text that is no instant."""
    try:
        parsed = pendulum.parse(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, pendulum.DateTime):
        raise BadOccasion(f"the logical_date of {trigger.task} renders to {text!r}, which is no instant")
    return parsed
