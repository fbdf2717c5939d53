"""Verdicts over many windows: nothing is a match by omission."""

from __future__ import annotations

import json

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.verdicts import WindowCheck, all_match, summary
from dagster_defs.parity import Check, Verdict

UNIT = Unit("taxi_daily", "dbt_daily")


def checked(verdict: Verdict, partition: str | None = "2024-03-09") -> WindowCheck:
    return WindowCheck(UNIT, partition, Check("daily_metrics", verdict, "because"))


def test_nothing_compared_is_no_match() -> None:
    """An empty list of checks is not a match."""
    assert not all_match([])


def test_one_other_verdict_is_enough() -> None:
    """All match only if each one does: a mismatch or an inconclusive check is enough to say no."""
    match = checked(Verdict.MATCH)

    assert all_match([match, match])
    assert not all_match([match, checked(Verdict.MISMATCH)])
    assert not all_match([checked(Verdict.INCONCLUSIVE), match])


def test_the_summary_counts_every_verdict() -> None:
    """The summary says how many match of how many, and names what else there is."""
    checks = [checked(verdict) for verdict in (*[Verdict.MATCH] * 3, Verdict.MISMATCH, Verdict.INCONCLUSIVE)]

    assert summary(checks) == "3/5 match, 1 mismatch, 1 inconclusive"
    assert summary(checks[:3]) == "3/3 match"
    assert summary([]) == "0/0 match"


def test_a_check_names_its_window() -> None:
    """A check of a window says its partition, a check of a table without one says so; both are JSON."""
    assert checked(Verdict.MATCH).window == "2024-03-09"
    assert checked(Verdict.MATCH, None).window == "whole table"
    document = json.loads(json.dumps(checked(Verdict.MISMATCH, None).as_json()))
    assert (document["unit"], document["partition"], document["verdict"]) == (str(UNIT), None, "mismatch")
