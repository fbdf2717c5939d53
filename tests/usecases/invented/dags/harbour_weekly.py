"""Cargo of each week; dbt's variables and options come from everywhere."""

import pendulum
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator

DBT = "/opt/dbt/bin/dbt"


def announce(week: str, **context: object) -> str:
    return f"week of {week}"


with DAG(
    "harbour_weekly",
    schedule="0 4 * * MON",
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=True,
    tags=["harbour"],
):
    cargo = BashOperator(
        task_id="cargo", bash_command=f"{DBT} run -s cargo_per_week --vars '{{week: \"{{{{ ds }}}}\"}}'"
    )
    berths = BashOperator(
        task_id="berths", bash_command=f"{DBT} run -s berths", env={"BERTH_PREFIX": "Q"}, append_env=True
    )
    unread = BashOperator(
        task_id="unread", bash_command=f"{DBT} run -s fees", env={"NOBODY_READS": "x"}, append_env=True
    )
    exported = BashOperator(
        task_id="exported", bash_command=f"export BERTH_PREFIX=R; {DBT} run --select berths", append_env=True
    )
    prefixed = BashOperator(task_id="prefixed", bash_command=f"BERTH_PREFIX=S {DBT} build -s berths")
    region = BashOperator(task_id="region", bash_command=f"{DBT} run -s late_calls --vars 'region: south'")
    logged = BashOperator(
        task_id="logged", bash_command=f"{DBT} run -s pilots --log-path /tmp/logs/{{{{ try_number }}}}"
    )
    said = PythonOperator(task_id="said", python_callable=announce, op_kwargs={"week": "{{ ds }}"})
    cargo >> [berths, unread, exported, prefixed, region, logged] >> said
