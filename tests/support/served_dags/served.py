"""DAGs of an Airflow that is only looked at; nothing runs them. The file loads in Airflow 2.11 and 3.3."""

from __future__ import annotations

import pendulum
from airflow import __version__

if __version__.startswith("2."):
    from airflow import DAG
    from airflow.datasets import Dataset as Asset
    from airflow.operators.bash import BashOperator
    from airflow.timetables.interval import CronDataIntervalTimetable
    from airflow.utils.task_group import TaskGroup
else:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, CronPartitionTimetable, TaskGroup

from airflow.timetables.trigger import CronTriggerTimetable

ZONE = pendulum.timezone("America/New_York")


def dag(dag_id: str, schedule: object) -> DAG:
    start = pendulum.datetime(2024, 3, 1, tz=ZONE)
    return DAG(
        dag_id,
        schedule=schedule,
        start_date=start,
        catchup=False,
        description=f"of {dag_id}",
        tags=["served"],
    )


with dag("windows", CronDataIntervalTimetable("0 6 * * *", timezone=ZONE)):
    BashOperator(task_id="first", bash_command="echo {{ ds }}", doc_md="of the first", retries=2)
    BashOperator.partial(task_id="many").expand(bash_command=["a", "b", "c"])
    with TaskGroup("group"):
        BashOperator(task_id="inner", bash_command="true")

with dag("ticks", CronTriggerTimetable("0 6 * * *", timezone=ZONE)):
    BashOperator(task_id="first", bash_command="true")

with dag("by_hand", None):
    BashOperator(task_id="first", bash_command="true")

with dag("by_assets", [Asset("file://served")]):
    BashOperator(task_id="first", bash_command="true")

# As far as an observer sees the taxi estate.
with dag("taxi_daily", CronDataIntervalTimetable("0 6 * * *", timezone=ZONE)):
    BashOperator(task_id="dbt_daily", bash_command="true")

if not __version__.startswith("2."):
    with dag("by_key", CronPartitionTimetable("0 6 * * *", timezone=ZONE)):
        BashOperator(task_id="first", bash_command="true")

with dag("with_teardown", CronDataIntervalTimetable("0 6 * * *", timezone=ZONE)):
    (
        BashOperator(task_id="first", bash_command="true")
        >> BashOperator(task_id="clean", bash_command="true").as_teardown()
    )
