"""Sensors that wait for another DAG, as waits of the schedule: what is written, and why something is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dagster_defs.inventory.document import Dag, ExternalSensor, Schedule, Task
from dagster_defs.inventory.drafts import DagDraft, Draft
from dagster_defs.inventory.external_sensors import with_waits

SENSOR, EMPTY = "airflow.sensors.external_task.ExternalTaskSensor", "airflow.operators.empty.EmptyOperator"
BASH = "airflow.operators.bash.BashOperator"
DAILY = Schedule("0 6 * * *", "cron", "0 6 * * *", "UTC", False)


def task(dag_id: str, name: str, *upstream: str, kind: str = BASH, **more: Any) -> Task:
    return Task(dag_id, name, (kind,), more.pop("templated", {}), upstream=upstream, **more)


def sensor(name: str = "wait", *upstream: str, waits: ExternalSensor | None = None, **fields: Any) -> Task:
    """A sensor of the DAG `waiting`, which waits for `other.load` if nothing else is said."""
    more = {key: fields.pop(key) for key in [*fields] if key in Task.__dataclass_fields__}
    templated = {"external_dag_id": "other", "external_task_ids": ["load"], **fields}
    own = ExternalSensor() if waits is None else waits
    return task("waiting", name, *upstream, kind=SENSOR, templated=templated, waits=own, **more)


def drafted(*tasks: Task, schedule: Schedule = DAILY, without: tuple[str, ...] = ()) -> DagDraft:
    """Every task that does something has a mirror, except sensors and `without`."""
    dag_id = tasks[0].dag_id
    drafts = []
    for each in tasks:
        is_mirrored = each.classes[0] == BASH and each.task_id not in without
        attributes = {"schedule": {"cron": "0 6 * * *"}} if is_mirrored else None
        tested = {"command": "test", **attributes} if attributes and each.task_id == "tested" else None
        drafts.append(Draft(f"{dag_id}.{each.task_id}", tested, operator=None if tested else attributes))
    return DagDraft(Dag(dag_id, schedule, "UTC", tasks), tuple(drafts))


OTHER = drafted(
    task("other", "load"), task("other", "clean", "load"), task("other", "done", "clean", kind=EMPTY),
    task("other", "mapped", mapped=True), task("other", "first", kind=EMPTY),
    task("other", "tidy", "load", trigger_rule="all_done"), task("other", "lost"), task("other", "tested"),
    without=("lost",),
)  # fmt: skip
WORK = task("waiting", "work", "wait")


def waits_of(*tasks: Task, other: DagDraft = OTHER, version: str = "2.11.0") -> list[Mapping[str, Any]]:
    [draft, _] = with_waits([drafted(*tasks), other], airflow_version=version)
    written = [each.operator["schedule"] for each in draft.drafts if each.operator is not None]
    found: list[Mapping[str, Any]] = written[0].get("waits_for", [])
    assert all(schedule.get("waits_for", []) == found for schedule in written)
    return found


def why_not(*tasks: Task, other: DagDraft = OTHER, version: str = "2.11.0") -> str:
    """What the note of the sensor `wait` says, while no schedule waits for it."""
    assert waits_of(*tasks, other=other, version=version) == []
    [draft, _] = with_waits([drafted(*tasks), other], airflow_version=version)
    [own] = [each for each in draft.drafts if each.unit == "waiting.wait"]
    assert not own.needless
    return own.notes[-1].partition("is no wait of the schedule: ")[2]


def test_a_sensor_is_a_wait_of_every_schedule() -> None:
    """With what it asks for and how long; its task needs no mirror, and says why."""
    settings = {
        "timeout": 21600,
        "mode": "reschedule",
        "failed_states": ["failed"],
        "allowed_states": ["success"],
    }
    waiting = sensor(
        settings=settings, retries=2, retry_delay=30.0, waits=ExternalSensor(("skipped",), 90000.0)
    )

    assert waits_of(waiting, WORK, task("waiting", "more", "work")) == [
        {
            "sensor": "wait", "dag": "other", "tasks": ["load"], "delta": 90000.0, "failed": ["failed"],
            "skipped": ["skipped"], "timeout": 21600, "mode": "reschedule", "retries": 2, "retry_delay": 30.0,
        }
    ]  # fmt: skip
    [draft, _] = with_waits([drafted(waiting, WORK), OTHER])
    [own] = [each for each in draft.drafts if each.unit == "waiting.wait"]
    assert own.needless
    assert own.notes == (
        "waiting.wait needs no mirror: the schedule waits instead (waits_for, ExternalTaskSensor).",
    )


def test_what_a_function_returns_is_listed() -> None:
    """The dates are kept beside the mirrors, as nobody knows what the function returns for other windows."""
    own = ExternalSensor(by_function=True, asks={"2024-03-04T06:00:00+00:00": ("2024-03-03T00:00:00+00:00",)})
    [draft, _] = with_waits([drafted(sensor(waits=own), WORK), OTHER])

    assert draft.asked == {"wait": own.asks}
    assert waits_of(sensor(waits=own), WORK) == [
        {"sensor": "wait", "dag": "other", "tasks": ["load"], "dates": "waits.json"}
    ]


def test_a_task_that_does_nothing_stands_for_what_is_above_it() -> None:
    """It has no mirror, and ends as they do."""
    [wait] = waits_of(sensor(external_task_ids=["done", "load"]), WORK)

    assert wait["tasks"] == ["clean", "load"]


def test_a_group_is_its_tasks() -> None:
    """Those of groups inside it too."""
    members = [
        task("other", name, group=group) for name, group in (("a", "g"), ("b", "g.inner"), ("c", "gh"))
    ]
    waiting = sensor(external_task_ids=None, external_task_group_id="g")
    [wait] = waits_of(waiting, WORK, other=drafted(*members))

    assert wait["tasks"] == ["a", "b"]


def test_sensors_one_after_another_keep_their_order() -> None:
    """The later one begins to look once the earlier one is met, and is none if that is none."""
    later = sensor("later", "start")
    tasks = (sensor(), task("waiting", "start", "wait", kind=EMPTY), later, task("waiting", "work", "later"))
    assert [wait.get("after") for wait in waits_of(*tasks)] == [["wait"], None]

    assert (
        why_not(replace(tasks[0], trigger_rule="all_done"), *tasks[1:]) == "its own trigger rule is all_done"
    )


def test_a_whole_dag_is_waited_for_if_its_end_is_known() -> None:
    """That is, if each of its tasks has a mirror and passes a failure on, also those in the middle: behind one that
    does not, Airflow's run is a success although a task has failed."""
    waiting = sensor(external_task_ids=None)
    [wait] = waits_of(waiting, WORK, other=drafted(task("other", "load"), task("other", "clean", "load")))
    assert "tasks" not in wait

    lost = drafted(task("other", "load"), task("other", "lost"), without=("lost",))
    assert "other.lost has no mirror with an asset" in why_not(waiting, WORK, other=lost)
    tidy = task("other", "tidy", "load", trigger_rule="all_done")
    hides = "other.tidy, with the trigger rule all_done, may hide from the DAG's run"
    assert hides in why_not(waiting, WORK, other=drafted(task("other", "load"), tidy))
    behind = drafted(task("other", "load"), tidy, task("other", "clean", "tidy"))
    assert hides in why_not(waiting, WORK, other=behind)


UNLIKE = ExternalSensor(unlike=("deferrable",))


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ((sensor(waits=UNLIKE), WORK), "with deferrable it does something else than to ask for states"),
        ((sensor(external_dag_id="nowhere"), WORK), "the inventory has no DAG nowhere"),
        ((sensor(external_dag_id="{{ params.dag }}"), WORK), "external_dag_id is a template"),
        ((sensor(external_task_ids=["gone"]), WORK), "the inventory has no task other.gone"),
        ((sensor(external_task_ids=["lost"]), WORK), "other.lost has no mirror"),
        ((sensor(external_task_ids=["tested"]), WORK), "other.tested has no mirror with an asset"),
        ((sensor(external_task_ids=["first"]), WORK), "other.first has no mirror"),
        ((sensor(external_task_ids=["mapped"]), WORK), "other.mapped is mapped"),
        ((sensor(external_task_ids=["load", "load"]), WORK), "it names a task twice"),
        ((sensor(), WORK, task("waiting", "free")), "free does not wait for it"),
        ((sensor("wait", "before"), task("waiting", "before"), WORK), "in the middle of the DAG, after before"),
        ((sensor(), replace(WORK, trigger_rule="all_done")), "work, with the trigger rule all_done, may run even"),
        ((sensor(waits=ExternalSensor(asks_unknown="its function fails: x")), WORK), "its function fails: x"),
        ((sensor(settings={"failed_states": ["failed"]}, external_task_ids=["done"]), WORK), "other.done has no"),
    ],
)  # fmt: skip
def test_what_the_schedule_cannot_say_has_a_reason(tasks: tuple[Task, ...], said: str) -> None:
    """And the sensor stays without a mirror: nothing waits in a way that Airflow would not."""
    assert said in why_not(*tasks)


def test_what_is_known_to_exist_may_be_asked_for() -> None:
    """A wait is written only for a DAG and tasks of the inventory, so `check_existence` finds them."""
    [wait] = waits_of(sensor(waits=ExternalSensor(unlike=("check_existence",))), WORK)

    assert wait["dag"] == "other"


def test_an_older_inventory_is_not_guessed_at() -> None:
    """It does not say what the sensor asks about."""
    assert "export it again" in why_not(replace(sensor(), waits=None), WORK)


def test_a_class_of_the_teams_is_not_believed() -> None:
    """Its `poke` may ask for anything."""
    assert "a class of the team's" in why_not(replace(sensor(), classes=("shop.Sensor", SENSOR)), WORK)


def test_groups_and_failures_in_airflow_3() -> None:
    """There a group has failed only with all its tasks, so it is none."""
    waiting = sensor(
        external_task_ids=None, external_task_group_id="g", settings={"failed_states": ["failed"]}
    )
    other = drafted(task("other", "a", group="g"))

    assert "counts in a way of its own" in why_not(waiting, WORK, other=other, version="3.3.0")
    assert len(waits_of(waiting, WORK, other=other)) == 1
