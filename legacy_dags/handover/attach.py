"""What a try does about the Dagster runs that earlier tries of the same task have left. Pure: it decides, no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from handover.names import (
    DAG_RUN_TAG,
    DAG_TAG,
    MAP_INDEX_TAG,
    PARTITION_TAG,
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
    """`run`: the run that it is about, None for a launch; `why`: for Airflow's log."""

    act: Act
    run: Run | None = None
    why: str = ""


def decide(runs: Sequence[Run], tags: Mapping[str, str]) -> Decision:
    """`runs`: of this task instance, newest first. `tags`: those that a run of this try would carry.

    At no time do two runs of one task instance live. A run that has succeeded counts only for a retry; who clears a
    task wants it to run.
    """

    def alike(run: Run, *names: str) -> bool:
        return all(run.tags.get(name) == tags[name] for name in names)

    own = [run for run in runs if alike(run, *WHOSE)]
    run = next((run for run in own if run.is_live), None)
    if run:
        if run.status == "CANCELING":
            return Decision(Act.OUTLAST, run, "it is being ended")
        if not alike(run, *WHAT):
            return Decision(Act.OUTLAST, run, "it is about another window")
        # In the same round too: a database that was restored gives the same ids to what it makes again.
        if not alike(run, UPSTREAM_TAG):
            return Decision(Act.OUTLAST, run, "tasks before this one have run again since: its input is old")
        if alike(run, ROUND_TAG):
            return Decision(Act.FOLLOW, run, "an earlier try has launched it")
        return Decision(Act.FOLLOW, run, "it was launched before the task was cleared, from the same input")
    if own and own[0].status == "SUCCESS" and alike(own[0], ROUND_TAG, UPSTREAM_TAG, *WHAT):
        return Decision(Act.ACCEPT, own[0], "it went on after the try that launched it had ended")
    return Decision(Act.LAUNCH)
