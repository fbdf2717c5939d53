"""A DAG of the department `shop`. Runs are triggered for a day by hand."""

from datetime import datetime, timezone

from airflow import DAG
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies

with DAG(
    "orders",
    schedule="@daily",
    start_date=datetime(2024, 3, 1, tzinfo=timezone.utc),
    end_date=datetime(2024, 3, 9, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 0},
):
    BashOperator(task_id="load", bash_command="sh $DEPARTMENTS/load.sh shop {{ ds }}")

install_proxies(globals(), enrolled="all")
