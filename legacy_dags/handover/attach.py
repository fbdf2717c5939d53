"""Decides what a try does about Dagster runs that earlier tries of the same task left behind. Pure: decides only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from handover.names import (
    DAG_RUN_TAG,
    DAG_TAG,
    LAUNCH_TAG,
    MAP_INDEX_TAG,
    PARENT_RUN_TAG,
    PARTITION_TAG,
    PASSES_ON_EACH,
    PASSES_ON_SKIPS_TAG,
    REFUSED_TAG,
    ROOT_RUN_TAG,
    ROUND_TAG,
    TASK_TAG,
    UPSTREAM_TAG,
    WINDOW_END_TAG,
    WINDOW_START_TAG,
)

ENDED = ("SUCCESS", "FAILURE", "CANCELED")
WHOSE = (DAG_TAG, DAG_RUN_TAG, TASK_TAG, MAP_INDEX_TAG)
WHAT = (PARTITION_TAG, WINDOW_START_TAG, WINDOW_END_TAG)


@dataclass(frozen=True)
class Run:
    """A Dagster run as the proxy sees it."""

    run_id: str
    status: str
    tags: Mapping[str, str]

    @property
    def is_live(self) -> bool:
        return self.status not in ENDED


class Act(Enum):
    LAUNCH = "launch a run"
    FOLLOW = "follow the live run"
    ACCEPT = "take the run that has succeeded"
    OUTLAST = "wait for the live run to end, then launch another"


@dataclass(frozen=True)
class Decision:
    """`run`: the run concerned, None for a launch; `why`: for Airflow's log."""

    act: Act
    run: Run | None = None
    why: str = ""


def decide(runs: Sequence[Run], tags: Mapping[str, str]) -> Decision:
    """`runs`: those of this task instance, or of all instances of this mapped task, newest first. `tags`: those that a
    run of this try would carry.

    At no time are there two live runs of one task instance. A successful run counts only for a retry, because whoever
    clears a task wants it to run. Tags that neither has, as those of a window for a DAG without a clock, are alike. A
    run that was not launched by a proxy is neither followed nor accepted, whatever its tags say; while it is live, the
    try waits for it.
    """

    def alike(run: Run, *names: str) -> bool:
        return all(run.tags.get(name) == tags.get(name) for name in names)

    same_task = [run for run in runs if alike(run, *WHOSE)]
    own = _launched_by_proxies(same_task)
    run = next((run for run in same_task if run.is_live), None)
    if run:
        if run not in own:
            return Decision(
                Act.OUTLAST, run, "it has this task's tags, and no try of the task has launched it"
            )
        if run.status == "CANCELING":
            return Decision(Act.OUTLAST, run, "it is being ended")
        if not alike(run, *WHAT):
            return Decision(Act.OUTLAST, run, "it is about another window")
        # Also within the same round: a restored database may assign the same ids again.
        if not alike(run, UPSTREAM_TAG):
            return Decision(Act.OUTLAST, run, "tasks before this one have run again since: its input is old")
        if alike(run, ROUND_TAG):
            is_mapped = tags.get(PASSES_ON_SKIPS_TAG) == PASSES_ON_EACH
            sibling = ", or another instance of the task" if is_mapped else ""
            return Decision(Act.FOLLOW, run, f"an earlier try has launched it{sibling}")
        return Decision(Act.FOLLOW, run, "it was launched before the task was cleared, from the same input")
    if own and own[0].status == "SUCCESS" and alike(own[0], ROUND_TAG, UPSTREAM_TAG, *WHAT):
        return Decision(Act.ACCEPT, own[0], "it went on after the try that launched it had ended")
    return Decision(Act.LAUNCH)


def _launched_by_proxies(runs: Sequence[Run]) -> list[Run]:
    """Leaves out re-executions of other runs, second runs of one launch, and runs that Dagster's side refused: none of
    these has done anything. `runs` and the result are newest first."""
    first_of: dict[str, Run] = {}
    for run in reversed(runs):
        launch_id = run.tags.get(LAUNCH_TAG, "")
        if launch_id and not any(name in run.tags for name in (PARENT_RUN_TAG, ROOT_RUN_TAG, REFUSED_TAG)):
            first_of.setdefault(launch_id, run)
    return [run for run in runs if first_of.get(run.tags.get(LAUNCH_TAG, "")) is run]
