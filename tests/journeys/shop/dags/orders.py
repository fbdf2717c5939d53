"""A shop's day: its orders, and then what they took from the stock. Each has a dbt project of its own."""

import os

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies

HOME = os.environ.get("SHOP_HOME", "/srv/shop")
DAY = '{"from_day": "{{ data_interval_start | ds }}", "to_day": "{{ data_interval_end | ds }}"}'

with DAG(
    "orders_daily",
    schedule="0 5 * * *",
    start_date=pendulum.datetime(2024, 3, 9, tz="Europe/Berlin"),
    end_date=pendulum.datetime(2024, 3, 16, 5, tz="Europe/Berlin"),
    catchup=True,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": pendulum.duration(seconds=10)},
):
    orders, stock = (
        BashOperator(
            task_id=f"dbt_{name}",
            bash_command=f"cd {HOME}/{name} && dbt build --vars '{DAY}'",
            append_env=True,
        )
        for name in ("orders", "stock")
    )
    orders >> stock

install_proxies(globals())
