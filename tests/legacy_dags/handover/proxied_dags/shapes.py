"""DAGs of the shapes that a mark can meet. Their marks are written by the tests."""

from __future__ import annotations

from itertools import pairwise

import pendulum
from airflow import DAG
from airflow.decorators import task, task_group
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import ShortCircuitOperator
from airflow.utils.task_group import TaskGroup
from handover.proxy import install_proxies

SETTINGS = {"schedule": "0 6 * * *", "start_date": pendulum.datetime(2024, 3, 1, tz="America/New_York")}


def in_a_row(*tasks: BashOperator) -> None:
    for before, after in pairwise(tasks):
        before >> after


for dag_id in (
    "fine",
    "bad_yaml",
    "no_text",
    "unknown_task",
    "bad_entry",
    "contradiction",
    "both_kinds",
    "two_files",
):
    with DAG(dag_id, tags=["own"], **SETTINGS):
        in_a_row(*(BashOperator(task_id=name, bash_command="exit 1") for name in ("a", "b", "c")))

with DAG("mapped", **SETTINGS) as mapped:
    BashOperator.partial(task_id="many", retries=3, pool="narrow", trigger_rule="all_done").expand(
        bash_command=["exit 1", "exit 2"]
    )
    BashOperator(task_id="one", bash_command="exit 1")

    @task_group  # type: ignore[untyped-decorator]  # Airflow is not installed here
    def group(number: int) -> None:
        @task  # type: ignore[untyped-decorator]
        def inside(value: int) -> int:
            return value

        inside(number)

    group.expand(number=[1, 2])

    @task  # type: ignore[untyped-decorator]
    def said(number: int) -> int:
        return number

    @task  # type: ignore[untyped-decorator]
    def numbers() -> list[int]:
        return [1, 2]

    @task  # type: ignore[untyped-decorator]
    def total(found: list[int]) -> int:
        return sum(found)

    total(said.expand(number=[1, 2]))
    said.override(task_id="of_numbers").expand(number=numbers())
    BashOperator.partial(task_id="pulled").expand(bash_command=["exit 1"]) >> BashOperator(
        task_id="pulls", bash_command="echo {{ ti.xcom_pull('pulled') }}"
    )

with DAG("in_a_chain", **SETTINGS) as in_a_chain:
    outset = said.override(task_id="outset").expand(number=[1, 2])
    between = said.override(task_id="between").expand(number=outset)
    total.override(task_id="ending")(between)
    BashOperator.partial(task_id="beside").expand(bash_command=["exit 1"])

with DAG("grouped", **SETTINGS) as grouped:
    first = BashOperator(task_id="first", bash_command="exit 1")
    with TaskGroup("outer") as outer:
        load = BashOperator(task_id="load", bash_command="exit 1", weight_rule="absolute", doc_md="Loads.")
        with TaskGroup("inner", prefix_group_id=False):
            clean = BashOperator(task_id="clean", bash_command="exit 1", trigger_rule="all_done")
        load >> clean
    last = BashOperator(task_id="last", bash_command="exit 1")
    first >> outer >> last

with DAG("whole", **SETTINGS) as whole:
    start = EmptyOperator(task_id="start")
    goes_on = ShortCircuitOperator(task_id="goes_on", python_callable=bool)
    build = BashOperator(task_id="build", bash_command="exit 1")
    export = BashOperator(task_id="export", bash_command="exit 1")
    made = BashOperator(task_id="make_cluster", bash_command="exit 1").as_setup()
    start >> goes_on >> made >> build >> export

install_proxies(globals(), deferrable={"outer.load"})
