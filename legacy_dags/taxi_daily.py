"""# taxi_daily

Builds the taxi marts and exports the metrics of one day.

* **When:** every day at 06:00 New York; the window is the day before, half-open: `min_date` counts,
  `max_date` does not.
* **Re-run:** safe at any time; a day is replaced as a whole.
* **Pool:** `duckdb`, one slot, because a DuckDB file has one writer. Set-up makes it with
  `airflow pools set duckdb 1 "one writer"`; without the pool Airflow never starts these tasks.
* **When it fails:** a failed dbt test stops the export. Read the task's log, then clear the task.
"""

from __future__ import annotations

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator
from handover.proxy import install_proxies
from include import settings
from include.alerts import report_failure
from include.export import export_daily

first, last = settings.first_day(), settings.last_day()
dbt_args = {"cwd": str(settings.dbt_project_dir()), "append_env": True}

with DAG(
    dag_id="taxi_daily",
    description="Staging, marts and the export of one New York day.",
    doc_md=__doc__,
    schedule="0 6 * * *",
    start_date=pendulum.datetime(first.year, first.month, first.day, tz=settings.TIME_ZONE),
    # Windows start at 06:00, so the last day needs an end that is not before that.
    end_date=pendulum.datetime(last.year, last.month, last.day, 6, tz=settings.TIME_ZONE),
    catchup=True,
    max_active_runs=1,
    default_args={
        "owner": "data-platform",
        "pool": "duckdb",
        "retries": 2,
        "retry_delay": pendulum.duration(seconds=30),
        "execution_timeout": pendulum.duration(minutes=20),
        "on_failure_callback": report_failure,
    },
    tags=["taxi", "dbt"],
) as dag:
    dbt_zones = BashOperator(
        task_id="dbt_zones",
        bash_command="dbt build --select tag:zones",
        env=settings.dbt_env(task="dbt_zones"),
        **dbt_args,
    )
    dbt_daily = BashOperator(
        task_id="dbt_daily",
        bash_command=(
            "dbt build --select tag:daily --vars "
            """'{"min_date": "{{ data_interval_start | ds }}", "max_date": "{{ data_interval_end | ds }}"}'"""
        ),
        env=settings.dbt_env(),
        **dbt_args,
    )
    export = PythonOperator(
        task_id="export_daily",
        python_callable=export_daily,
        op_kwargs={
            "day": "{{ data_interval_start | ds }}",
            "next_day": "{{ data_interval_end | ds }}",
            "side": "legacy",
        },
    )
    dbt_zones >> dbt_daily >> export

install_proxies(globals(), enrolled=settings.enrolled())
