"""Who starts a DAG without a clock, as `triggered_by` of its mirrors: what is written, and why something is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dagster_defs.inventory.document import Dag, Outlet, Schedule, Task
from dagster_defs.inventory.drafts import DagDraft, Draft
from dagster_defs.inventory.triggers import with_triggers

OPERATOR = "airflow.operators.trigger_dagrun.TriggerDagRunOperator"
BASH, EMPTY = "airflow.operators.bash.BashOperator", "airflow.operators.empty.EmptyOperator"
BRANCH = "airflow.operators.python.BranchPythonOperator"
DAILY = Schedule("0 6 * * *", "cron", "0 6 * * *", "UTC", False)
NONE = Schedule("None", "none", None, "UTC", True)


def task(name: str, *upstream: str, dag: str = "up", kind: str = BASH, **more: Any) -> Task:
    return Task(dag, name, (kind,), more.pop("templated", {}), upstream=upstream, **more)


def trigger(*upstream: str, given: tuple[str, ...] = (), rule: str = "all_success", **fields: Any) -> Task:
    """The task `up.start`, which starts `down` if nothing else is said."""
    templated = {"trigger_dag_id": "down", "conf": None, "logical_date": None, **fields}
    return task("start", *upstream, kind=OPERATOR, templated=templated, given=given, trigger_rule=rule)


def drafted(*tasks: Task, schedule: Schedule = DAILY, without: tuple[str, ...] = ()) -> DagDraft:
    """Every shell command has a mirror, except those of `without`."""
    dag_id = tasks[0].dag_id
    drafts = []
    for each in tasks:
        is_mirrored = each.classes[0] == BASH and each.task_id not in without
        own = {"schedule": {"event": "manual"}} if is_mirrored else None
        drafts.append(Draft(f"{dag_id}.{each.task_id}", None, operator=own))
    return DagDraft(Dag(dag_id, schedule, "UTC", tasks), tuple(drafts))


WORK, LOAD = task("work", dag="down"), task("load")


def told(
    *drafts: DagDraft, schedule: Schedule = NONE, version: str = "2.11.0"
) -> tuple[Mapping[str, Any], str, bool]:
    """`triggered_by` of `down`, and the last note of `up.start` with whether that needs no mirror."""
    found = with_triggers([drafted(WORK, schedule=schedule), *drafts], airflow_version=version)
    by_unit = {each.unit: each for draft in found for each in draft.drafts}
    operator = by_unit["down.work"].operator
    assert operator is not None
    start = by_unit.get("up.start")
    said = start.notes[-1] if start and start.notes else ""
    return operator["schedule"].get("triggered_by", {}), said, bool(start and start.needless)


def test_a_task_that_starts_it_is_named_with_what_it_comes_after() -> None:
    """With its conf and logical date as they stand; its own DAG then needs no mirror of it, and the note says why."""
    start = trigger(
        "done", given=("logical_date", "reset_dag_run", "conf"), conf={"day": "{{ ds }}", "n": 1},
        logical_date="{{ data_interval_start }}",
    )  # fmt: skip
    by, note, needless = told(drafted(LOAD, task("done", "load", kind=EMPTY), start))

    assert by == {
        "tasks": [
            {
                "task": "up.start", "after": ["load"], "conf": {"day": "{{ ds }}", "n": 1},
                "logical_date": "{{ data_interval_start }}", "reset": True,
            }
        ]
    }  # fmt: skip
    assert needless
    assert (
        note
        == "up.start needs no mirror: Dagster starts down in its place (triggered_by, TriggerDagRunOperator)."
    )


def test_nobody_who_starts_it_is_nobody() -> None:
    """A DAG that people start stays as it is."""
    assert told(drafted(LOAD)) == ({}, "", False)


@pytest.mark.parametrize(
    ("start", "others", "why"),
    [
        (trigger("load", rule="all_done"), (), "its trigger rule is all_done"),
        (trigger(), (), "it comes before everything else in its DAG"),
        (trigger("lost"), (task("lost"),), "lost, after which it comes, has no mirror"),
        (trigger("branch"), (task("branch", "load", kind=BRANCH),), "branch decides whether it runs"),
        (trigger("load", conf="{{ params.conf }}"), (), "its conf is not known before it runs"),
        (trigger("load", conf={"key": "***"}), (), "its conf is not known before it runs"),
        (trigger("load", given=("trigger_run_id",)), (), "it has trigger_run_id, which only Airflow obeys"),
        (trigger("load", given=("logical_date",), logical_date="2024-01-01"), (), "is the same for all runs"),
        (
            trigger("load", given=("wait_for_completion",)),
            (task("after", "start"),),
            "after comes after it, and it waits for the end of the run",
        ),
    ],
)  # fmt: skip
def test_what_only_airflow_can_start_has_a_reason(start: Task, others: tuple[Task, ...], why: str) -> None:
    """It is named all the same, because Airflow goes on starting the DAG; without `after`, Dagster does not."""
    by, note, needless = told(drafted(LOAD, *others, start, without=("lost",)))

    assert by == {"tasks": [{"task": "up.start"}]}
    assert why in note
    assert not needless


def test_a_class_of_the_teams_is_not_believed() -> None:
    """It may start what it likes, as it likes."""
    start = replace(trigger("load"), classes=("shop.Trigger", OPERATOR), given=None)
    by, note, _ = told(drafted(LOAD, start))

    assert by == {"tasks": [{"task": "up.start"}]}
    assert "shop.Trigger is not Airflow's own class" in note


def test_a_task_that_breaks_with_a_paused_dag_is_a_reason_not_to_retire() -> None:
    """Nothing would start the DAG any more."""
    by, _, _ = told(drafted(LOAD, trigger("load", given=("fail_when_dag_is_paused",))))

    assert list(by) == ["refused"]
    assert "up.start fails once its DAG is paused" in by["refused"][0]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("{{ params.dag }}", "which DAG it starts is a template"),
        ("gone", "the inventory has no DAG gone"),
        ("up", "up, which it starts, has a schedule of its own"),
    ],
)
def test_a_dag_that_is_not_there_or_has_a_clock_is_not_started(target: str, why: str) -> None:
    """The task keeps the reason."""
    by, note, needless = told(drafted(LOAD, trigger("load", trigger_dag_id=target)))

    assert (by, needless) == ({}, False)
    assert why in note


def fed(condition: Any, kind: str = "dataset") -> Schedule:
    return Schedule("Dataset", kind, None, "UTC", True, condition=condition)


WRITER = replace(LOAD, outlets=(Outlet("", "s3://a"), Outlet("", "s3://b")))


def test_a_condition_is_written_with_who_writes_it() -> None:
    """As nested `all` and `any`; each success of a task with the outlet is an event."""
    condition = {"all": ["s3://a", {"any": ["s3://b"]}]}
    by, _, _ = told(
        drafted(WRITER, replace(task("more"), outlets=(Outlet("", "s3://b"),))), schedule=fed(condition)
    )

    assert by == {
        "datasets": condition,
        "written_by": {"s3://a": ["up.load"], "s3://b": ["up.load", "up.more"]},
    }


def test_a_condition_of_airflow_3_is_the_same_by_address() -> None:
    """Assets are told with name and group there, references by name; a run that they start has no dates."""
    named = replace(LOAD, outlets=(Outlet("trips", "s3://a"), Outlet("zones", "s3://b")))
    asset = {"asset": {"uri": "s3://a", "name": "trips", "group": "asset"}}
    condition = {"any": [asset, {"asset_ref": {"name": "zones"}}]}
    by, _, _ = told(drafted(named), schedule=fed(condition, "asset"), version="3.3.0")

    assert by == {
        "datasets": {"any": ["s3://a", "s3://b"]},
        "written_by": {"s3://a": ["up.load"], "s3://b": ["up.load"]},
        "dates": False,
    }


def test_a_reference_by_name_writes_what_it_names() -> None:
    """As far as an asset of that name is known; a task that writes one in two ways is one writer."""
    load = replace(LOAD, outlets=(Outlet("trips", "s3://a"), Outlet("trips", "")))
    more = replace(task("more"), outlets=(Outlet("trips", ""),))
    condition = {"any": [{"asset": {"uri": "s3://a", "name": "trips", "group": "asset"}}]}
    by, _, _ = told(drafted(load, more), schedule=fed(condition, "asset"), version="3.3.0")

    assert by["written_by"] == {"s3://a": ["up.load", "up.more"]}
    assert "refused" not in by


def test_a_task_that_writes_through_an_alias_may_write_anything() -> None:
    """Its events would go unseen, so no DAG that datasets start is retired, and the task is named."""
    aliased = replace(task("more"), outlets=(Outlet("of_the_day", ""),))
    by, _, _ = told(drafted(WRITER, aliased), schedule=fed({"all": ["s3://a"]}))

    assert by["datasets"] == {"all": ["s3://a"]}
    [why] = by["refused"]
    assert why.startswith(
        "up.more writes of_the_day, which stands for datasets or assets that only Airflow knows"
    )


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ({"all": ["s3://a", "s3://elsewhere"]}, "no task in the inventory writes s3://elsewhere"),
        (
            {"any": [{"alias": {"name": "x", "group": ""}}]},
            "alias x stands for datasets or assets that only Airflow",
        ),
        (None, "does not say which datasets or assets start it: export it again"),
    ],
)
def test_events_that_nobody_would_see_are_a_reason_not_to_retire(condition: Any, why: str) -> None:
    """Nothing is guessed about who writes a dataset."""
    by, _, _ = told(drafted(WRITER), schedule=fed(condition))

    assert list(by) == ["refused"]
    assert why in by["refused"][0]
