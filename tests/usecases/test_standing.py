"""What Dagster's event log is asked for beside a comparison, on a real one."""

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import dagster as dg
import pytest

from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.fairness import Write
from dagster_defs.settings import Settings
from dagster_defs.usecases.shadow.standing import EventLog
from dagster_defs.windows import Window
from tests.support.instances import instance_for_test

UNIT = Unit("up", "stream")
LEGACY, SHADOW = dg.AssetKey("rows"), dg.AssetKey(["shadow", "rows"])
DAY = "2024-03-09"
DAYS = dg.DailyPartitionsDefinition("2024-03-01")


@dg.asset(key=SHADOW, partitions_def=DAYS)
def shadow_rows(context: dg.AssetExecutionContext) -> None:
    if context.run.tags.get("fail"):
        raise ValueError("no data")


@pytest.fixture
def log() -> Iterator[EventLog]:
    with instance_for_test() as instance:
        yield EventLog(instance, Settings())


def wrote(log: EventLog, key: dg.AssetKey) -> int:
    """A materialization of the day; its place in the log."""
    log.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=DAY))
    event = log.last_write(key, DAY)
    assert event
    return event.position


def candidate_run(log: EventLog, **more: str) -> str:
    whose = {tags.UNIT: str(UNIT), tags.SIDE: "candidate", **more}
    return dg.materialize(
        [shadow_rows], instance=log.instance, partition_key=DAY, tags=whose, raise_on_error=False
    ).run_id


def not_made(log: EventLog, before: int) -> tuple[str, ...]:
    return log.not_made(UNIT, (LEGACY, SHADOW), [DAY], before)


def test_a_candidate_that_is_not_made_is_said(log: EventLog) -> None:
    """What legacy has and the candidate's side has never had is said, until a run makes it."""
    place = wrote(log, LEGACY)

    assert not_made(log, place) == (
        f"shadow/rows of {DAY} is missing: up.stream has had no candidate run of it",
    )
    candidate_run(log)
    assert not_made(log, place) == ()


def test_a_candidate_whose_last_run_has_failed_is_said(log: EventLog) -> None:
    """A failed run counts also where an earlier one had made the data, and is forgotten after the next good one."""
    place = wrote(log, LEGACY)
    candidate_run(log)
    failed = candidate_run(log, fail="yes")

    assert not_made(log, place) == (
        f"shadow/rows of {DAY} is missing: candidate run {failed[:8]} of up.stream failed",
    )
    candidate_run(log)
    assert not_made(log, place) == ()


def test_what_legacy_has_not_read_is_not_missed(log: EventLog) -> None:
    """Data that legacy wrote after the run that is compared, or never, is no reason."""
    assert not_made(log, 1_000) == ()
    place = wrote(log, LEGACY)

    assert not_made(log, place - 1) == ()


@pytest.mark.parametrize(
    ("noted", "found"),
    [
        ({}, False),
        ({tags.WRITTEN_BY: "other.task"}, True),
        ({tags.WRITTEN_BY: "other.task", tags.WINDOW_START: 0.0, tags.WINDOW_END: 9.0}, False),
        ({tags.WRITTEN_BY: "other.task", tags.ENDED: 9.0}, False),
    ],
)
def test_writes_that_observations_tell_of(log: EventLog, noted: dict[str, Any], found: bool) -> None:
    """An observation of a write since counts, unless it was about another window or had ended before."""
    began = datetime(2024, 3, 11, tzinfo=timezone.utc)
    window = Window.between(
        datetime(2024, 3, 9, tzinfo=timezone.utc), datetime(2024, 3, 10, tzinfo=timezone.utc)
    )
    log.instance.report_runless_asset_event(dg.AssetObservation(LEGACY, metadata=noted))

    said = log.written_since(LEGACY, Write(1, DAY, began, began), window)

    assert bool(said) is found
    assert log.written_since(LEGACY, None, window) == ()
