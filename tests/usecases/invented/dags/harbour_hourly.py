"""Calls of each hour, once the pilots' file is there."""

import pendulum
from airflow.decorators import task
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from airflow.sensors.bash import BashSensor
from airflow.sensors.python import PythonSensor
from airflow.sensors.time_delta import TimeDeltaSensor
from port.tides import high_water, report_pilots


def there() -> bool:
    return True


def which(logical_date: pendulum.DateTime) -> str:
    return "by_day" if 6 <= logical_date.hour < 20 else "by_night"


with DAG(
    "harbour_hourly",
    schedule="@hourly",
    start_date=pendulum.datetime(2024, 3, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "harbour"},
    tags=["harbour"],
):
    there_yet = BashSensor(task_id="there_yet", bash_command="true", poke_interval=1)
    reschedules = PythonSensor(task_id="reschedules", python_callable=there, mode="reschedule")
    waits = TimeDeltaSensor(task_id="waits", delta=pendulum.duration(seconds=1))
    branch = BranchPythonOperator(task_id="branch", python_callable=which)
    by_day, by_night = EmptyOperator(task_id="by_day"), EmptyOperator(task_id="by_night")
    water = PythonOperator(task_id="water", python_callable=high_water, op_kwargs={"hour": "{{ ts }}"})
    pilots = PythonOperator(task_id="pilots", python_callable=report_pilots, op_args=["{{ ds }}"])
    goes_on = ShortCircuitOperator(task_id="goes_on", python_callable=there)
    calls = BashOperator(
        task_id="calls",
        bash_command=(
            "dbt run --project-dir /srv/harbour -s calls_per_hour --vars "
            """'{"min_time": "{{ data_interval_start }}", "max_time": "{{ data_interval_end }}"}'"""
        ),
        trigger_rule="none_failed_min_one_success",
    )

    @task
    def counted(hour: str) -> int:
        return len(hour)

    there_yet >> reschedules >> waits >> branch >> [by_day, by_night] >> calls
    calls >> goes_on >> [water, pilots]
    counted("{{ ts }}")
