"""What dbt's results on both sides of a rehearsal mean."""

from __future__ import annotations

from dagster_defs.adapters import rehearsal_sides
from dagster_defs.components.run_window import AIRFLOW_RUN_TAGS
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
    assert check.reason == "only candidate ran model.t.b"


def test_another_end_is_named() -> None:
    """A test that warns on one side and passes on the other is a mismatch."""
    check = results_check({"test.t.a": "warn"}, {"test.t.a": "pass"})

    assert (check.verdict, check.reason) == (Verdict.MISMATCH, "test.t.a: warn in legacy, pass in candidate")


def test_nothing_is_no_match() -> None:
    """Where dbt ran nothing on either side, nothing was compared."""
    assert results_check({}, {}).verdict is Verdict.INCONCLUSIVE


def test_a_rehearsed_run_has_the_proxys_tags() -> None:
    """The tags that a rehearsal puts on a run are those that the run looks for."""
    tags = AIRFLOW_RUN_TAGS
    assert tags.window_start == rehearsal_sides.WINDOW_START
    assert tags.window_end == rehearsal_sides.WINDOW_END
    assert tags.airflow_try == rehearsal_sides.AIRFLOW_TRY
