"""One state for all instances of a mapped task."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.lifecycle.mapped import OVER, state_of_all

STATES = st.sampled_from([*OVER, "running", "up_for_retry", "none", "removed"])


@given(st.lists(STATES, max_size=8), st.sets(st.integers(0, 7), max_size=2))
def test_a_state_is_said_of_all_or_of_none(drawn: list[str], lost: set[int]) -> None:
    """Success means that none has failed and none is missing; as long as one is not over nothing is said."""
    states = {index: state for index, state in enumerate(drawn) if index not in lost}
    counted = {index: state for index, state in states.items() if state != "removed"}
    whole = bool(counted) and set(counted) == set(range(max(counted) + 1))

    said = state_of_all(states)

    if not whole or not set(counted.values()) <= set(OVER):
        assert said == ""
    elif {"failed", "upstream_failed"} & set(counted.values()):
        assert said in ("failed", "upstream_failed")
    else:
        assert said == ("success" if "success" in counted.values() else "skipped")


def test_an_index_that_airflow_removed_does_not_count() -> None:
    """A task that was cleared and has fewer instances now is over with those."""
    assert state_of_all({0: "success", 1: "success", 2: "removed"}) == "success"
