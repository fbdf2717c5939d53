"""Verdicts over many windows: nothing is a match by omission."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.verdicts import (
    Evidence,
    WindowCheck,
    all_match,
    standing_evidence,
    summary,
    with_tests,
)
from dagster_defs.parity import Check, SchemaChange, SchemaDifference, SideCounts, Verdict

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


def test_the_summary_counts_what_was_tolerated() -> None:
    """Differences that tolerances excused are counted beside the matches; a mismatch's are its own."""
    tolerated = [
        WindowCheck(UNIT, day, Check("daily_metrics", verdict, "because", tolerated={"fare": 2, "tip": 1}))
        for day, verdict in (("2024-03-09", Verdict.MATCH), ("2024-03-10", Verdict.MISMATCH))
    ]

    assert summary([checked(Verdict.MATCH), tolerated[0]]) == "2/2 match (3 tolerated)"
    assert summary(tolerated) == "1/2 match (3 tolerated), 1 mismatch"
    assert [each.check.verdict_said for each in tolerated] == ["match, 3 tolerated", "mismatch"]


def test_a_check_names_its_window() -> None:
    """A check of a window says its partition, a check of a table without one says so; both are JSON."""
    assert checked(Verdict.MATCH).window == "2024-03-09"
    assert checked(Verdict.MATCH, None).window == "whole table"
    document = json.loads(json.dumps(checked(Verdict.MISMATCH, None).as_json()))
    assert (document["unit"], document["partition"], document["verdict"]) == (str(UNIT), None, "mismatch")


def test_a_check_is_read_back() -> None:
    """What was kept as JSON is the same check again, as far as its JSON goes."""
    check = Check(
        "daily_metrics",
        Verdict.MISMATCH,
        "1 row modified in fare",
        rows=SideCounts(7, 8),
        only_in_candidate=1,
        modified=1,
        differing_columns=("fare",),
        schema_differences=(SchemaDifference(SchemaChange.WIDENED, "id", "INTEGER", "BIGINT"),),
        key_violations=SideCounts(1, 2),
        samples=({"kind": "only_in_candidate", "copies": 1, "row": {"id": "7"}},),
    )
    document = json.loads(json.dumps(WindowCheck(UNIT, "2024-03-09", check).as_json()))

    assert WindowCheck.from_json(document).as_json() == document


def kept(day: int, verdict: Verdict, *, at: int, partition: str | None = "") -> Evidence:
    key = f"2024-03-{day:02}"
    return Evidence(
        checked(verdict, key if partition == "" else partition),
        key,
        window_start=datetime(2024, 3, day, 11, tzinfo=timezone.utc),
        at=datetime(2024, 3, 20, at, tzinfo=timezone.utc),
    )


def test_the_last_verdict_on_a_window_counts() -> None:
    """Of several verdicts on one window the newest stands, whichever it is and in whatever order they are read."""
    old, new = kept(9, Verdict.MATCH, at=1), kept(9, Verdict.MISMATCH, at=2)
    other = kept(10, Verdict.MATCH, at=0)

    assert standing_evidence([new, other, old]) == [new, other]


def test_a_whole_table_counts_with_its_last_window() -> None:
    """A table that every run rebuilds has one verdict: that of the last window, though another was compared later."""
    last = kept(10, Verdict.MATCH, at=1, partition=None)
    earlier = kept(9, Verdict.INCONCLUSIVE, at=5, partition=None)

    assert standing_evidence([last, earlier]) == [last]


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.MATCH, Verdict.MISMATCH),
        (Verdict.MISMATCH, Verdict.MISMATCH),
        (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    ],
)
def test_differing_tests_are_a_mismatch(verdict: Verdict, outcome: Verdict) -> None:
    """dbt tests that differ make a match a mismatch by name, and say nothing where the comparison is unfair."""
    check = checked(verdict).check

    assert with_tests(check, ["not_null_fare"]).verdict is outcome
    assert with_tests(check, []) == check
    if outcome is Verdict.MISMATCH:
        assert "dbt tests differ: not_null_fare" in with_tests(check, ["not_null_fare"]).reason
