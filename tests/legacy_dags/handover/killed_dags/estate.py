"""A daily DAG whose last task is handed over; what the tests change about it comes from the environment."""

from __future__ import annotations

import os

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from handover.proxy import install_proxies

with DAG(
    os.environ.get("DAG_ID", "nightly"),
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2024, 3, 1, tz="America/New_York"),
    catchup=False,
    default_args={
        "retries": 3,
        "retry_delay": pendulum.duration(seconds=0),
        # Long enough for any machine: a test that wants it to be over says so.
        "execution_timeout": pendulum.duration(minutes=10),
    },
) as dag:
    EmptyOperator(task_id="before") >> BashOperator(task_id="build", bash_command="exit 1")

install_proxies(globals(), patience=float(os.environ.get("PATIENCE", "600")))
