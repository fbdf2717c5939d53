"""A daily DAG, like the estate's, whose middle task is handed over."""

from __future__ import annotations

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies

with DAG(
    "nightly",
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2024, 3, 1, tz="America/New_York"),
    catchup=False,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=0)},
) as nightly:
    before = BashOperator(task_id="before", bash_command="true")
    build = BashOperator(task_id="build", bash_command="exit 1")
    later = BashOperator(task_id="later", bash_command="exit 1")
    before >> build >> later

install_proxies(globals(), deferrable={"later"})
