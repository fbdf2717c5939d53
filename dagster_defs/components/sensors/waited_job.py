"""The job that ends a window of a retired DAG which has waited for another DAG in vain."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.waits import Outcome
from dagster_defs.parity import Side


def waited_op(job: str) -> str:
    return f"end__{job}"  # a job and an op may not share a name


def waited_job(name: str, dag_id: str, keys: Sequence[dg.AssetKey]) -> Any:
    """`keys`: the assets of all the DAG's units. Its run fails as Airflow's run of the DAG would, with the reason, or
    notes on each asset that the window was skipped."""

    @dg.op(
        name=waited_op(name),
        config_schema={"outcome": str, "why": str},
        out=dg.Out(dg.Nothing),
    )
    def end(context: dg.OpExecutionContext) -> None:
        why = context.op_config["why"]
        if Outcome(context.op_config["outcome"]) is Outcome.FAILED:
            raise dg.Failure(f"{dag_id}: {why}", allow_retries=False)
        for key in keys:
            context.log_event(
                dg.AssetObservation(
                    key,
                    partition=context.run.tags[tags.PARTITION],
                    description=f"skipped: {why}",
                    metadata={tags.SHOWN_STATE: "skipped"},
                )
            )

    @dg.job(
        name=name,
        description=f"Ends a window of {dag_id} that has waited for another DAG in vain; nothing else is run.",
        executor_def=dg.in_process_executor,
        tags={tags.DAG: dag_id, tags.SIDE: Side.LEGACY.value, tags.IN_VAIN: dag_id},
    )
    def ended() -> None:
        end()

    return ended
