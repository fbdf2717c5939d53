"""Who executed a try that Airflow reports as finished: Airflow's own operator, or a Dagster run behind a proxy.

The operator's name in Airflow does not decide this: it may come from another version of the DAG.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move

CLOCKS = timedelta(seconds=30)  # by how much the clocks of Airflow and Dagster may differ


class Executor(Enum):
    """`UNCLEAR`: Airflow reports that the try succeeded, but its Dagster run did not."""

    AIRFLOW = "airflow"
    DAGSTER = "dagster"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A Dagster run that was launched for a task instance and may have written.

    `airflow_try`: the try that launched it, None if the run does not say. `how`: its state in words. `live`: it has not
    finished. `round`: the tag of that name. `ended`: None as long as it is live, or if that is not known.
    """

    run_id: str
    airflow_try: int | None
    launched: datetime
    succeeded: bool
    live: bool
    how: str
    round: str = ""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """A finished try. `succeeded_before`: the earlier tries of the same task instance that succeeded."""

    number: int
    succeeded: bool
    started: datetime | None
    succeeded_before: Collection[int] = ()
    ended: datetime | None = None


def executor_of(
    attempt: Try, runs: Sequence[TaskRun], given_back: Sequence[datetime]
) -> tuple[Executor, TaskRun | None]:
    """Who executed the try, and the Dagster run that shows it. `runs`: of its task instance, newest first.

    `given_back`: when the unit's windows became Airflow's again; runs from before that are not this try's. A proxied
    try succeeds with a run that it launched, or with an earlier try's run that it followed or accepted. It accepts
    the newest run if that succeeded and the task has not been cleared since, that is, if no try in between
    succeeded.
    """
    known = [run for run in runs if not _is_of_before(run, attempt, given_back)]
    own = [run for run in known if run.airflow_try == attempt.number]
    if not attempt.succeeded:
        return (Executor.DAGSTER, own[0]) if own else (Executor.AIRFLOW, None)
    if succeeded := [run for run in own if run.succeeded]:
        return Executor.DAGSTER, succeeded[0]
    earlier = next(
        (run for run in known if run.airflow_try is None or run.airflow_try < attempt.number), None
    )
    if earlier and earlier.succeeded and not _was_cleared(earlier, attempt):
        return Executor.DAGSTER, earlier
    if own:
        return Executor.UNCLEAR, own[0]
    if earlier and earlier.airflow_try is None and (earlier.live or attempt.number <= 1):
        return Executor.UNCLEAR, earlier
    return Executor.AIRFLOW, None


def executor_of_all(
    attempt: Try, max_tries: int, runs: Sequence[TaskRun], given_back: Sequence[datetime]
) -> tuple[Executor, TaskRun | None]:
    """Who executed a mapped task as a whole; its instances share one run. `attempt`: of the instance that ended last.

    `max_tries`: the sum over its instances, which is in the round of the run and changes whenever one is cleared. A run
    of another round counts only if there is none of this one, and only if it was live while that instance ran.
    """
    known = [run for run in runs if not _is_of_before(run, attempt, given_back)]
    own = [run for run in known if run.round.rpartition(".")[2] == str(max_tries)]
    # Cleared while a run is live, an instance follows that run of an earlier round.
    own = own or [run for run in known if _is_at_the_time_of(attempt, run)]
    if not own:
        return Executor.AIRFLOW, None
    succeeded = next((run for run in own if run.succeeded), None)
    if succeeded or not attempt.succeeded:
        return Executor.DAGSTER, succeeded or own[0]
    return Executor.UNCLEAR, own[0]


def executor_of_failed_instance(
    attempt: Try, runs: Sequence[TaskRun], given_back: Sequence[datetime]
) -> Executor:
    """Who executed a try of one instance of a mapped task, which did not succeed.

    Its number says nothing, as the proxy of another instance may have launched the run; nor does its start, as it may
    have begun before the launch or after it.
    """
    of_proxy = (
        _is_at_the_time_of(attempt, run) and not _is_of_before(run, attempt, given_back) for run in runs
    )
    return Executor.DAGSTER if any(of_proxy) else Executor.AIRFLOW


def given_back(entries: Sequence[Entry]) -> list[datetime]:
    """When the moves began that made a unit's windows Airflow's again."""
    return [
        entry.at
        for entry in entries
        if (entry.move, entry.kind) in ((Move.ROLLBACK, Kind.INTENDED), (Move.CUTOVER, Kind.TURNED_BACK))
    ]


def _is_of_before(run: TaskRun, attempt: Try, given_back: Sequence[datetime]) -> bool:
    return attempt.started is not None and any(run.launched < at <= attempt.started for at in given_back)


def _is_at_the_time_of(attempt: Try, run: TaskRun) -> bool:
    """Whether the run was live at some time during the try."""
    if attempt.started is None or attempt.ended is None or run.launched > attempt.ended + CLOCKS:
        return False
    return run.live or (run.ended is not None and run.ended >= attempt.started - CLOCKS)


def _was_cleared(run: TaskRun, attempt: Try) -> bool:
    return any(number >= (run.airflow_try or 1) for number in attempt.succeeded_before)
