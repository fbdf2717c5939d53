"""What an operator's class alone says of the tasks around it."""

from __future__ import annotations

import pytest

from dagster_defs.inventory.document import Dag, Schedule, Task
from dagster_defs.inventory.operator_kinds import deciders_above

BRANCH = (
    "shop.Chooser",
    "airflow.operators.branch.BaseBranchOperator",
    "airflow.operators.branch.BranchMixIn",
)
SHORT = ("airflow.operators.python.ShortCircuitOperator", "airflow.operators.python.PythonOperator")
BASH = ("airflow.operators.bash.BashOperator",)


SCHEDULE = Schedule("0 6 * * *", "cron", "0 6 * * *", "UTC", interval_is_empty=False)


def deciders(*tasks: Task) -> dict[str, list[str]]:
    return {
        name: sorted(found) for name, found in deciders_above(Dag("shop", SCHEDULE, "UTC", tasks)).items()
    }


def bash(task_id: str, *upstream: str, rule: str = "all_success") -> Task:
    return Task("shop", task_id, BASH, {}, upstream=upstream, trigger_rule=rule)


def test_who_decides_stands_anywhere_above() -> None:
    """Branches, also of the team's own, and short circuits decide about all that comes after them."""
    found = deciders(
        Task("shop", "choose", BRANCH, {}),
        Task("shop", "short", SHORT, {}),
        bash("load", "choose"),
        bash("mart", "load", "short"),
        bash("other"),
    )

    assert found == {"choose": [], "short": [], "load": ["choose"], "mart": ["choose", "short"], "other": []}


@pytest.mark.parametrize(
    ("rule", "beside", "decides"),
    [
        ("all_success", "other", True),
        ("none_skipped", "other", True),
        ("none_failed", "right", False),
        ("all_done", "right", False),
        ("always", "right", False),
        ("none_failed_min_one_success", "other", False),
        ("one_success", "other", False),
        # A branch may follow neither of the two.
        ("none_failed_min_one_success", "right", True),
        # A branch skips what is directly below it, whatever its rule.
        ("none_failed", "choose", True),
    ],
)
def test_a_join_runs_whichever_way_was_taken(rule: str, beside: str, *, decides: bool) -> None:
    """Where the trigger rule lets a task run after skipped ones, a branch above decides neither about it nor about what
    comes after it."""
    found = deciders(
        bash("other"),
        Task("shop", "choose", BRANCH, {}),
        bash("left", "choose"),
        bash("right", "choose"),
        bash("join", "left", beside, rule=rule),
        bash("mart", "join"),
    )

    assert found["join"] == found["mart"] == (["choose"] if decides else [])


@pytest.mark.parametrize("ignores", [None, True, False])
def test_a_short_circuit_goes_through_a_join(ignores: bool | None) -> None:
    """It skips all that is below it, whatever the trigger rules there, unless it is told to respect them."""
    settings = {} if ignores is None else {"ignore_downstream_trigger_rules": ignores}
    found = deciders(
        Task("shop", "short", SHORT, {}, settings=settings),
        bash("load", "short"),
        bash("join", "load", rule="none_failed"),
        bash("mart", "join"),
    )

    assert found["load"] == ["short"]
    assert found["join"] == found["mart"] == ([] if ignores is False else ["short"])
