"""The real Airflow, Dagster and marks, as a move reads and changes them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import FINISHED, PROXY, AirflowClient
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance
from dagster_defs.adapters.dagster.api import DagsterClient, FoundRun
from dagster_defs.adapters.dagster.evidence import SHADOW
from dagster_defs.adapters.store.registry import open_store
from dagster_defs.adapters.store.seam import Store
from dagster_defs.errors import AirflowBehind, AirflowFault, AirflowUnclear, DagInTwoAirflows, DagsterFault
from dagster_defs.lifecycle import Owner, Unit, tags
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.live import (
    ENROLLED,
    ENROLLED_TAG,
    LiveReader,
    in_another,
    other_airflows,
    run_in_words,
)
from dagster_defs.windows import Tick, instant_text

OVER = (*FINISHED, "removed")  # states that a task does not leave on its own


@dataclass(frozen=True)
class LiveOrchestrators:
    """Implements `carry_out.Orchestrators`. `others`: the settings of the project's Airflows that the
    unit is not in."""

    store: Store
    airflow: AirflowClient
    dagster: DagsterClient
    others: Sequence[Settings] = ()

    @property
    def reader(self) -> LiveReader:
        return LiveReader(self.airflow, self.dagster, self.others)

    @classmethod
    def of(cls, settings: Settings, *, store: Store | None = None, patience: float = 5) -> LiveOrchestrators:
        """`settings`: those of the unit's Airflow. `store`: the one in which the move has excluded others. `patience`:
        seconds per call."""
        return cls(
            store or open_store(settings),
            AirflowClient(AirflowAddress.of(settings), patience=patience),
            DagsterClient.of(settings),
            other_airflows(settings),
        )

    def marked(self, unit: Unit) -> bool | None:
        marks = self.store.marks_in_airflow(unit.dag_id)
        return None if marks.doubt(unit) else marks.get(unit, False)

    def refuse_unmarkable(self, unit: Unit) -> None:
        self.store.refuse_unmarkable(unit)

    def mark(self, unit: Unit, owner: Owner) -> None:
        """Also asks Airflow to parse the DAG again, so that it soon serves the other operator.

        Raises LedgerUnwritable and leaves the mark unchanged if it cannot be written. Before a task is given to
        Dagster, raises DagInTwoAirflows if another Airflow has its DAG, and AirflowFault if one does not say.
        """
        if owner is Owner.DAGSTER and (elsewhere := in_another(self.others, unit)):
            raise DagInTwoAirflows(unit.dag_id, [self.airflow.address.url], elsewhere)
        self.store.mark(unit, proxied=owner is Owner.DAGSTER)
        with contextlib.suppress(AirflowFault):
            self.airflow.parse_soon(unit.dag_id)

    def served_by(self, unit: Unit) -> Owner:
        task = self.airflow.task(unit)
        if self._has_switch(unit, task):
            return Owner.DAGSTER if self.marked(unit) else Owner.AIRFLOW
        return Owner.DAGSTER if PROXY in _class_name(task) else Owner.AIRFLOW

    def _has_switch(self, unit: Unit, task: Mapping[str, Any]) -> bool:
        """Airflow tells a task's documentation from 2.10 on. Before, a DAG whose tasks are all enrolled is known by its
        tag, and no other one is."""
        if PROXY in _class_name(task):
            return False
        if "doc_md" in task:
            return ENROLLED in (task["doc_md"] or "")
        return any(tag.get("name") == ENROLLED_TAG for tag in self.airflow.dag(unit.dag_id).get("tags") or ())

    def missing_definitions(self, unit: Unit, side: Side) -> str:
        job = unit.identifier if side is Side.LEGACY else f"{SHADOW}__{unit.identifier}"
        return self.dagster.missing_job(job)

    def missing_schedule(self, unit: Unit) -> str:
        job = unit.dag_identifier
        if why := self.dagster.missing_job(job):
            return why
        by_people = self._has_no_clock(unit) and tags.TRIGGERED not in self.dagster.job_tags(job)
        return "" if by_people else self.dagster.sleeping_sensors(job)

    def _has_no_clock(self, unit: Unit) -> bool:
        """Whether Dagster's job of the unit's DAG waits for no window."""
        return tags.EVENT in self.dagster.job_tags(unit.dag_identifier)

    def is_paused(self, unit: Unit) -> bool:
        return bool(self.airflow.dag(unit.dag_id)["is_paused"])

    def rest(self, unit: Unit, *, may_wake: bool) -> str:
        """Airflow starts no tasks of a paused DAG, in any run. So the DAG is paused once its live runs have nothing
        left to start, and unpaused again if that turns out to be wrong."""
        dag_id = unit.dag_id
        paused = bool(self.airflow.dag(dag_id)["is_paused"])
        runs = self.airflow.live_dag_runs(dag_id)
        if paused and not runs:
            return self._unknown_next_window(unit)
        tasks = {run.run_id: self.airflow.task_instances(dag_id, run.run_id) for run in runs}
        left = [task for found in tasks.values() for task in found if task.state not in OVER]
        # A deferred or rescheduled task comes back through the scheduler, so it still has to be started.
        if any(task.state != "running" for task in left) or not all(tasks.values()):
            if paused and not may_wake:
                return _stuck(dag_id, runs)
            if paused:
                self.wake(unit)
            return f"Airflow still runs {', '.join(tasks)}"
        if not paused:
            self.airflow.set_paused(dag_id, paused=True)
        elif not left and _with_skips(tasks):
            # Closed from here, skipped tasks would become successes. Their runs stay open until Airflow closes them.
            self._close(runs, tasks)
            return self._unknown_next_window(unit)
        elif not left and not self._close(runs, tasks):
            if not may_wake:
                return _stuck(dag_id, runs)
            self.wake(unit)
        return f"Airflow ends {', '.join(tasks)}" if runs else f"{dag_id} was paused a moment ago"

    def _close(self, runs: Sequence[DagRun], tasks: Mapping[str, Sequence[TaskInstance]]) -> bool:
        """Mark runs whose tasks have all succeeded as successful, which Airflow does only while the DAG is unpaused.
        Returns False if any other run is left: then Airflow has to decide how it ended."""
        succeeded = [
            run for run in runs if all(task.state == "success" for task in tasks.get(run.run_id, ()))
        ]
        for run in succeeded:
            self.airflow.note_success(run)
        return len(succeeded) == len(runs)

    def wake(self, unit: Unit) -> None:
        self.airflow.set_paused(unit.dag_id, paused=False)

    def next_window(self, unit: Unit) -> datetime | None:
        """None for a DAG without a clock. Raises AirflowUnclear if Airflow does not say, AirflowBehind if it names a
        window that it has run: it works the next one out when its scheduler ends a run or when it parses the DAG, and
        not for the last of `max_active_runs` that was ended from outside."""
        start, newest = (
            self.airflow.next_window_start(unit.dag_id),
            self.airflow.newest_scheduled_run(unit.dag_id),
        )
        last = newest.window if newest else None
        if start is not None and last is not None and start <= last.start:
            self.airflow.parse_soon(unit.dag_id)
            why = f"the next window of {unit.dag_id} would begin at {instant_text(start)}, which it has run"
            raise AirflowBehind(self.airflow.address.url, why)
        if start is None:
            # A tick that has run is not the next one, and a window begins where the last one ends.
            start = last.end.add(microseconds=isinstance(last, Tick)) if last else None
        if start is None and not self._has_no_clock(unit):
            raise AirflowUnclear(
                self.airflow.address.url,
                f"it does not say which window of {unit.dag_id} comes next",
                lasting=True,
            )
        return start

    def _unknown_next_window(self, unit: Unit) -> str:
        """Why Airflow cannot say yet which window comes next; Airflow is behind until it has parsed the DAG."""
        try:
            self.next_window(unit)
        except AirflowBehind as error:
            return str(error)
        return ""

    def live_runs(self, unit: Unit, owner: Owner) -> Sequence[str]:
        """A proxy that waits for Dagster does not count as Airflow's run."""
        if owner is Owner.DAGSTER:
            return [run_in_words(run) for run in self.reader.dagster_runs(unit)]
        return list(self.reader.airflow_in_words(unit))

    def stray_runs(self, unit: Unit) -> Sequence[str]:
        """Empty if a server does not answer: a rollback does not wait for a server that is down."""
        try:
            return [run_in_words(run) for run in self._strays(unit)]
        except (AirflowFault, DagsterFault):
            return []

    def end_runs(self, unit: Unit, *, stray: bool) -> None:
        """If a server does not answer, no stray run is ended, and the rollback goes on all the same."""
        with contextlib.suppress(*((AirflowFault, DagsterFault) if stray else ())):
            runs = self._strays(unit) if stray else self.reader.dagster_runs(unit)
            self.dagster.terminate([run.run_id for run in runs if run.status != "CANCELING"])

    def _strays(self, unit: Unit) -> list[FoundRun]:
        runs = self.reader.dagster_runs(unit)
        waited_for = {task.run_id for task in self.reader.tasks(unit)} if runs else set()
        return [run for run in runs if run.tags.get(tags.AIRFLOW_RUN) not in waited_for]


def _class_name(task: Mapping[str, Any]) -> str:
    return str((task.get("class_ref") or {}).get("class_name", ""))


def _with_skips(tasks: Mapping[str, Sequence[TaskInstance]]) -> bool:
    """Whether nothing has failed in these runs and something was skipped, as in each run of a branch."""
    states = {task.state for row in tasks.values() for task in row}
    return "skipped" in states and states <= {"success", "skipped"}


def _stuck(dag_id: str, runs: Sequence[DagRun]) -> str:
    names = ", ".join(run.run_id for run in runs)
    return (
        f"{dag_id} was paused before the retirement began, so {names} cannot end. Switch the DAG on in Airflow, or "
        "mark those runs there"
    )
