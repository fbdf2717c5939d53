"""Facets of a mirror that runs the operator itself: what a Dagster run cannot give it is said."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.inventory.document import Dag, Sample, Schedule, Task
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.operator_facets import (
    operator_ordering,
    operator_selection,
    operator_variables,
    sources_left,
)

DAY = ("2024-03-08T06:00:00+00:00", "2024-03-09T06:00:00+00:00")
ORDER = Facet("ordering", Agreement.AGREES, "first", "first")


def load(**more: Any) -> Task:
    return Task("shop", "load", ("airflow.operators.bash.BashOperator",), {}, **more)


def beside(**more: Any) -> Task:
    return Task("shop", "mail", ("airflow.operators.bash.BashOperator",), more.pop("templated", {}), **more)


def variables(task: Task, *others: Task) -> Facet:
    schedule = Schedule("0 6 * * *", "cron", "0 6 * * *", "UTC", interval_is_empty=False)
    return operator_variables(Dag("shop", schedule, "UTC", (task, *others)), task)


def test_nothing_to_doubt_agrees() -> None:
    """An operator of Airflow 2 that asks for nothing but its window agrees by itself."""
    unknown = Sample(*DAY, {}, asked={"var.value.place": "it may change", "params_of": "no such name"})

    facets = [
        variables(load(samples=(unknown,)), beside(templated={"bash_command": "load 'load'"})),
        operator_selection(load(), "2.11.2", "the operator itself"),
        operator_ordering(load(), ORDER),
    ]

    assert [facet.agrees for facet in facets] == [Agreement.AGREES] * 3


@pytest.mark.parametrize("name", ["dag_run.conf", "params.day"])
def test_what_only_a_trigger_decides_is_undetermined(name: str) -> None:
    """A template that asks for a conf, or for a parameter without a default, is told with the reason."""
    facet = variables(load(samples=(Sample(*DAY, {}, asked={name: "it has no default"}),)))

    assert facet.agrees is Agreement.UNDETERMINED
    assert f"a template asks for {name}" in facet.detail


@pytest.mark.parametrize(
    "reader",
    [
        beside(templated={"bash_command": "echo {{ ti.xcom_pull(task_ids='load') }}"}),
        beside(templated={"op_kwargs": {"found": {"__xcom__": ["load"], "key": "return_value"}}}),
        beside(source='def mail(ti):\n    return ti.xcom_pull("load")\n'),
    ],
)
def test_who_reads_its_xcom_is_named(reader: Task) -> None:
    """Another task of the DAG that pulls its XCom would find none once Dagster runs it."""
    facet = variables(load(), reader)

    assert facet.agrees is Agreement.UNDETERMINED
    assert "mail read its XCom, and will find none once Dagster runs it: move them together" in facet.detail


def test_what_is_refused_when_it_runs_differs() -> None:
    """An operator whose work servers do, and one of an Airflow that nobody knows yet, never run so."""
    sensor = Task("shop", "wait", ("shop.Sensor", "airflow.sensors.external_task.ExternalTaskSensor"), {})

    facets = [operator_selection(sensor, "2.11.2", "it"), operator_selection(load(), "4.0.0", "it")]

    assert [facet.agrees for facet in facets] == [Agreement.DIFFERS] * 2
    assert "Airflow's metadata database" in facets[0].detail
    assert "Airflow 4.0.0" in facets[1].detail


def test_a_rule_that_holds_after_a_failure_is_undetermined() -> None:
    """Dagster runs nothing after a failed step, and such a rule may ask for just that."""
    facet = operator_ordering(load(trigger_rule="all_done"), ORDER)

    assert facet.agrees is Agreement.UNDETERMINED
    assert "all_done may hold after a failure" in facet.detail


def test_a_task_in_a_mapped_group_has_an_order_of_its_own() -> None:
    """Airflow runs the tasks of a mapped group index by index, which one unit for each task does not."""
    facet = operator_ordering(load(mapped=True, in_mapped_group=True), ORDER)

    assert facet.agrees is Agreement.DIFFERS
    assert "no proxy stands for such a task" in facet.detail


def test_a_mapped_task_moves_with_its_readers() -> None:
    """What reads the XComs of a mapped task would take none for an empty list, so the task fails until both move."""
    reader = beside(
        templated={"op_kwargs": {"__expand__": {"x": {"__xcom__": ["load"], "key": "return_value"}}}}
    )

    facet = variables(load(mapped=True), reader)

    assert facet.agrees is Agreement.UNDETERMINED
    assert "move them together, for it fails in Airflow until then" in facet.detail


def test_a_mapped_source_returns_with_its_readers() -> None:
    """Whatever reads XComs of a mapped task cannot return to Airflow without it, nor without the mapped tasks that such
    a task reads in turn; sources that are not proxied, or not mapped, stay out of it."""

    def reads(task_id: str, *sources: str, mapped: bool = True) -> Task:
        pulled = {"op_args": {"__xcom__": list(sources), "key": "return_value"}} if sources else {}
        return Task("shop", task_id, ("airflow.operators.bash.BashOperator",), pulled, mapped=mapped)

    schedule = Schedule("0 6 * * *", "cron", "0 6 * * *", "UTC", interval_is_empty=False)
    tasks = (
        reads("first"),
        reads("second", "first"),
        reads("plain", "second", mapped=False),
        reads("last", "plain", "second", mapped=False),
    )
    dag = Dag("shop", schedule, "UTC", tasks)
    all_of_them = {"first", "second", "plain", "last"}

    assert sources_left(dag, ["last"], all_of_them) == {"second": ["last"], "first": ["second"]}
    assert sources_left(dag, ["last"], {"first", "last"}) == {}
    assert sources_left(dag, all_of_them, all_of_them) == {}
    assert sources_left(dag, ["first"], all_of_them) == {}
