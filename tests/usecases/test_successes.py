"""Which successes in Dagster's event log are events of a dataset."""

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import dagster as dg
import pytest

from dagster_defs.lifecycle import Unit
from dagster_defs.usecases.triggers import Successes, Writer
from tests.support.instances import instance_for_test

A, B = dg.AssetKey("a"), dg.AssetKey("b")
WRITER = Writer(Unit("up", "load"), A, (A, B), "load")
LONG_AGO = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with instance_for_test() as instance:
        yield instance


def load(*, breaks: bool) -> Any:
    @dg.multi_asset(name="load", specs=[dg.AssetSpec(key, skippable=True) for key in (A, B)], can_subset=True)
    def work(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(key)
        if breaks:
            raise ValueError("a test has failed")

    return work


def told(instance: dg.DagsterInstance) -> list[Unit]:
    return [each.unit for each in Successes(instance).of([WRITER], LONG_AGO, lambda key: False)]


def test_a_unit_that_failed_after_it_had_written_is_no_event(instance: dg.DagsterInstance) -> None:
    """As in Airflow, where a dataset changes when the task succeeds; the next run is one."""
    dg.materialize([load(breaks=True)], instance=instance, raise_on_error=False)
    assert told(instance) == []

    dg.materialize([load(breaks=False)], instance=instance)
    assert told(instance) == [WRITER.unit]


def test_a_part_of_a_unit_is_no_event(instance: dg.DagsterInstance) -> None:
    """Somebody has run one of its models."""
    dg.materialize([load(breaks=False)], instance=instance, selection=[A])

    assert told(instance) == []


def test_what_is_under_way_is_read_again(instance: dg.DagsterInstance) -> None:
    """Nobody knows yet whether it will have succeeded."""
    dg.materialize([load(breaks=True)], instance=instance, raise_on_error=False)
    [run] = instance.get_runs()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(dg.DagsterRun, "is_finished", False)
        monkeypatch.setattr("dagster_defs.usecases.triggers.succeeded_steps", lambda *_: set())
        successes = Successes(instance)
        assert successes.of([WRITER], LONG_AGO, lambda key: False) == []
    assert successes.oldest_open is not None
    assert run.is_finished
