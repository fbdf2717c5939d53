"""Who launched a run, judging by its records: Airflow's proxy, a backfill in the ledger, or somebody else.

Anybody who can launch runs in Dagster can write any tag. So a claim counts only if all of it is consistent and does
not contradict Dagster's own records of earlier runs.
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
# What a run is about, if it is about a window; a run of a DAG without a clock carries none of these.
WINDOW = (tags.WINDOW_START, tags.WINDOW_END, tags.PARTITION)
MAY_BE_EMPTY = (tags.AIRFLOW_UPSTREAM,)  # empty for a task without upstream tasks
# Runs of one task instance that are about the same work: one success among them is enough.
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
    """A run in Dagster's run storage. `whole`: no part of its job was left out. `parent`: the run that it re-executes,
    empty for a launch."""

    run_id: str
    job: str
    tags: Mapping[str, str]
    whole: bool = True
    parent: str = ""
    succeeded: bool = False


def claims_proxy(run: RunRecord) -> bool:
    """Whether any part of the run claims that Airflow's proxy launched it."""
    return any(name in run.tags for name in CLAIMS)


def claimed_task(run: RunRecord) -> Unit | None:
    """The Airflow task that the run names, if any."""
    dag_id, task_id = run.tags.get(tags.AIRFLOW_DAG), run.tags.get(tags.AIRFLOW_TASK)
    return Unit(dag_id, task_id) if dag_id and task_id else None


def why_not_the_proxys(
    unit: Unit, run: RunRecord, earlier: Sequence[RunRecord], *, of_event: bool = False
) -> str:
    """Why the run was not launched by the proxy of the unit's task, in words; empty if it was.

    `earlier`: runs created before it that carry its launch id or its task instance, newest first. The window is not
    examined. `of_event`: the unit's DAG has no clock. This repeats the check that the proxy itself makes before it
    launches a run.
    """
    if flaw := _why_not_a_launch(unit, run):
        return flaw
    if tags.REFUSED in run.tags:
        return f"it carries {tags.REFUSED}"
    needed = [name for name in NEEDED if not (of_event and name in WINDOW)]
    if missing := [name for name in needed if not run.tags.get(name) and name not in MAY_BE_EMPTY]:
        return f"it lacks {', '.join(missing)}"
    if tags.AIRFLOW_UPSTREAM not in run.tags:
        return f"it lacks {tags.AIRFLOW_UPSTREAM}"
    run_tags = run.tags
    if of_event and (strange := [name for name in WINDOW if name in run_tags]):
        return f"it carries {', '.join(strange)}, and its DAG has no clock"
    if claimed_task(run) != unit:
        return f"its tags name the task {claimed_task(run)}"
    if run_tags[tags.AIRFLOW_MAP_INDEX] != "-1":
        index = run_tags[tags.AIRFLOW_MAP_INDEX]
        return f"{tags.AIRFLOW_MAP_INDEX} is {index}: the instances of a mapped task share a run"
    if run_tags[tags.AIRFLOW_TASK_INSTANCE] != f"{unit} {run_tags[tags.AIRFLOW_RUN]}":
        return f"{tags.AIRFLOW_TASK_INSTANCE} is not the task of {run_tags[tags.AIRFLOW_RUN]}"
    if not run_tags[tags.AIRFLOW_TRY].isdecimal():
        return f"{tags.AIRFLOW_TRY} is not a number"
    if not _LAUNCH_ID.fullmatch(run_tags[tags.LAUNCH]):
        return f"{tags.LAUNCH} is not the id of a launch"
    if tags.RANGE_START in run_tags or tags.RANGE_END in run_tags:
        return "it is about a range of partitions"
    same_launch = [run for run in earlier if run.tags.get(tags.LAUNCH) == run_tags[tags.LAUNCH]]
    if same_launch:
        return f"run {same_launch[-1].run_id} was launched with the same {tags.LAUNCH}"
    launched = (run for run in earlier if _is_a_proxys(unit, run, earlier) and tags.REFUSED not in run.tags)
    before = next(launched, None)
    if before and before.succeeded and all(before.tags.get(name) == run_tags.get(name) for name in SAME_WORK):
        return f"run {before.run_id} has already done this, and the task has not been cleared since"
    return ""


def why_not_the_backfills(unit: Unit, run: RunRecord, earlier: Sequence[RunRecord]) -> str:
    """Why the run was not launched by `parity backfill` for the entry that it names; empty if it was.

    `earlier`: runs created before it that name the same entry.
    """
    if flaw := _why_not_a_launch(unit, run):
        return flaw
    if tags.PARTITION in run.tags:
        return f"it has the tag {tags.PARTITION} in addition to its range"
    entry = run.tags.get(tags.BACKFILL)
    using = [each for each in earlier if each.tags.get(tags.BACKFILL) == entry]
    return f"run {using[-1].run_id} has used it already" if using else ""


def _why_not_a_launch(unit: Unit, run: RunRecord) -> str:
    """The proxy and `parity backfill` launch the unit's own job, and all of it; nothing else in Dagster does so."""
    if run.parent or tags.PARENT_RUN in run.tags or tags.ROOT_RUN in run.tags:
        parent = run.parent or run.tags.get(tags.PARENT_RUN) or run.tags.get(tags.ROOT_RUN)
        return f"it re-executes run {parent}"
    for name, starter in STARTED_BY.items():
        if name in run.tags:
            return f"it was started by {starter}"
    if run.job != unit.identifier:
        return f"it is a run of the job {run.job}, not of {unit.identifier}"
    if (run.tags.get(tags.UNIT), run.tags.get(tags.SIDE)) != (str(unit), "legacy"):
        return f"the job's tags {tags.UNIT} and {tags.SIDE} were changed"
    return "" if run.whole else "it covers only a part of the unit"


def _is_a_proxys(unit: Unit, run: RunRecord, known: Sequence[RunRecord]) -> bool:
    """Whether a proxy launched it. `known`: newest first, including the run."""
    launch_id, place = run.tags.get(tags.LAUNCH, ""), known.index(run)
    repeated = any(each.tags.get(tags.LAUNCH) == launch_id for each in known[place + 1 :])
    return bool(launch_id) and not repeated and not _why_not_a_launch(unit, run)
