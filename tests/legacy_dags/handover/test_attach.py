"""What a try does about the runs of earlier tries, and how long it waits: plain decisions, without any server."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.estate import put_legacy_code_on_path

put_legacy_code_on_path()

from handover.attach import Act, Run, decide  # noqa: E402 - Airflow's folder is no package of this project
from handover.patience import LONGEST_PAUSE, Patience, poll_pause  # noqa: E402

TAGS = {
    "dagster-airlift/airflow-dag-id": "d",
    "dagster-airlift/airflow-dag-run-id": "scheduled__x",
    "dagster-airlift/airflow-task-id": "t",
    "parity/airflow_map_index": "-1",
    "parity/launch_id": "of this try",
    "parity/airflow_round": "7.0",
    "parity/airflow_upstream": "10:00",
    "dagster/partition": "2024-03-09",
    "parity/window_start": "2024-03-09T11:00:00+00:00",
    "parity/window_end": "2024-03-10T10:00:00+00:00",
}
CLEARED = {"parity/airflow_round": "7.1"}


def a_run(status: str, run_id: str = "r", **changes: str) -> Any:
    """Launched by another try, under an id of its own unless that is said."""
    said = {"parity/launch_id": run_id, **{f"parity/{name}": value for name, value in changes.items()}}
    return Run(run_id, status, {**TAGS, **said})


def test_without_a_run_one_is_launched() -> None:
    """A first try launches."""
    assert decide([], TAGS).act is Act.LAUNCH


@pytest.mark.parametrize("status", ["QUEUED", "NOT_STARTED", "STARTING", "STARTED"])
def test_a_live_run_is_followed(status: str) -> None:
    """A retry follows whatever has not ended, and says why."""
    decision = decide([a_run("FAILURE", "new"), a_run(status, "live")], TAGS)

    assert (decision.act, decision.run.run_id) == (Act.FOLLOW, "live")
    assert decision.why == "an earlier try has launched it"


def test_an_instance_of_a_mapped_task_may_follow_another() -> None:
    """Only such an instance is told that its run may be another one's: a task that is not mapped has no others."""
    decision = decide([a_run("STARTED")], {**TAGS, "parity/airflow_passes_on_skips": "each"})

    assert decision.act is Act.FOLLOW
    assert decision.why == "an earlier try has launched it, or another instance of the task"


@pytest.mark.parametrize("status", ["FAILURE", "CANCELED"])
def test_a_failed_run_is_tried_again(status: str) -> None:
    """What has failed, or was ended, is launched again, also if an older run had succeeded."""
    assert decide([a_run(status, "new"), a_run("SUCCESS")], TAGS).act is Act.LAUNCH


def test_a_success_that_airflow_did_not_see_counts() -> None:
    """When the run went on and succeeded after Airflow had given the try up, the retry does not run it again."""
    assert decide([a_run("SUCCESS", "new"), a_run("FAILURE")], TAGS).act is Act.ACCEPT


def test_a_cleared_task_runs_again() -> None:
    """Who clears a task wants it to run: a success from before counts for nothing."""
    assert decide([a_run("SUCCESS")], {**TAGS, **CLEARED}).act is Act.LAUNCH


def test_a_cleared_task_follows_a_live_run_of_the_same_input() -> None:
    """Airflow had given up, somebody clears the task alone: its run still lives and is the one wanted."""
    assert decide([a_run("STARTED")], {**TAGS, **CLEARED}).act is Act.FOLLOW


def test_a_cleared_task_does_not_take_old_input() -> None:
    """If tasks before it have run again since, the live run is waited for and another is launched."""
    now = {**TAGS, **CLEARED, "parity/airflow_upstream": "12:00"}
    decision = decide([a_run("STARTED")], now)

    assert decision.act is Act.OUTLAST
    assert "its input is old" in decision.why
    assert decide([a_run("SUCCESS")], now).act is Act.LAUNCH


@pytest.mark.parametrize("ended", ["12:00", "10:01", "09:59", ""])
def test_input_is_old_whatever_the_clocks_say(ended: str) -> None:
    """Ends of tasks before it are never put in order: a clock that runs a minute ahead, or was set back, decides
    nothing. In the same round too, because a database that was restored gives its ids once more."""
    now = {**TAGS, "parity/airflow_upstream": ended}

    assert decide([a_run("STARTED")], now).act is Act.OUTLAST
    assert decide([a_run("SUCCESS")], now).act is Act.LAUNCH


def test_a_run_that_is_being_ended_is_waited_for() -> None:
    """A run that is canceled may still write: nothing is launched beside it."""
    assert decide([a_run("CANCELING")], TAGS).act is Act.OUTLAST


def test_a_run_of_another_window_is_never_taken() -> None:
    """A DAG run that was made anew with another interval neither follows nor accepts the old one's run."""
    assert decide([a_run("STARTED", window_end="2024-03-11")], TAGS).act is Act.OUTLAST
    assert decide([a_run("SUCCESS", window_end="2024-03-11")], TAGS).act is Act.LAUNCH


COPIED = ("dagster/parent_run_id", "dagster/root_run_id", "parity/refused")


@pytest.mark.parametrize("tag", COPIED)
def test_a_run_that_no_proxy_has_launched_counts_for_nothing(tag: str) -> None:
    """One that was executed again, or that Dagster's side has refused, is not accepted when it has succeeded, does not
    stand before the run that has, and is waited for while it lives."""
    copy = Run("copy", "SUCCESS", {**a_run("SUCCESS").tags, tag: "r"})
    failed, live = Run("copy", "FAILURE", copy.tags), Run("copy", "STARTED", copy.tags)

    assert decide([copy], TAGS).act is Act.LAUNCH
    assert decide([copy, a_run("FAILURE")], TAGS).act is Act.LAUNCH
    assert decide([failed, a_run("SUCCESS")], TAGS).act is Act.ACCEPT
    assert decide([live, a_run("SUCCESS")], TAGS).act is Act.OUTLAST
    assert "no try of the task has launched it" in decide([live], TAGS).why


def test_a_second_run_of_one_launch_counts_for_nothing() -> None:
    """The first run under a launch's id is that launch's, whatever becomes of the second."""
    second, first = a_run("FAILURE", "second", launch_id="x"), a_run("SUCCESS", "first", launch_id="x")

    assert decide([second, first], TAGS).run.run_id == "first"
    assert decide(
        [a_run("SUCCESS", "second", launch_id="x"), a_run("FAILURE", "first", launch_id="x")], TAGS
    ).act is (Act.LAUNCH)


def test_a_run_without_a_launch_counts_for_nothing() -> None:
    """Tags that somebody has typed in have no launch id, or none that he knows of."""
    assert decide([a_run("SUCCESS", launch_id="")], TAGS).act is Act.LAUNCH
    assert decide([a_run("STARTED", launch_id="")], TAGS).act is Act.OUTLAST


def test_names_that_read_alike_are_told_apart() -> None:
    """`a.b` and `c` are not `a` and `b.c`: the four names decide, not the text that they make."""
    other = Run("r", "STARTED", {**TAGS, "dagster-airlift/airflow-task-id": "other"})

    assert decide([other], TAGS).act is Act.LAUNCH


def test_patience_has_a_bound() -> None:
    """The pauses double, are spread, never exceed half a minute, and end exactly at the bound."""
    now = 100.0
    patience = Patience(600, clock=lambda: now)
    pauses = []
    while (pause := patience.pause()) is not None:
        pauses.append(pause)
        now += pause

    assert sum(pauses) == pytest.approx(600)
    assert max(pauses) <= LONGEST_PAUSE
    assert all(0.5 * 2**step <= pause <= 2**step for step, pause in enumerate(pauses[:4]))
    assert patience.passed() == pytest.approx(600)


def test_no_patience_is_no_pause() -> None:
    """A bound of zero asks once."""
    assert Patience(0).pause() is None


def test_short_runs_are_looked_at_often() -> None:
    """Looks begin twice a second and end at one in ten seconds."""
    pauses = [poll_pause(waited) for waited in (0, 5, 60, 3600)]

    assert pauses == [0.5, 0.5, 3.0, 10.0]
    assert all(earlier <= later for earlier, later in itertools.pairwise(pauses))
