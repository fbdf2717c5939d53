"""One dbt task three times: bare, through the stock proxy, through ours."""

import os
from pathlib import Path
from typing import Any

import pendulum
import requests
from airflow import DAG
from airflow.operators.bash import BashOperator
from dagster_airlift.in_airflow import (
    DefaultProxyTaskToDagsterOperator,
    load_proxied_state_from_yaml,
    proxying_to_dagster,
)
from handover.proxy import install_proxies
from include import settings

COMMAND = (
    "dbt build --select tag:daily --vars "
    """'{"min_date": "{{ data_interval_start | ds }}", "max_date": "{{ data_interval_end | ds }}"}'"""
)


class PatientSession(requests.Session):
    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        return super().request(*args, **{**kwargs, "timeout": 60})


class PatientStockProxy(DefaultProxyTaskToDagsterOperator):  # type: ignore[misc]  # Airflow is not installed here
    """Stock's own but for its time-out: a machine that is busy for 3 s would end its task, and the bench."""

    def get_dagster_session(self, context: Any) -> requests.Session:
        return PatientSession()


def one_task(dag_id: str, schedule: str, timezone: str) -> DAG:
    # The end lies in the past: Airflow starts nothing by itself, not even the last window.
    with DAG(
        dag_id,
        schedule=schedule,
        start_date=pendulum.datetime(2024, 3, 1, tz=timezone),
        end_date=pendulum.datetime(2024, 3, 31, 6, tz=timezone),
        catchup=False,
        max_active_runs=1,
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
    build_from_task_fn=PatientStockProxy.build_from_task,
)
install_proxies({"ours": ours})
