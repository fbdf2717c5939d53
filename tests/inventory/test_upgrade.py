"""Two inventories beside each other: nothing that could not be compared is called the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from dagster_defs.inventory.document import Inventory, read_document
from dagster_defs.inventory.upgrade import Agreement, ComparedTask, Upgrade, compare_inventories

DAYS = [f"2024-03-{day:02}T00:00:00+00:00" for day in range(1, 11)]
WINDOWS = list(pairwise(DAYS))
TICKS = [(day, day) for day in DAYS]
TEXT = "dbt run {{ ds }}"

Interval = tuple[str, str]


def rendered(run: Interval, needs: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    undetermined = [{"field": name, "needs": "conf", "reason": "only a real run has it"} for name in needs]
    return {"start": run[0], "end": run[1], "fields": fields, "undetermined": undetermined}


def task(*samples: Mapping[str, Any], text: str = TEXT) -> dict[str, Any]:
    return {"task_id": "t", "operator": "BashOperator", "templated": {"cmd": text}, "rendered": list(samples)}


def inventory(
    version: str,
    tasks: Sequence[Mapping[str, Any]],
    runs: Sequence[Interval] = WINDOWS,
    occasion: str = "window",
) -> Inventory:
    kind = {"window": "cron", "tick": "cron-trigger"}.get(occasion, "none")
    dag = {
        "dag_id": "d",
        "schedule": {"text": "@daily", "kind": kind, "occasion": occasion},
        "tasks": list(tasks),
        "windows": [{"start": start, "end": end} for start, end in runs],
        "span": {"start": DAYS[0], "end": DAYS[-1]},
    }  # fmt: skip
    document = {"airflow_version": version, "import_errors": [], "dags": [dag], "complete": True}
    return read_document({"schema": "parity/inventory/1", **document}, "inventory.json")


def compared_task(
    before: Mapping[str, Any], after: Mapping[str, Any], *, moving: bool = False
) -> ComparedTask:
    runs, occasion = (TICKS, "tick") if moving else (WINDOWS, "window")
    upgrade = compare_inventories(
        inventory("2.11.2", [before]), inventory("3.3.2", [after], runs, occasion), None
    )
    [found] = upgrade.dags[0].tasks
    return found


@pytest.mark.parametrize(("one", "other"), [([], ["cmd"]), (["cmd"], []), (["cmd"], ["cmd"])])
def test_a_field_that_is_undetermined(one: list[str], other: list[str]) -> None:
    """On either side it is not compared, and the task is undetermined with the field's name, whatever else is alike."""
    run = WINDOWS[0]
    found = compared_task(
        task(rendered(run, one, cmd="a", cwd="/")), task(rendered(run, other, cmd="a", cwd="/"))
    )

    assert (found.agreement, found.compared) == (Agreement.UNDETERMINED, 2)
    assert found.reason == "cmd (conf: only a real run has it)"
    alone = compared_task(task(rendered(run, one, cmd="a")), task(rendered(run, other, cmd="a")))
    assert (alone.agreement, alone.compared) == (Agreement.UNDETERMINED, 0)


def test_a_field_that_only_one_has() -> None:
    """It differs, with its name; one that nobody has given a value does not."""
    run = WINDOWS[0]
    plain, more = task(rendered(run, cmd="a")), task(rendered(run, cmd="a", env={"A": "1"}))
    for before, after in ((plain, more), (more, plain)):
        found = compared_task(before, after)
        assert found.agreement is Agreement.DIFFERS
        assert found.example
        assert found.example.field == "env"

    found = compared_task(plain, task(rendered(run, cmd="a", env=None)))
    assert (found.agreement, found.compared) == (Agreement.SAME, 2)
    assert compared_task(task(rendered(run)), task(rendered(run))).agreement is Agreement.UNDETERMINED


def test_one_run_does_not_show_whether_a_text_moves() -> None:
    """Two runs with other texts do, and so does a text without templates."""
    (first, *_, last), (tick, *_, last_tick) = WINDOWS[1:], TICKS[1:-1]
    one = compared_task(task(rendered(first, cmd=first[0])), task(rendered(tick, cmd=first[0])), moving=True)
    assert one.agreement is Agreement.UNDETERMINED
    assert "does not show whether its text moves" in one.reason

    two = [rendered(run, cmd=run[0]) for run in (first, last)]
    again = [rendered(run, cmd=run[0]) for run in (tick, last_tick)]
    assert compared_task(task(*two), task(*again), moving=True).agreement is Agreement.MOVES
    constant = task(rendered(first, cmd="dbt run"), text="dbt run")
    kept = task(rendered(tick, cmd="dbt run"), text="dbt run")
    assert compared_task(constant, kept, moving=True).agreement is Agreement.SAME


def compared_dags(runs: Sequence[Interval], occasion: str = "window") -> Upgrade:
    tasks = [task(rendered(WINDOWS[0], cmd="a"))]
    return compare_inventories(inventory("2.11.2", tasks), inventory("3.3.2", tasks, runs, occasion), None)


def test_a_dag_all_of_whose_runs_vanished() -> None:
    """It differs, and each of its runs is counted; the same in the other direction."""
    upgrade = compared_dags([])
    [dag] = upgrade.dags

    assert upgrade.differs
    assert (len(dag.vanished), dag.added, dag.unknown) == (len(WINDOWS) - 1, (), "")
    [back] = compare_inventories(upgrade.after, upgrade.before, None).dags
    assert (back.vanished, len(back.added)) == ((), len(WINDOWS) - 1)


def test_a_dag_that_could_not_be_compared() -> None:
    """Without runs in either inventory, or with partition keys in one only, it is counted as unknown."""
    nothing = inventory("2.11.2", [], [])
    upgrade = compare_inventories(nothing, nothing, None)
    assert (upgrade.differs, upgrade.is_whole, upgrade.unknown_dags) == (False, False, 1)

    keys = inventory("3.3.2", [], [], "partition")
    upgrade = compare_inventories(keys, keys, None)
    assert (upgrade.is_whole, upgrade.dags[0].unknown) == (
        False,
        "neither inventory has a run of it: export other days",
    )


def test_a_task_that_is_broken_is_counted() -> None:
    """No task that one inventory does not describe is taken for one that is alike."""
    tasks = [task(rendered(WINDOWS[0], cmd="a"))]
    broken = inventory("3.3.2", [{"task_id": "t"}])
    upgrade = compare_inventories(inventory("2.11.2", tasks), broken, None)

    assert (upgrade.differs, upgrade.is_whole, upgrade.undetermined_tasks) == (False, False, 1)
    assert compared_dags(WINDOWS).is_whole
