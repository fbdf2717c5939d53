"""When a comparison would be unfair: the verdict is inconclusive, and says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from dagster_defs.lifecycle.fairness import (
    LATER_INPUT,
    NOT_ASKED,
    Standing,
    Upstream,
    Write,
    judged,
    read_as_of,
    unfair_reason,
    unfair_tests_reason,
)
from dagster_defs.parity import Check, Verdict


def at(minute: int) -> datetime:
    return datetime(2024, 3, 10, 12, minute, tzinfo=timezone.utc)


DAY, NEXT = "2024-03-09", "2024-03-10"
LEGACY = Write(10, DAY, at(0), at(5))
CANDIDATE = Write(20, DAY, at(6), at(8))
FAIR = Standing(as_a_whole=False, legacy=LEGACY, candidate=CANDIDATE)
WHOLE = replace(FAIR, as_a_whole=True, newest_legacy=LEGACY, newest_candidate=CANDIDATE)
CONCLUSIVE = (Verdict.MATCH, Verdict.MISMATCH)


def checked(verdict: Verdict) -> Check:
    return Check("daily_metrics", verdict, "because")


@pytest.mark.parametrize("standing", [FAIR, WHOLE])
@pytest.mark.parametrize("verdict", Verdict)
def test_a_fair_comparison_keeps_its_verdict(standing: Standing, verdict: Verdict) -> None:
    """Where nobody has written since, the check stays as it is."""
    assert judged(checked(verdict), standing) == checked(verdict)


@pytest.mark.parametrize("verdict", CONCLUSIVE)
@pytest.mark.parametrize(
    ("standing", "message"),
    [
        (replace(FAIR, legacy=None), "no legacy run"),
        (replace(FAIR, candidate=None), "no candidate run"),
        (replace(FAIR, legacy=Write(30, DAY, at(9), at(12))), "legacy has moved on: it has run this window again"),
        (replace(FAIR, made_for=9, legacy=Write(30, DAY, at(1), at(7))), "legacy has moved on"),
        (replace(FAIR, started_since=("try 2 of scheduled__x",)), "try 2 of scheduled__x started since"),
        (replace(FAIR, not_built="the candidate run did not build it: boom"), "did not build it: boom"),
        (replace(WHOLE, newest_legacy=Write(30, NEXT, at(9), at(12))), f"legacy has moved on: the run of {NEXT}"),
        (replace(WHOLE, newest_candidate=Write(31, NEXT, at(9), at(12))), f"candidate has moved on: the run of {NEXT}"),
        (replace(WHOLE, started_since=None), NOT_ASKED),
        (replace(FAIR, not_made=("shadow/x of 2024-03-09 is not made",)), "lacked some of its input: shadow/x of"),
        (replace(FAIR, other_legacy=("other.task (run x)",)), "legacy has moved on: other.task (run x) has written"),
        (replace(FAIR, other_candidate=("other.task (run x)",)), "candidate has moved on: other.task (run x)"),
    ],
)  # fmt: skip
def test_an_unfair_comparison_is_inconclusive(standing: Standing, message: str, verdict: Verdict) -> None:
    """Neither a match nor a mismatch survives what makes a comparison unfair, and the reason says it."""
    check = judged(checked(verdict), standing)

    assert check.verdict is Verdict.INCONCLUSIVE
    assert message in check.reason


def test_a_later_window_leaves_this_ones_rows_alone() -> None:
    """A table with a time column is compared by window: another window's run does not make that unfair."""
    later = replace(FAIR, newest_legacy=Write(30, NEXT, at(9), at(12)))

    assert judged(checked(Verdict.MATCH), later).verdict is Verdict.MATCH


def test_a_candidate_that_was_made_for_this_write_is_fair() -> None:
    """A candidate started for just this legacy write is fair, even where two clocks disagree about which came first."""
    skewed = replace(FAIR, legacy=replace(LEGACY, ended=at(7)), made_for=LEGACY.position)

    assert judged(checked(Verdict.MATCH), skewed).verdict is Verdict.MATCH


def test_a_silent_airflow_is_said() -> None:
    """Where Airflow could not be asked, a window's verdict stands and says so."""
    check = judged(checked(Verdict.MISMATCH), replace(FAIR, started_since=None))

    assert check.verdict is Verdict.MISMATCH
    assert check.reason == f"because; {NOT_ASKED}"


@pytest.mark.parametrize(
    ("standing", "started", "message"),
    [
        (WHOLE, (), ""),
        (replace(WHOLE, as_a_whole=False), (), ""),
        (WHOLE, None, NOT_ASKED),
        (WHOLE, ("try 1 of scheduled__y",), "try 1 of scheduled__y started since"),
        (
            replace(WHOLE, as_a_whole=False, newest_legacy=Write(30, NEXT, at(9), at(12))),
            (),
            f"the run of {NEXT}",
        ),
    ],
)
def test_tests_look_at_the_whole_table(
    standing: Standing, started: tuple[str, ...] | None, message: str
) -> None:
    """What spoils the comparison of a whole table spoils that of tests, also on a table that has windows."""
    why = unfair_tests_reason(standing, started)

    assert message in why
    assert bool(why) is bool(message)


LATER = Upstream(spoiling=("events of 2024-03-09",))


def test_what_upstream_has_written_since_excuses_a_mismatch() -> None:
    """Where the candidate has read what legacy's run could not, rows that differ say nothing about the candidate."""
    check = judged(checked(Verdict.MISMATCH), replace(FAIR, upstream=LATER))

    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.reason == f"{LATER_INPUT}: events of 2024-03-09; because"


def test_what_upstream_has_written_since_leaves_a_match() -> None:
    """The same rows from other input are the same rows."""
    assert judged(checked(Verdict.MATCH), replace(FAIR, upstream=LATER)) == checked(Verdict.MATCH)


def test_another_window_of_the_upstream_is_said() -> None:
    """A run may read more than its window: a mismatch stays one, and says what else was written."""
    beside = Upstream(beside=("events of 2024-03-12",))

    check = judged(checked(Verdict.MISMATCH), replace(FAIR, upstream=beside, started_since=None))

    assert check.verdict is Verdict.MISMATCH
    assert check.reason == f"because; {NOT_ASKED}; {LATER_INPUT}, of other windows: events of 2024-03-12"


@pytest.mark.parametrize("verdict", CONCLUSIVE)
def test_rows_that_were_copied_are_no_evidence(verdict: Verdict) -> None:
    """A window whose rows may be legacy's own has no verdict, and the reason says since when."""
    check = judged(checked(verdict), replace(FAIR, copied="the candidate began with a copy"))

    assert (check.verdict, check.reason) == (Verdict.INCONCLUSIVE, "the candidate began with a copy")


@pytest.mark.parametrize(
    ("standing", "fair"),
    [
        (replace(FAIR, started_since=("try 2 of scheduled__x",)), True),
        (replace(FAIR, other_legacy=("other.task (run x)",)), True),
        (replace(WHOLE, newest_legacy=Write(30, NEXT, at(9), at(12))), True),
        (replace(WHOLE, started_since=None), True),
        (replace(FAIR, legacy=Write(30, DAY, at(9), at(12))), False),
        (replace(WHOLE, newest_candidate=Write(31, NEXT, at(9), at(12))), False),
        (replace(FAIR, other_candidate=("other.task (run x)",)), False),
    ],
)
def test_legacy_as_of_its_run_is_fair(standing: Standing, fair: bool) -> None:
    """Read as of the end of its run, legacy cannot have moved on; what the candidate did since still counts."""
    assert unfair_reason(standing)
    assert bool(unfair_reason(read_as_of(standing))) is not fair
