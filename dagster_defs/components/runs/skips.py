"""What a task of Airflow's skips in a run that Airflow's proxy has launched: the proxy skips the same in Airflow."""

import json
from collections.abc import Sequence

import dagster as dg

from dagster_defs.lifecycle import tags


def pass_on(context: dg.AssetExecutionContext, state: str, skips: Sequence[str] = ()) -> bool:
    """Tell the run's proxy how the task has ended, and which other tasks it skips, if there is anything to skip.

    False if the proxy cannot pass that on, because it is older than this: Airflow would go on as after a success.
    """
    if state != "skipped" and not skips:
        return True
    if tags.PASSES_ON_SKIPS not in context.run.tags:
        return False
    run_tags = {tags.AIRFLOW_STATE: state, tags.AIRFLOW_SKIPS: json.dumps([*skips])}
    context.instance.add_run_tags(context.run.run_id, run_tags)
    return True
