"""Who has executed a try that Airflow says has ended: Airflow's own operator, or a Dagster run behind a proxy.

Airflow's name of the operator does not decide: it may be that of another version of the DAG.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move


class Executor(Enum):
    """`UNCLEAR`: Airflow says that the try has succeeded, and its Dagster run has not."""

    AIRFLOW = "airflow"
    DAGSTER = "dagster"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A Dagster run that was launched for a task instance and may have written.

    `airflow_try`: the try that launched it, None where the run does not say. `how`: its state in words. `live`: it has
    not ended.
    """

    run_id: str
    airflow_try: int | None
    launched: datetime
    succeeded: bool
    live: bool
    how: str


@dataclass(frozen=True, slots=True)
class Try:
    """A try that has ended. `succeeded_before`: the earlier tries of the same task instance that had succeeded."""

    number: int
    succeeded: bool
    started: datetime | None
    succeeded_before: Collection[int] = ()


def executor_of(
    one: Try, runs: Sequence[TaskRun], given_back: Sequence[datetime]
) -> tuple[Executor, TaskRun | None]:
    """Who has executed the try, and the Dagster run that says so. `runs`: of its task instance, newest first.

    `given_back`: when the unit's windows began to be Airflow's again; a run of before is not this try's.
    A proxied try succeeds with a run that it has launched, or with one of an earlier try that it has followed or
    accepted. It accepts the newest one, if that has succeeded and the task was not cleared since: a try between that
    had succeeded was.
    """
    known = [run for run in runs if not _is_of_before(run, one, given_back)]
    own = [run for run in known if run.airflow_try == one.number]
    if not one.succeeded:
        return (Executor.DAGSTER, own[0]) if own else (Executor.AIRFLOW, None)
    if succeeded := [run for run in own if run.succeeded]:
        return Executor.DAGSTER, succeeded[0]
    earlier = next((run for run in known if run.airflow_try is None or run.airflow_try < one.number), None)
    if earlier and earlier.succeeded and not _was_cleared(earlier, one):
        return Executor.DAGSTER, earlier
    if own:
        return Executor.UNCLEAR, own[0]
    if earlier and earlier.airflow_try is None and (earlier.live or one.number <= 1):
        return Executor.UNCLEAR, earlier
    return Executor.AIRFLOW, None


def given_back(entries: Sequence[Entry]) -> list[datetime]:
    """When moves of a unit have begun that make its windows Airflow's again."""
    return [
        entry.at
        for entry in entries
        if (entry.move, entry.kind) in ((Move.ROLLBACK, Kind.INTENDED), (Move.CUTOVER, Kind.TURNED_BACK))
    ]


def _is_of_before(run: TaskRun, one: Try, given_back: Sequence[datetime]) -> bool:
    return one.started is not None and any(run.launched < at <= one.started for at in given_back)


def _was_cleared(run: TaskRun, one: Try) -> bool:
    return any(number >= (run.airflow_try or 1) for number in one.succeeded_before)
