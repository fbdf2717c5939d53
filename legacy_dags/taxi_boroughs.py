"""# taxi_borough_…

One DAG for each borough that has a team of readers: the days of that borough, rebuilt as a whole.

* **When:** every day at 06:30 New York, when taxi_daily is usually done. Nothing waits for it: a day that comes late
  is there the day after.
* **Window:** none; each run builds all days that daily_metrics has.
* **Re-run:** safe at any time.
* **Pool:** `duckdb`, as in taxi_daily.
* **A new borough:** add its name below and a model `borough_<name>`.
"""

from __future__ import annotations

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies
from include import settings
from include.alerts import report_failure

BOROUGHS = ("manhattan", "queens", "brooklyn")

first, last = settings.first_day(), settings.last_day()

for borough in BOROUGHS:
    dag_id = f"taxi_borough_{borough}"
    with DAG(
        dag_id=dag_id,
        description=f"The days of {borough.title()}.",
        doc_md=__doc__,
        schedule="30 6 * * *",
        start_date=pendulum.datetime(first.year, first.month, first.day, tz=settings.TIME_ZONE),
        end_date=pendulum.datetime(last.year, last.month, last.day, 6, 30, tz=settings.TIME_ZONE),
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
        tags=["taxi", "dbt", "borough"],
    ) as dag:
        BashOperator(
            task_id="dbt_borough",
            bash_command=f"dbt run --select borough_{borough}",
            cwd=str(settings.dbt_project_dir()),
            env=settings.dbt_env(),
            append_env=True,
        )
    globals()[dag_id] = dag

install_proxies(globals(), enrolled=settings.enrolled())
