"""A shop's orders, as a team in Berlin writes its DAGs: a class for each, and a helper for the command."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator

BERLIN = ZoneInfo("Europe/Berlin")


def dbt(verb: str, models: str, extra: str = "") -> str:
    """One shell line: into the project, then dbt."""
    return f"set -e; cd /srv/shop && dbt --no-use-colors {verb} -s {models} {extra}".strip()


dag = DAG(
    "shop_orders",
    schedule="15 4 * * *",
    start_date=datetime(2024, 1, 1, tzinfo=BERLIN),
    catchup=False,
    default_args={
        "owner": "shop",
        "retries": 1,
        "execution_timeout": timedelta(minutes=45),
        "sla": timedelta(hours=3),
    },
)

stage = BashOperator(task_id="stage", bash_command=dbt("run", "stg_orders stg_customers"), dag=dag)
marts = BashOperator(
    task_id="marts",
    bash_command=dbt("run", "orders_per_day", '--vars \'from_day: "{{ ds }}"\nto_day: "{{ next_ds }}"\''),
    pool="warehouse",
    dag=dag,
)
check = BashOperator(task_id="check", bash_command=dbt("test", "orders_per_day"), dag=dag)
ping = BashOperator(task_id="ping", bash_command="echo done", dag=dag)
stage >> marts >> check >> ping
