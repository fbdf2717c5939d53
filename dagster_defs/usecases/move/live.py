"""What Airflow and Dagster say about a unit when its gates are checked. Read-only."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance
from dagster_defs.adapters.dagster.api import LIVE, DagsterReader, FoundRun
from dagster_defs.adapters.files.airflows import settings_of_dag, settings_of_each
from dagster_defs.errors import AirflowFault, DagsterFault, ParityError
from dagster_defs.inventory.operator_kinds import DOES_NOTHING
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.facts import Live
from dagster_defs.lifecycle.not_read import NOT_READ, NotRead
from dagster_defs.lifecycle.waiters import Waiter
from dagster_defs.parity import Side
from dagster_defs.settings import Settings

# Part of the documentation of a task with a switch, and the tag of a DAG of which each working task has one.
ENROLLED, ENROLLED_TAG = "whose a window is, is asked when the task starts", "parity: enrolled"
TIMES = 7  # how many runs of each side have their durations compared
_PATIENCE = 5.0  # seconds that another Airflow has to answer
TIMES_SINCE = timedelta(days=60)


class LiveFacts(Protocol):
    """What a plan is made from: a protocol without methods that could change anything."""

    def live(
        self,
        unit: Unit,
        now: datetime,
        mirrored: Container[Unit] | None = None,
        sensors: Sequence[Waiter] = (),
    ) -> Live:
        """What both orchestrators say about themselves and the unit."""
        ...


@dataclass(frozen=True)
class LiveReader:
    """Implements `LiveFacts` with clients that can only read. `others`: the settings of the other Airflows."""

    airflow: AirflowReader
    dagster: DagsterReader
    others: Sequence[Settings] = ()

    @classmethod
    def of(cls, settings: Settings, *, patience: float = 5) -> LiveReader:
        """`settings`: those of the unit's Airflow. `patience`: seconds per call."""
        airflow = AirflowReader(AirflowAddress.of(settings), patience=patience)
        return cls(airflow, DagsterReader.of(settings), other_airflows(settings))

    def live(
        self,
        unit: Unit,
        now: datetime,
        mirrored: Container[Unit] | None = None,
        sensors: Sequence[Waiter] = (),
    ) -> Live:
        """What both say about themselves and the unit; not answering is a fact too.

        `mirrored`: the mirrored units, to report what else is in the unit's DAG; None to skip that. `sensors`: what
        in other DAGs waits for the DAG, or is started by it.
        """
        airflow = dagster = ""
        tasks: tuple[str, ...] | NotRead = NOT_READ
        runs: tuple[str, ...] | NotRead = NOT_READ
        legacy: tuple[float, ...] | NotRead = NOT_READ
        candidate: tuple[float, ...] | NotRead = NOT_READ
        unmirrored: tuple[str, ...] | NotRead = NOT_READ
        waiting: tuple[str, ...] | NotRead = NOT_READ
        try:
            if not self.airflow.is_healthy():
                airflow = (
                    f"Airflow at {self.airflow.address.url} does not say that its scheduler has a heartbeat"
                )
            airflow = in_another(self.others, unit) or airflow
            tasks = self.airflow_in_words(unit)
            legacy = self._legacy_seconds(unit, now)
            if mirrored is not None:
                unmirrored = self._unmirrored(unit.dag_id, mirrored)
                waiting = tuple(
                    str(sensor) for sensor in sensors if not self.airflow.dag(sensor.dag_id)["is_paused"]
                )
        except AirflowFault as error:
            airflow = str(error)
        try:
            dagster = self.dagster.missing_job(unit.identifier)
            if sick := self.dagster.sick_daemons():
                dagster = dagster or f"Dagster's daemons have no heartbeat: {', '.join(sick)}"
            runs = tuple(map(run_in_words, self.dagster_runs(unit)))
            candidate = self._candidate_seconds(unit)
        except DagsterFault as error:
            dagster = dagster or str(error)
        return Live(airflow, dagster, tasks, runs, legacy, candidate, unmirrored, waiting)

    def _unmirrored(self, dag_id: str, mirrored: Container[Unit]) -> tuple[str, ...]:
        return tuple(
            task["task_id"]
            for task in self.airflow.tasks(dag_id)
            if Unit(dag_id, task["task_id"]) not in mirrored
            and (task.get("class_ref") or {}).get("class_name") not in DOES_NOTHING
        )

    def tasks(self, unit: Unit) -> list[TaskInstance]:
        return list(self.airflow.task_instances_under_way(unit))

    def own_tasks(self, unit: Unit) -> list[TaskInstance]:
        """Those in which Airflow does the work itself, as far as it is known; not those that wait for Dagster."""
        return [task for task in self.tasks(unit) if not self.airflow.is_handed_over(task)]

    def airflow_in_words(self, unit: Unit) -> tuple[str, ...]:
        """What Airflow runs itself, or may run whatever the unit's mark says: tasks of an older version of the DAG's
        file, which may have no switch."""
        own = map(task_in_words, self.own_tasks(unit))
        return (*own, *map(outdated_in_words, self.airflow.outdated_dag_runs(unit.dag_id)))

    def dagster_runs(self, unit: Unit) -> list[FoundRun]:
        """Live runs on the legacy side; candidate runs write nothing that anybody reads."""
        return self.dagster.runs({tags.UNIT: str(unit), tags.SIDE: Side.LEGACY.value}, LIVE)

    def _legacy_seconds(self, unit: Unit, now: datetime) -> tuple[float, ...]:
        """The instances of a mapped task count together, from the first one's start to the last one's end."""
        runs: dict[str, list[TaskInstance]] = {}
        for task in self.airflow.task_instances_in(unit, ("success",), now - TIMES_SINCE):
            if task.duration is not None and not self.airflow.is_proxy(task):
                runs.setdefault(task.run_id, []).append(task)
        newest_first = sorted(runs.values(), key=_began, reverse=True)
        own = (tasks for tasks in newest_first if not self.airflow.is_handed_over(tasks[0]))
        return tuple(_seconds(tasks) for tasks in islice(own, TIMES))[::-1]

    def _candidate_seconds(self, unit: Unit) -> tuple[float, ...]:
        run_tags = {tags.UNIT: str(unit), tags.SIDE: Side.CANDIDATE.value}
        runs = self.dagster.runs(run_tags, ("SUCCESS",), TIMES)
        return tuple(run.seconds for run in runs if run.seconds is not None)


@dataclass(frozen=True)
class LiveReaders:
    """Implements `LiveFacts` for units of several Airflows."""

    settings: Settings

    def live(
        self,
        unit: Unit,
        now: datetime,
        mirrored: Container[Unit] | None = None,
        sensors: Sequence[Waiter] = (),
    ) -> Live:
        try:
            world = LiveReader.of(settings_of_dag(self.settings, unit.dag_id))
        except ParityError as error:
            return Live(str(error), "")
        return world.live(unit, now, mirrored, sensors)


def other_airflows(settings: Settings) -> list[Settings]:
    """Of an Airflow's settings, those of the others."""
    return [each for each in settings_of_each(settings) if each.airflow != settings.airflow]


def in_another(others: Sequence[Settings], unit: Unit) -> str:
    """Why the unit's DAG could be that of another Airflow; empty if none of them has one with its id.

    Raises AirflowFault if one of them does not say.
    """
    readers = [AirflowReader(AirflowAddress.of(other), patience=_PATIENCE) for other in others]
    urls = [reader.address.url for reader in readers if reader.has_dag(unit.dag_id)]
    return (
        f"the Airflow at {' and '.join(urls)} has a DAG {unit.dag_id}, too: rename one of them"
        if urls
        else ""
    )


def _began(tasks: Sequence[TaskInstance]) -> float:
    return min(task.start.timestamp() if task.start else 0 for task in tasks)


def _seconds(tasks: Sequence[TaskInstance]) -> float:
    durations = [task.duration or 0 for task in tasks]
    ends = [task.end.timestamp() for task in tasks if task.start and task.end]
    return max(ends) - _began(tasks) if len(ends) == len(tasks) > 1 else sum(durations)


def task_in_words(task: TaskInstance) -> str:
    return f"Airflow's {task.unit} of {task.run_id} ({task.state}, try {task.try_number})"


def outdated_in_words(run: DagRun) -> str:
    version = run.bundle_version[:12]
    return f"Airflow's run {run.run_id}, whose tasks are of version {version} of the DAG's bundle, not the deployed one"


def run_in_words(run: FoundRun) -> str:
    return f"Dagster run {run.run_id[:8]} ({run.status.lower()})"
