"""Schedules of every kind."""

from datetime import timedelta

import pendulum
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator
from airflow.timetables.trigger import CronTriggerTimetable
from airflow.utils.dates import days_ago
from dateutil.relativedelta import relativedelta
from harbour_plugin import TideTimetable

START = pendulum.datetime(2024, 3, 1, tz="UTC")
NEW_YORK = pendulum.datetime(2024, 3, 1, tz="America/New_York")
SCHEDULES = {
    "tides": (TideTimetable(), START),
    "every_36_hours": (timedelta(hours=36), START),
    "monthly": (relativedelta(months=1), START),
    "three_days_at_once": (
        CronTriggerTimetable("0 6 * * *", timezone="UTC", interval=timedelta(days=3)),
        START,
    ),
    "ticks": (CronTriggerTimetable("0 6 * * *", timezone="UTC"), START),
    "new_york": ("0 6 * * *", NEW_YORK),
    "moving": ("@daily", days_ago(9)),
    "quarter_hours": ("*/15 * * * *", START),
    "first_of_month": ("0 0 1 * *", START),
}

for name, (schedule, start) in SCHEDULES.items():
    with DAG(f"harbour_{name}", schedule=schedule, start_date=start, catchup=True, tags=["harbour"]) as dag:
        calls = BashOperator(
            task_id="calls",
            bash_command=(
                "dbt run -s calls_per_day --vars "
                """'{"min_time": "{{ data_interval_start }}", "max_time": "{{ data_interval_end }}"}'"""
            ),
        )
        calls >> BashOperator(task_id="tested", bash_command="dbt test -s stg_calls")
        calls >> BashOperator(
            task_id="region", bash_command="dbt run -s tugs --vars 'region: {{ dag.dag_id }}'"
        )
    globals()[dag.dag_id] = dag
