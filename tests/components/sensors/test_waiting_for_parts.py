"""What a window waits for if Dagster has run only a part of it, or has refused to run it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.api import create_execution_plan

from dagster_defs.adapters.dagster.partitions import definition_of
from dagster_defs.components.sensors.waited_job import waited_job
from dagster_defs.lifecycle import Unit
from tests.support.retired_dags import FAILURE, SPRING_END, SUCCESS, Schedules
from tests.support.waiting_dags import AWAITED, CLEAN, DAY, EARLIER, LOAD, WAIT, run_in_dagster, waiting

OF_UNIT = {"parity/unit": "trips.load", "parity/side": "legacy"}
TWO_MODELS = replace(AWAITED["trips"][0], keys=[dg.AssetKey("load"), dg.AssetKey("load_more")])


def step_of(unit: Unit, *models: str) -> Any:
    @dg.multi_asset(
        name=f"run__trips__{unit.task_id}",
        specs=[dg.AssetSpec(model, skippable=True) for model in models or (unit.task_id,)],
        partitions_def=definition_of(EARLIER),
        can_subset=True,
    )
    def work(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(asset_key=key)

    return work


def run_of(
    schedules: Schedules,
    status: dg.DagsterRunStatus,
    *units: Unit,
    only: Sequence[str] = (),
    **tags: str,
) -> None:
    """A run that has ended without an event of any step. `only`: the steps that it executes."""
    made = [step_of(unit) for unit in units]
    definitions = dg.Definitions(assets=made, jobs=[dg.define_asset_job("trips", [*made])])
    job = definitions.resolve_job_def("trips")
    schedules.instance.create_run_for_job(
        job,
        create_execution_plan(job, step_keys_to_execute=[*only] or None),
        status=status,
        tags={"dagster/partition": DAY, **{name.replace("__", "/"): value for name, value in tags.items()}},
    )


@pytest.mark.parametrize("ended", [SUCCESS, FAILURE])
def test_a_run_of_other_steps_says_nothing(waits: Schedules, ended: dg.DagsterRunStatus) -> None:
    """A re-execution from failure does not come to what had succeeded before: that is still written."""
    run_in_dagster(waits, LOAD, CLEAN, broken=[CLEAN])
    run_of(waits, ended, LOAD, CLEAN, only=["run__trips__clean"], parity__dag="trips")

    assert waits.tick(SPRING_END) == [DAY]


def test_a_run_of_other_steps_does_not_hide_a_failure(waits: Schedules) -> None:
    """What has failed, and was not run again, has failed."""
    run_in_dagster(waits, LOAD, CLEAN, broken=[LOAD])
    run_of(waits, SUCCESS, LOAD, CLEAN, only=["run__trips__clean"], parity__dag="trips")

    assert waits.tick(SPRING_END) == []
    assert "trips.load of 2024-03-09 10:00 UTC is failed" in str(waits.skipped)


def test_a_part_of_a_unit_is_not_the_unit(waits: Schedules) -> None:
    """A run of one model of two is not waited for, and a run of both is."""
    waits.awaited = {"trips": [TWO_MODELS]}

    def run(*models: str) -> None:
        dg.materialize(
            [step_of(LOAD, "load", "load_more")],
            instance=waits.instance,
            partition_key=DAY,
            selection=[*models],
            tags=OF_UNIT,
        )

    run("load")
    assert waits.tick(SPRING_END) == []
    assert "trips.load of 2024-03-09 10:00 UTC is not written" in str(waits.skipped)

    run("load", "load_more")
    run("load")
    assert waits.tick(SPRING_END.add(minutes=1)) == [DAY]


def test_a_refused_run_hides_nothing(waits: Schedules) -> None:
    """Neither success nor failure of the runs before it: it has done nothing."""
    run_in_dagster(waits, LOAD)
    run_of(waits, FAILURE, LOAD, parity__dag="trips")
    run_of(waits, FAILURE, LOAD, parity__dag="trips", parity__refused="NotTheOwner")

    assert waits.tick(SPRING_END) == []
    assert "trips.load of 2024-03-09 10:00 UTC is upstream_failed" in str(waits.skipped)

    run_in_dagster(waits, LOAD)
    for _ in range(3):
        run_of(waits, FAILURE, LOAD, parity__dag="trips", parity__refused="NotTheOwner")
    assert waits.tick(SPRING_END.add(minutes=1)) == [DAY]


def test_a_window_that_waited_in_vain_itself(waits: Schedules) -> None:
    """Whoever waits for a DAG that waits sees its end, although that run has none of its steps."""
    waits.dags = [waiting(replace(WAIT, failed=frozenset({"upstream_failed"})))]
    job: Any = waited_job("waited__trips", "trips", [dg.AssetKey("load")])
    config = {"ops": {"end__waited__trips": {"config": {"outcome": "failed", "why": "it came too late"}}}}
    job.execute_in_process(
        config, instance=waits.instance, tags={"dagster/partition": DAY}, raise_on_error=False
    )

    assert waits.tick(SPRING_END) == [DAY]
    assert waits.keys == ["taxi|2024-03-09|waited"]
