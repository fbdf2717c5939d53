"""# auctions

The lots of one day in Kolkata, from midnight to midnight there.
"""

from __future__ import annotations

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies
from tea import places

KOLKATA = "Asia/Kolkata"
MOMENT = "strftime('%Y-%m-%d %H:%M:%S')"
WINDOW = (
    f'{{"since": "{{{{ data_interval_start.{MOMENT} }}}}", "until": "{{{{ data_interval_end.{MOMENT} }}}}"}}'
)

with DAG(
    "auctions",
    schedule="0 0 * * *",
    start_date=pendulum.datetime(2024, 3, 29, tz=KOLKATA),
    end_date=pendulum.datetime(2024, 4, 2, tz=KOLKATA),
    catchup=True,
    max_active_runs=1,
):
    BashOperator(
        task_id="lots",
        # sold_at is UTC, as Airflow's data interval is.
        bash_command=f"dbt run --select lots --vars '{WINDOW}'",
        **places.DBT,
    )

install_proxies(globals())
