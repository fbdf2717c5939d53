"""# taxi_ingest

Loads what the Taxi and Limousine Commission publishes: the zone table, and the yellow-taxi trips of a month.

* **When:** once a month, for the month that has just ended.
* **Re-run:** safe at any time; a month is replaced as a whole, with the same bytes.
* **When it fails:** the file was not delivered or has another schema. The message says which, and what to do.
"""

from __future__ import annotations

import pendulum
from airflow import DAG
from airflow.operators.python import PythonOperator
from handover.proxy import install_proxies
from include import settings
from include.alerts import report_failure
from include.ingest import load_trips, load_zones

first, last = settings.first_day(), settings.last_day()

with DAG(
    dag_id="taxi_ingest",
    description="Yellow-taxi trips and zones, from landing to raw Parquet.",
    doc_md=__doc__,
    schedule="@monthly",
    # A start in the middle of a month would make Airflow skip that month.
    start_date=pendulum.datetime(first.year, first.month, 1, tz=settings.TIME_ZONE),
    end_date=pendulum.datetime(last.year, last.month, 1, tz=settings.TIME_ZONE),
    catchup=True,
    max_active_runs=1,
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": pendulum.duration(seconds=30),
        "execution_timeout": pendulum.duration(minutes=20),
        "on_failure_callback": report_failure,
    },
    tags=["taxi", "ingest"],
) as dag:
    zones = PythonOperator(
        task_id="load_zones",
        python_callable=load_zones,
        op_kwargs={"side": "legacy"},
    )
    trips = PythonOperator(
        task_id="load_trips",
        python_callable=load_trips,
        op_kwargs={"month": "{{ data_interval_start.strftime('%Y-%m') }}", "side": "legacy"},
    )
    zones >> trips

install_proxies(globals(), enrolled=settings.enrolled())
