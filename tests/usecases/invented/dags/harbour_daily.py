"""The day of the harbour, in its own zone: from the ports' seed to the documentation."""

import pendulum
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.latest_only import LatestOnlyOperator

AT = "cd /srv/harbour && "
WINDOW = """--vars '{"min_time": "{{ data_interval_start }}", "max_time": "{{ data_interval_end }}"}'"""

with DAG(
    "harbour_daily",
    schedule="30 5 * * *",
    start_date=pendulum.datetime(2024, 3, 1, tz="Europe/Amsterdam"),
    catchup=True,
    default_args={"owner": "harbour", "retries": 2},
    tags=["harbour"],
):
    start = EmptyOperator(task_id="start")
    ports = BashOperator(task_id="ports", bash_command=AT + "dbt seed --select ports")
    staging = BashOperator(task_id="staging", bash_command=AT + "dbt run -s stg_calls stg_cargo stg_vessels")
    calls = BashOperator(
        task_id="calls", bash_command=AT + f"dbt run -s calls_per_day {WINDOW}", pool="warehouse"
    )
    tests = BashOperator(task_id="tests", bash_command=AT + f"dbt test -s calls_per_day {WINDOW}")
    vessels = BashOperator(task_id="vessels", bash_command=AT + "dbt snapshot -s vessels_history")
    deps = BashOperator(task_id="deps", bash_command=AT + "dbt deps")
    docs = BashOperator(task_id="docs", bash_command=AT + "dbt docs generate")
    listed = BashOperator(task_id="listed", bash_command=AT + "dbt ls --models stg_calls")
    fresh = BashOperator(task_id="fresh", bash_command=AT + "dbt source freshness")
    clean = BashOperator(task_id="clean", bash_command=AT + "dbt clean")
    latest = LatestOnlyOperator(task_id="latest")
    done = EmptyOperator(task_id="done")
    start >> deps >> fresh >> ports >> staging >> [calls, vessels, listed]
    calls >> tests >> done
    [vessels, listed] >> docs >> clean >> done
    done >> latest
