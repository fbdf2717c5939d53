"""One dbt task three times: bare, through the stock proxy, through ours."""

import os
from pathlib import Path

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from dagster_airlift.in_airflow import load_proxied_state_from_yaml, proxying_to_dagster
from handover.proxy import install_proxies
from include import settings

COMMAND = (
    "dbt build --select tag:daily --vars "
    """'{"min_date": "{{ data_interval_start | ds }}", "max_date": "{{ data_interval_end | ds }}"}'"""
)


def one_task(dag_id: str, schedule: str, timezone: str) -> DAG:
    with DAG(
        dag_id, schedule=schedule, start_date=pendulum.datetime(2024, 3, 1, tz=timezone), catchup=False
    ) as dag:
        BashOperator(
            task_id="dbt_daily",
            bash_command=COMMAND,
            cwd=str(settings.dbt_project_dir()),
            env=settings.dbt_env(),
            append_env=True,
        )
    return dag


bare = one_task("bench_bare", "@daily", "UTC")
stock = one_task("bench_stock", "@daily", "UTC")
ours = one_task("taxi_daily", "0 6 * * *", "America/New_York")

proxying_to_dagster(
    global_vars={"stock": stock},
    proxied_state=load_proxied_state_from_yaml(Path(os.environ["BENCH_STOCK_STATE"])),
)
install_proxies({"ours": ours})
