"""Who has executed a try: each row of the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.attribution import (
    Executor,
    TaskRun,
    Try,
    executor_of,
    executor_of_all,
    executor_of_failed_instance,
    given_back,
)
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move

AIRFLOW, DAGSTER, UNCLEAR = Executor
NOON = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
BEFORE, AFTER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
FIRST, SECOND, THIRD = (Try(number, succeeded=True, started=NOON) for number in (1, 2, 3))


def a_run(airflow_try: int | None, how: str = "SUCCESS") -> TaskRun:
    return TaskRun(f"of-{airflow_try}", airflow_try, BEFORE, how == "SUCCESS", how == "LIVE", how)


@pytest.mark.parametrize(
    ("one", "runs", "executor"),
    [
        (FIRST, [], AIRFLOW),
        (FIRST, [a_run(1)], DAGSTER),
        (FIRST, [a_run(1, "FAILURE")], UNCLEAR),
        (FIRST, [a_run(1, "LIVE")], UNCLEAR),
        (SECOND, [a_run(2), a_run(1, "FAILURE")], DAGSTER),
        (SECOND, [a_run(1, "FAILURE")], AIRFLOW),
        (SECOND, [a_run(1, "CANCELED")], AIRFLOW),
        (SECOND, [a_run(1, "LIVE")], AIRFLOW),
        (SECOND, [a_run(1)], DAGSTER),
        (replace(SECOND, succeeded_before=[1]), [a_run(1)], AIRFLOW),
        (THIRD, [a_run(1)], DAGSTER),
        (THIRD, [a_run(2, "FAILURE"), a_run(1)], AIRFLOW),
        (replace(THIRD, succeeded_before=[1]), [a_run(2)], DAGSTER),
        (replace(THIRD, succeeded_before=[2]), [a_run(2)], AIRFLOW),
        (SECOND, [a_run(2, "FAILURE"), a_run(1)], DAGSTER),
        (SECOND, [a_run(3)], AIRFLOW),
        (FIRST, [a_run(None)], DAGSTER),
        (FIRST, [a_run(None, "LIVE")], UNCLEAR),
        (FIRST, [a_run(None, "FAILURE")], UNCLEAR),
        (SECOND, [a_run(None, "FAILURE")], AIRFLOW),
        (replace(SECOND, succeeded_before=[1]), [a_run(None)], AIRFLOW),
    ],
)
def test_who_has_executed_a_success(one: Try, runs: Sequence[TaskRun], executor: Executor) -> None:
    """A try that has succeeded is Dagster's if the run that it launched has, or one of an earlier try that it can have
    followed; a run that has not, and is of the very try, is a contradiction; everything else is Airflow's."""
    assert executor_of(one, runs, [])[0] is executor


@pytest.mark.parametrize(
    ("runs", "executor"),
    [
        ([a_run(1, "FAILURE")], DAGSTER),
        ([a_run(1, "CANCELED")], DAGSTER),
        ([], AIRFLOW),
        ([a_run(2)], AIRFLOW),
    ],
)
def test_who_has_executed_a_failure(runs: Sequence[TaskRun], executor: Executor) -> None:
    """A try that has failed is Dagster's only if it has launched a run."""
    assert executor_of(replace(FIRST, succeeded=False), runs, [])[0] is executor


@pytest.mark.parametrize(
    ("at", "executor"), [(NOON - timedelta(minutes=1), AIRFLOW), (BEFORE, DAGSTER), (AFTER, DAGSTER)]
)
def test_a_way_back_between_parts_a_run_from_a_try(at: datetime, executor: Executor) -> None:
    """A run that was launched before a rollback is not that of a try that began after it: such as the success of a
    lost try, and the first try of a DAG run that was deleted and made anew."""
    assert executor_of(SECOND, [a_run(1)], [at])[0] is executor
    assert executor_of(FIRST, [a_run(1)], [at])[0] is executor


def test_what_gives_windows_back() -> None:
    """The beginning of a rollback, and the turn of a cutover: from then on a mark may be Airflow's."""
    entry = Entry("a", BEFORE, "ada", Unit("d", "t"), Move.CUTOVER, Kind.INTENDED, Stage.SHADOWED)
    turned = replace(entry, kind=Kind.TURNED_BACK, at=NOON)
    rollback = replace(entry, move=Move.ROLLBACK, stage=Stage.CUT_OVER, at=AFTER)

    assert given_back([entry, turned, rollback, replace(rollback, kind=Kind.DONE)]) == [NOON, AFTER]


# A mapped task as a whole: the try is of the instance that ended last, and its sum of `max_tries` is 2.
LASTING = Try(2, succeeded=True, started=NOON, ended=AFTER)
QUARTER = timedelta(minutes=15)


def a_round(
    round_: str, how: str = "SUCCESS", launched: datetime = BEFORE, ended: datetime | None = None
) -> TaskRun:
    return replace(a_run(1, how), round=round_, launched=launched, ended=ended)


@pytest.mark.parametrize(
    ("runs", "executor"),
    [
        ([], AIRFLOW),
        ([a_round("7.2")], DAGSTER),
        ([a_round("7.2", "FAILURE")], UNCLEAR),
        ([a_round("7.12")], AIRFLOW),
        ([a_round("7.1", ended=NOON - QUARTER)], AIRFLOW),
        ([a_round("7.1", ended=NOON + QUARTER)], DAGSTER),
        ([a_round("7.1", "FAILURE", ended=NOON + QUARTER)], UNCLEAR),
        ([a_round("7.1", "LIVE")], UNCLEAR),
        ([a_round("7.1", launched=AFTER + QUARTER, ended=AFTER + 2 * QUARTER)], AIRFLOW),
        ([a_round("7.2", "FAILURE"), a_round("7.1", ended=NOON + QUARTER)], UNCLEAR),
    ],
)
def test_who_has_executed_a_mapped_task(runs: Sequence[TaskRun], executor: Executor) -> None:
    """A run of its round, or else one of another round that lived while its last instance ran: an instance that was
    cleared meanwhile, such as a deferred one, follows that run."""
    assert executor_of_all(LASTING, 2, runs, [])[0] is executor


@pytest.mark.parametrize(
    ("launched", "ended", "executor"),
    [
        (NOON - QUARTER, NOON + QUARTER, DAGSTER),
        (NOON + QUARTER, NOON + 2 * QUARTER, DAGSTER),
        (NOON - QUARTER, None, AIRFLOW),
        (NOON - 2 * QUARTER, NOON - QUARTER, AIRFLOW),
        (AFTER + QUARTER, AFTER + 2 * QUARTER, AIRFLOW),
    ],
)
def test_who_has_executed_a_failed_instance(
    launched: datetime, ended: datetime | None, executor: Executor
) -> None:
    """A try is a proxy's if a run lived during it, whichever instance has launched the run: one from before the try, or
    from after it, is not the try's."""
    attempt = replace(LASTING, succeeded=False)

    assert executor_of_failed_instance(attempt, [a_round("7.0", "FAILURE", launched, ended)], []) is executor
    rolled_back = [launched + timedelta(seconds=1)]
    if launched < NOON:
        assert executor_of_failed_instance(
            attempt, [a_round("7.0", "FAILURE", launched, ended)], rolled_back
        ) is (AIRFLOW)
