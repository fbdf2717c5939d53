"""# taxi_hourly

Counts the trips of one hour.

* **When:** every hour, on the hour, New York. The window is the hour before.
* **Window:** dbt's event times are UTC and take no offset, so `{{ ts }}` would be refused and a local time would be
  another hour. `data_interval_start` is UTC in Airflow whatever the DAG's time zone, and is written out as it is. On
  the day when the clocks go back there are 25 runs, on the day when they go forward 23, each of one hour.
* **Needs:** `stg_trips` and `stg_zones`, which taxi_daily builds once and for all: they are views.
* **Re-run:** safe at any time; an hour is replaced as a whole.
* **Pool:** `duckdb`, as in taxi_daily.
* **When it fails:** read the task's log, then clear the task. The hours after it have not waited for it.
"""

from __future__ import annotations

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies
from include import settings
from include.alerts import report_failure

first, last = settings.first_day(), settings.last_day()

with DAG(
    dag_id="taxi_hourly",
    description="The trips of one hour, by dbt's microbatches.",
    doc_md=__doc__,
    schedule="0 * * * *",
    start_date=pendulum.datetime(first.year, first.month, first.day, tz=settings.TIME_ZONE),
    # The last day's last hour.
    end_date=pendulum.datetime(last.year, last.month, last.day, 23, tz=settings.TIME_ZONE),
    catchup=True,
    max_active_runs=1,
    default_args={
        "owner": "data-platform",
        "pool": "duckdb",
        "retries": 2,
        "retry_delay": pendulum.duration(seconds=30),
        "execution_timeout": pendulum.duration(minutes=10),
        "on_failure_callback": report_failure,
    },
    tags=["taxi", "dbt"],
) as dag:
    BashOperator(
        task_id="dbt_hourly",
        bash_command=(
            "dbt run --select tag:hourly "
            "--event-time-start {{ data_interval_start.strftime('%Y-%m-%dT%H:%M:%S') }} "
            "--event-time-end {{ data_interval_end.strftime('%Y-%m-%dT%H:%M:%S') }}"
        ),
        cwd=str(settings.dbt_project_dir()),
        env=settings.dbt_env(),
        append_env=True,
    )

install_proxies(globals(), enrolled=settings.enrolled())
