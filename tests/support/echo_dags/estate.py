"""A DAG that is retired, and all that waits for it in Airflow. The file loads in Airflow 2.11 and 3.3."""

from __future__ import annotations

import os

import pendulum
from airflow import __version__

IS_2 = __version__.startswith("2.")
if IS_2:
    from airflow import DAG
    from airflow.datasets import Dataset as Asset
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.trigger_dagrun import TriggerDagRunOperator
    from airflow.sensors.external_task import ExternalTaskSensor
    from airflow.timetables.interval import CronDataIntervalTimetable
    from airflow.utils.task_group import TaskGroup
else:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
    from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
    from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, TaskGroup

LOG = os.environ.get("ECHO_LOG", "/dev/null")
LAKE = Asset("file://lake/a")


def dag(dag_id: str, schedule: object) -> DAG:
    return DAG(
        dag_id,
        schedule=schedule,
        start_date=pendulum.datetime(2024, 3, 1, tz="UTC"),
        catchup=False,
        max_active_runs=8,
    )


def says(task_id: str, **more: object) -> BashOperator:
    """A task that leaves a line: it was started."""
    line = "{{ dag.dag_id }}.{{ task.task_id }} {{ ds | default('-') }} {{ dag_run.conf.get('day', '') }}"
    return BashOperator(task_id=task_id, bash_command=f'echo "{line}" >> {LOG}', **more)


def daily() -> object:
    return CronDataIntervalTimetable("0 6 * * *", timezone="UTC")


with dag("feeder", daily()):
    load = says("load", outlets=[LAKE])
    with TaskGroup("group"):
        inner = says("inner")
    last = EmptyOperator(task_id="last")
    start = TriggerDagRunOperator(task_id="start", trigger_dag_id="started", conf={"day": "{{ ds }}"})
    load >> inner >> [last, start]

with dag("waiter", None):
    waits = {
        "external_dag_id": "feeder",
        "mode": "reschedule",  # so that what waits takes no worker
        "poke_interval": 1,
        "timeout": 600,
        "retries": 5,
        "retry_delay": pendulum.duration(seconds=1),
    }
    sensors = [
        ExternalTaskSensor(task_id="on_task", external_task_id="load", **waits),
        ExternalTaskSensor(task_id="on_last", external_task_id="last", **waits),
        ExternalTaskSensor(task_id="on_group", external_task_group_id="group", **waits),
        ExternalTaskSensor(task_id="on_all", failed_states=["failed"], **waits),
    ]
    sensors >> says("goes_on")

with dag("consumer", [LAKE]):
    says("reads")

with dag("started", None):
    says("first")

with dag("returns", daily()):
    says("runs")
