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


@pytest.mark.parametrize(
    ("task_id", "deciders"),
    [("mart", ("choose", "short")), ("load", ("choose",)), ("short", ()), ("choose", ()), ("nowhere", ())],
)
def test_who_decides_stands_anywhere_above(task_id: str, deciders: tuple[str, ...]) -> None:
    """Branches, also of the team's own, and short circuits decide about all that comes after them."""
    tasks = (
        Task("shop", "choose", BRANCH, {}),
        Task("shop", "short", SHORT, {}),
        Task("shop", "load", BASH, {}, upstream=("choose",)),
        Task("shop", "mart", BASH, {}, upstream=("load", "short")),
    )
    schedule = Schedule("0 6 * * *", "cron", "0 6 * * *", "UTC", interval_is_empty=False)

    assert deciders_above(Dag("shop", schedule, "UTC", tasks), task_id) == deciders
