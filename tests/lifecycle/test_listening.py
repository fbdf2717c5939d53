"""Who in Airflow listens to a DAG, and how its tasks have ended there, in Airflow's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.inventory.document import Dag, Inventory, Outlet, Schedule, Task
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.listening import EchoedTask, Listening, listening, states_told
from dagster_defs.lifecycle.waiters import waiters
from tests.inventory.test_triggers import DAILY, LOAD, NONE, WORK, fed, trigger

SENSOR = Task(
    "other", "wait", ("airflow.sensors.external_task.ExternalTaskSensor",), {"external_dag_id": "up"}
)
WRITER = Task("up", "write", LOAD.classes, {}, outlets=(Outlet("", "s3://a"), Outlet("", "s3://nobody")))
EATER = Task("eater", "eat", LOAD.classes, {})
MIRRORED = frozenset({"load", "write"})


def dag(*tasks: Task, schedule: Schedule = DAILY) -> Dag:
    return Dag(tasks[0].dag_id, schedule, "UTC", tasks)


def estate(*up: Task) -> Inventory:
    eats = dag(EATER, schedule=fed({"any": ["s3://a"]}))
    return Inventory("2.11.0", (), (dag(*up), dag(SENSOR), dag(WORK, schedule=NONE), eats))


def heard(*up: Task, mirrored: frozenset[str] = MIRRORED, clock: bool = True, **of: Any) -> Listening:
    return listening(estate(*up), "up", mirrored, clock=clock, **of)


def test_all_that_listens_is_named_as_by_the_gate() -> None:
    """Sensors, consumers of a dataset and started DAGs, in the words of `waited_for`."""
    found = heard(LOAD, WRITER, trigger("load"))

    assert {*found.heard_by} == {*map(str, waiters(estate(LOAD, WRITER, trigger("load")))["up"])}
    assert found.sensors == (Unit("other", "wait"),)
    assert found.datasets == {"write": ("s3://a",)}
    assert [(each.dag_id, each.trigger.after) for each in found.starts] == [("down", ("load",))]
    assert found.refused == {}


@pytest.mark.parametrize("gone", ["other", "down", "eater"])
def test_who_is_retired_listens_no_more(gone: str) -> None:
    """Dagster's own sensors see what such a DAG waits for."""
    everybody = {*heard(LOAD, WRITER, trigger("load")).heard_by}

    left = {*heard(LOAD, WRITER, trigger("load"), gone=[gone]).heard_by}

    assert len(everybody - left) == 1
    assert next(iter(everybody - left)).startswith(gone)


@pytest.mark.parametrize(("mirrored", "clock", "who", "why"), [
    (MIRRORED, False, "other.wait", "has no clock"),
    (frozenset({"load"}), True, "eater (which s3://a starts)", "up.write, which writes it, has no mirror"),
    (frozenset({"write"}), True, "down (which up.start starts)", "load, after which it comes, has no mirror"),
])  # fmt: skip
def test_who_cannot_be_told_is_named_with_the_reason(
    mirrored: frozenset[str], clock: bool, who: str, why: str
) -> None:
    """And is not among those that are told."""
    found = heard(LOAD, WRITER, trigger("load"), mirrored=mirrored, clock=clock)

    assert why in found.refused[who]
    assert who not in found.heard_by


def test_a_dag_that_the_inventory_does_not_have_is_heard_by_nobody() -> None:
    """There is nothing to tell."""
    assert listening(estate(LOAD), "elsewhere", [], clock=True).heard_by == ()


@pytest.mark.parametrize(("rule", "above", "state"), [
    ("all_success", ("success", "success"), "success"), ("all_success", ("success", "skipped"), "skipped"),
    ("all_success", ("skipped", "failed"), "failed"), ("none_failed", ("skipped", "skipped"), "success"),
    ("none_failed", ("success", "failed"), "failed"),
    ("none_failed_min_one_success", ("skipped", "skipped"), "skipped"),
    ("none_failed_min_one_success", ("skipped", "success"), "success"), ("all_done", ("failed", "skipped"), "success"),
    ("one_success", ("failed", "success"), "success"), ("one_success", ("failed", "skipped"), "failed"),
    ("one_success", ("skipped", "skipped"), "skipped"), ("one_failed", ("failed", "success"), "success"),
    ("one_failed", ("success", "success"), "skipped"), ("all_failed", ("failed", "failed"), "success"),
    ("all_failed", ("failed", "success"), "skipped"), ("none_skipped", ("skipped", "success"), "skipped"),
    ("one_done", ("skipped", "failed"), "success"), ("one_done", ("skipped", "upstream_failed"), "skipped"),
    ("none_skipped", ("failed", "success"), "success"), ("all_skipped", ("skipped", "skipped"), "success"),
])  # fmt: skip
def test_a_task_without_a_mirror_ends_as_its_rule_says(rule: str, above: tuple[str, ...], state: str) -> None:
    """As Airflow's trigger rules have it; what they keep from running after a failure has failed."""
    tasks = [EchoedTask("a"), EchoedTask("b"), EchoedTask("last", ("a", "b"), rule)]

    assert states_told(tasks, dict(zip("ab", above, strict=True)))["last"] == state


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[EchoedTask], dict[str, str]]:
    """Up to eight tasks, each after some before it, and how some of them have ended."""
    names = [f"t{number}" for number in range(draw(st.integers(1, 8)))]
    tasks = [
        EchoedTask(name, tuple(draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else ()))
        for at, name in enumerate(names)
    ]
    ends = st.sampled_from(["success", "failed", "skipped", "upstream_failed"])
    return tasks, draw(st.dictionaries(st.sampled_from(names), ends))


@given(dags())
def test_each_task_has_a_state_that_rest_can_set(drawn: tuple[list[EchoedTask], dict[str, str]]) -> None:
    """What is known stays, and with the default rule a failure or a skip reaches all that comes after it, up to a task
    that is known to have ended otherwise."""
    tasks, known = drawn

    told = states_told(tasks, known)

    assert list(told) == [task.task_id for task in tasks]
    assert {*told.values()} <= {"success", "failed", "skipped"}
    for task in tasks:
        above = {told[name] for name in task.upstream}
        if own := known.get(task.task_id):
            assert told[task.task_id] == ("failed" if own == "upstream_failed" else own)
        elif "failed" in above or "skipped" in above:
            assert told[task.task_id] == ("failed" if "failed" in above else "skipped")
        else:
            assert told[task.task_id] == "success"
