"""The real Airflow, the real Dagster and the folder of marks, as a move sees and changes them."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dagster_defs.adapters.airflow.client import (
    FINISHED,
    UNDER_WAY,
    AirflowAddress,
    AirflowClient,
    DagRun,
    TaskInstance,
)
from dagster_defs.adapters.dagster.api import LIVE, DagsterClient, FoundRun
from dagster_defs.adapters.dagster.evidence import SHADOW
from dagster_defs.adapters.store.proxied_state import (
    read_marks,
    refuse_unmarkable,
    write_mark,
)
from dagster_defs.errors import AirflowUnclear, AirflowUnreachable, DagsterUnreachable, LedgerUnwritable
from dagster_defs.lifecycle import Owner, Unit, tags
from dagster_defs.lifecycle.gates import Live
from dagster_defs.parity import Side
from dagster_defs.settings import Settings

PROXY = "ToDagster"  # part of the class name of every proxy, Airlift's own among them
OVER = (*FINISHED, "removed")  # states that a task does not leave by itself
TIMES = 7  # runs of each side whose times are compared
TIMES_SINCE = timedelta(days=60)


@dataclass(frozen=True)
class LiveOrchestrators:
    """Obeys `adapters.moves.Orchestrators`."""

    folder: Path
    airflow: AirflowClient
    dagster: DagsterClient

    @classmethod
    def of(cls, settings: Settings, *, patience: float = 5) -> LiveOrchestrators:
        """`patience`: seconds for one call."""
        return cls(
            settings.proxied_state,
            AirflowClient(AirflowAddress.of(settings), patience=patience),
            DagsterClient(settings.dagster_url),
        )

    def marked(self, unit: Unit) -> bool | None:
        marks = read_marks(self.folder, unit.dag_id)
        return None if marks.doubt(unit) else marks.get(unit, False)

    def refuse_unmarkable(self, unit: Unit) -> None:
        refuse_unmarkable(self.folder, unit)

    def mark(self, unit: Unit, owner: Owner) -> None:
        """Raises LedgerUnwritable, with the file as it was, if it cannot be written."""
        try:
            write_mark(self.folder, unit, proxied=owner is Owner.DAGSTER)
        except OSError as error:
            path = self.folder / f"{unit.dag_id}.yaml"
            raise LedgerUnwritable(str(path), error.strerror or str(error)) from error

    def served_by(self, unit: Unit) -> Owner:
        name = (self.airflow.task(unit).get("class_ref") or {}).get("class_name", "")
        return Owner.DAGSTER if PROXY in name else Owner.AIRFLOW

    def missing_definitions(self, unit: Unit, side: Side) -> str:
        job = unit.identifier if side is Side.LEGACY else f"{SHADOW}__{unit.identifier}"
        return self.dagster.missing_job(job)

    def missing_schedule(self, unit: Unit) -> str:
        job = unit.dag_identifier
        return self.dagster.missing_job(job) or self.dagster.sleeping_sensors(job)

    def is_paused(self, unit: Unit) -> bool:
        return bool(self.airflow.dag(unit.dag_id)["is_paused"])

    def rest(self, unit: Unit, *, may_wake: bool) -> str:
        """Airflow starts no task of a paused DAG, in no run. So it is paused when of the runs under way nothing is
        left to be started, and woken again where that turns out to be wrong."""
        dag_id = unit.dag_id
        paused = bool(self.airflow.dag(dag_id)["is_paused"])
        runs = self.airflow.live_dag_runs(dag_id)
        if paused and not runs:
            self.next_window(unit)
            return ""
        tasks = {run.run_id: self.airflow.task_instances(dag_id, run.run_id) for run in runs}
        left = [task for found in tasks.values() for task in found if task.state not in OVER]
        # A task that is deferred or rescheduled comes back through the scheduler: it is not begun for good.
        if any(task.state != "running" for task in left) or not all(tasks.values()):
            if paused and not may_wake:
                return _stuck(dag_id, runs)
            if paused:
                self.wake(unit)
            return f"Airflow still runs {', '.join(tasks)}"
        if not paused:
            self.airflow.set_paused(dag_id, paused=True)
        elif not left and not self._close(runs, tasks):
            if not may_wake:
                return _stuck(dag_id, runs)
            self.wake(unit)
        return f"Airflow ends {', '.join(tasks)}" if runs else f"{dag_id} was paused a moment ago"

    def _close(self, runs: Sequence[DagRun], tasks: Mapping[str, Sequence[TaskInstance]]) -> bool:
        """Note the end of runs whose tasks are over, which Airflow does only while their DAG is not paused. False if
        one has not succeeded: how it ended is Airflow's to say."""
        succeeded = all(task.state == "success" for found in tasks.values() for task in found)
        for run in runs if succeeded else ():
            self.airflow.note_success(run)
        return succeeded

    def wake(self, unit: Unit) -> None:
        self.airflow.set_paused(unit.dag_id, paused=False)

    def next_window(self, unit: Unit) -> datetime:
        """Raises AirflowUnclear where Airflow does not say."""
        start = self.airflow.next_window_start(unit.dag_id)
        if start is None:
            newest = self.airflow.newest_scheduled_run(unit.dag_id)
            start = newest.window.end if newest and newest.window else None
        if start is None:
            raise AirflowUnclear(
                self.airflow.address.url,
                f"it does not say which window of {unit.dag_id} comes next",
                lasting=True,
            )
        return start

    def live_runs(self, unit: Unit, owner: Owner) -> Sequence[str]:
        """A proxy that waits for Dagster is no run of Airflow's."""
        if owner is Owner.DAGSTER:
            return [_run(run) for run in self._dagster_runs(unit)]
        return [_task(task) for task in self._tasks(unit) if PROXY not in task.operator]

    def stray_runs(self, unit: Unit) -> Sequence[str]:
        """None where a server does not answer: the way back waits for nobody who is down."""
        try:
            return [_run(run) for run in self._strays(unit)]
        except (AirflowUnreachable, DagsterUnreachable):
            return []

    def end_runs(self, unit: Unit, *, stray: bool) -> None:
        """Where a server does not answer no stray run is ended, and the mark goes back all the same."""
        with contextlib.suppress(*((AirflowUnreachable, DagsterUnreachable) if stray else ())):
            runs = self._strays(unit) if stray else self._dagster_runs(unit)
            self.dagster.terminate([run.run_id for run in runs if run.status != "CANCELING"])

    def live(
        self,
        unit: Unit,
        now: datetime,
        mirrored: Container[Unit] | None = None,
        sensors: Sequence[Unit] = (),
    ) -> Live:
        """What both say of themselves and of the unit; one that does not answer is a fact too.

        `mirrored`: the units, if it is asked what else is in the unit's DAG. `sensors`: those that wait for the DAG.
        """
        airflow = dagster = ""
        tasks: list[TaskInstance] = []
        runs: list[FoundRun] = []
        legacy: list[float] = []
        candidate: list[float] = []
        unmirrored: list[str] = []
        waiting: list[str] = []
        try:
            if not self.airflow.is_healthy():
                airflow = f"Airflow at {self.airflow.address.url} does not answer, or its scheduler has no heartbeat"
            tasks = [task for task in self._tasks(unit) if PROXY not in task.operator]
            legacy = self._legacy_seconds(unit, now)
            unmirrored = [] if mirrored is None else self._unmirrored(unit.dag_id, mirrored)
            waiting = [str(one) for one in sensors if not self.airflow.dag(one.dag_id)["is_paused"]]
        except AirflowUnreachable as error:
            airflow = airflow or str(error)
        try:
            dagster = self.dagster.missing_job(unit.identifier)
            if sick := self.dagster.sick_daemons():
                dagster = dagster or f"Dagster's daemons have no heartbeat: {', '.join(sick)}"
            runs = self._dagster_runs(unit)
            candidate = self._candidate_seconds(unit)
        except DagsterUnreachable as error:
            dagster = dagster or str(error)
        return Live(
            airflow,
            dagster,
            tuple(map(_task, tasks)),
            tuple(map(_run, runs)),
            tuple(legacy),
            tuple(candidate),
            tuple(unmirrored),
            tuple(waiting),
        )

    def _unmirrored(self, dag_id: str, mirrored: Container[Unit]) -> list[str]:
        return [
            task["task_id"]
            for task in self.airflow.tasks(dag_id)
            if Unit(dag_id, task["task_id"]) not in mirrored
            and (task.get("class_ref") or {}).get("class_name") != "EmptyOperator"
        ]

    def _tasks(self, unit: Unit) -> list[TaskInstance]:
        return list(self.airflow.task_instances_in(unit, UNDER_WAY))

    def _dagster_runs(self, unit: Unit) -> list[FoundRun]:
        """Of the legacy side: those of the candidate write nothing that anybody reads."""
        return self.dagster.runs({tags.UNIT: str(unit), tags.SIDE: Side.LEGACY.value}, LIVE)

    def _strays(self, unit: Unit) -> list[FoundRun]:
        runs = self._dagster_runs(unit)
        waited_for = {task.run_id for task in self._tasks(unit)} if runs else set()
        return [run for run in runs if run.tags.get(tags.AIRFLOW_RUN) not in waited_for]

    def _legacy_seconds(self, unit: Unit, now: datetime) -> list[float]:
        tasks = [
            task
            for task in self.airflow.task_instances_in(unit, ("success",), now - TIMES_SINCE)
            if task.duration is not None and PROXY not in task.operator
        ]
        newest = sorted(tasks, key=lambda task: task.start.timestamp() if task.start else 0)[-TIMES:]
        return [task.duration for task in newest if task.duration is not None]

    def _candidate_seconds(self, unit: Unit) -> list[float]:
        wanted = {tags.UNIT: str(unit), tags.SIDE: Side.CANDIDATE.value}
        runs = self.dagster.runs(wanted, ("SUCCESS",), TIMES)
        return [run.seconds for run in runs if run.seconds is not None]


def _stuck(dag_id: str, runs: Sequence[DagRun]) -> str:
    names = ", ".join(run.run_id for run in runs)
    return (
        f"{dag_id} was paused before the retirement began, so {names} cannot end. Switch the DAG on in Airflow, or "
        "mark those runs there"
    )


def _task(task: TaskInstance) -> str:
    return f"Airflow's {task.unit} of {task.run_id} ({task.state}, try {task.try_number})"


def _run(run: FoundRun) -> str:
    return f"Dagster run {run.run_id[:8]} ({run.status.lower()})"
