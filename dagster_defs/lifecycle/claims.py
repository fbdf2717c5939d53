"""What a run's records say of who has launched it: Airflow's proxy, a backfill of the ledger, or somebody else.

Whoever may launch runs in Dagster may write any tag. So a claim counts only if the whole of it fits together, and if
Dagster's own records of the runs before it leave room for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.units import Unit

CLAIMS = (tags.AIRFLOW_DAG, tags.AIRFLOW_RUN, tags.AIRFLOW_TASK, tags.AIRFLOW_TASK_INSTANCE, tags.LAUNCH)
NEEDED = (
    *CLAIMS,
    tags.AIRFLOW_MAP_INDEX,
    tags.AIRFLOW_TRY,
    tags.AIRFLOW_ROUND,
    tags.AIRFLOW_UPSTREAM,
    tags.WINDOW_START,
    tags.WINDOW_END,
    tags.PARTITION,
)
MAY_BE_EMPTY = (tags.AIRFLOW_UPSTREAM,)  # of a task that no other comes before
# Runs of one task instance that are about the same work: of these one success is enough.
SAME_WORK = (
    *CLAIMS[:-1],
    tags.AIRFLOW_ROUND,
    tags.AIRFLOW_UPSTREAM,
    tags.WINDOW_START,
    tags.WINDOW_END,
    tags.PARTITION,
)
STARTED_BY = {
    "dagster/backfill": "a backfill in Dagster's UI",
    "dagster/schedule_name": "a schedule",
    "dagster/sensor_name": "a sensor",
    "dagster/from_automation_condition": "an automation condition",
    "dagster/auto_materialize": "an automation condition",
}
_LAUNCH_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as Dagster's run storage has it. `whole`: nothing of its job was left out. `parent`: the run that it was
    executed again from, empty for a launch."""

    run_id: str
    job: str
    tags: Mapping[str, str]
    whole: bool = True
    parent: str = ""
    succeeded: bool = False


def claims_proxy(run: RunRecord) -> bool:
    """Whether the run says, in whatever part, that Airflow's proxy has launched it."""
    return any(name in run.tags for name in CLAIMS)


def claimed_task(run: RunRecord) -> Unit | None:
    """The task of Airflow's that the run names; None if it names none."""
    dag_id, task_id = run.tags.get(tags.AIRFLOW_DAG), run.tags.get(tags.AIRFLOW_TASK)
    return Unit(dag_id, task_id) if dag_id and task_id else None


def why_not_the_proxys(unit: Unit, run: RunRecord, earlier: Sequence[RunRecord]) -> str:
    """Why the run is not one that the proxy of the unit's task has launched, in words; empty if it is.

    `earlier`: runs that were created before it and carry its launch id or its task instance, newest first. The window
    is not looked at. What the proxy itself would have found when it looked before its launch is found here once more.
    """
    if flaw := _why_not_a_launch(unit, run):
        return flaw
    if tags.REFUSED in run.tags:
        return f"it carries {tags.REFUSED}"
    if missing := [name for name in NEEDED if not run.tags.get(name) and name not in MAY_BE_EMPTY]:
        return f"it lacks {', '.join(missing)}"
    if tags.AIRFLOW_UPSTREAM not in run.tags:
        return f"it lacks {tags.AIRFLOW_UPSTREAM}"
    said = run.tags
    if claimed_task(run) != unit:
        return f"its tags name the task {claimed_task(run)}"
    if said[tags.AIRFLOW_MAP_INDEX] != "-1":
        return f"{tags.AIRFLOW_MAP_INDEX} is {said[tags.AIRFLOW_MAP_INDEX]}: a mapped task has no proxy"
    if said[tags.AIRFLOW_TASK_INSTANCE] != f"{unit} {said[tags.AIRFLOW_RUN]}":
        return f"{tags.AIRFLOW_TASK_INSTANCE} is not the task of {said[tags.AIRFLOW_RUN]}"
    if not said[tags.AIRFLOW_TRY].isdecimal():
        return f"{tags.AIRFLOW_TRY} is not a number"
    if not _LAUNCH_ID.fullmatch(said[tags.LAUNCH]):
        return f"{tags.LAUNCH} is not the id of a launch"
    if tags.RANGE_START in said or tags.RANGE_END in said:
        return "it is about a range of partitions"
    same_launch = [one for one in earlier if one.tags.get(tags.LAUNCH) == said[tags.LAUNCH]]
    if same_launch:
        return f"run {same_launch[-1].run_id} was launched with the same {tags.LAUNCH}"
    launched = (one for one in earlier if _is_a_proxys(unit, one, earlier) and tags.REFUSED not in one.tags)
    before = next(launched, None)
    if before and before.succeeded and all(before.tags.get(name) == said[name] for name in SAME_WORK):
        return f"run {before.run_id} has done this already, and the task was not cleared since"
    return ""


def why_not_the_backfills(unit: Unit, run: RunRecord, earlier: Sequence[RunRecord]) -> str:
    """Why the run is not the one that `parity backfill` has launched for the entry that it names; empty if it is.

    `earlier`: runs that were created before it and name the same entry.
    """
    if flaw := _why_not_a_launch(unit, run):
        return flaw
    if tags.PARTITION in run.tags:
        return f"it has the tag {tags.PARTITION} beside its range"
    entry = run.tags.get(tags.BACKFILL)
    first = [one for one in earlier if one.tags.get(tags.BACKFILL) == entry]
    return f"run {first[-1].run_id} has used it" if first else ""


def _why_not_a_launch(unit: Unit, run: RunRecord) -> str:
    """Proxy and `parity backfill` launch the unit's own job, as a whole; no part of Dagster does that for them."""
    if run.parent or tags.PARENT_RUN in run.tags or tags.ROOT_RUN in run.tags:
        parent = run.parent or run.tags.get(tags.PARENT_RUN) or run.tags.get(tags.ROOT_RUN)
        return f"it was executed again, from run {parent}"
    for name, starter in STARTED_BY.items():
        if name in run.tags:
            return f"{starter} has started it"
    if run.job != unit.identifier:
        return f"it is a run of the job {run.job}, not of {unit.identifier}"
    if (run.tags.get(tags.UNIT), run.tags.get(tags.SIDE)) != (str(unit), "legacy"):
        return f"the tags {tags.UNIT} and {tags.SIDE} of its job were changed"
    return "" if run.whole else "it is about a part of the unit"


def _is_a_proxys(unit: Unit, run: RunRecord, known: Sequence[RunRecord]) -> bool:
    """Whether a proxy has launched it. `known`: newest first, the run among them."""
    launch_id, place = run.tags.get(tags.LAUNCH, ""), known.index(run)
    repeated = any(one.tags.get(tags.LAUNCH) == launch_id for one in known[place + 1 :])
    return bool(launch_id) and not repeated and not _why_not_a_launch(unit, run)
