"""What dbt's results on both sides of a rehearsal mean."""

from __future__ import annotations

from dagster_defs.lifecycle.rehearsals import results_check
from dagster_defs.parity import Verdict


def test_the_same_results_match() -> None:
    """The same nodes with the same ends are a match; in which order does not matter."""
    assert (
        results_check({"a": "pass", "b": "success"}, {"b": "success", "a": "pass"}).verdict is Verdict.MATCH
    )


def test_a_node_that_only_one_side_ran_is_named() -> None:
    """A node that is missing on a side is a mismatch that names it and the side."""
    check = results_check({"model.t.a": "success"}, {"model.t.a": "success", "model.t.b": "success"})

    assert check.verdict is Verdict.MISMATCH
    assert check.reason == "only the candidate run has model.t.b"


def test_another_end_is_named() -> None:
    """A test that warns on one side and passes on the other is a mismatch."""
    check = results_check({"test.t.a": "warn"}, {"test.t.a": "pass"})

    said = "test.t.a: warn in the legacy run, pass in the candidate run"
    assert (check.verdict, check.reason) == (Verdict.MISMATCH, said)


def test_nothing_is_no_match() -> None:
    """Where dbt ran nothing on either side, nothing was compared."""
    assert results_check({}, {}).verdict is Verdict.INCONCLUSIVE
    skipped = {"model.t.a": "skipped", "test.t.a": "skipped"}
    assert results_check(skipped, skipped).verdict is Verdict.INCONCLUSIVE
