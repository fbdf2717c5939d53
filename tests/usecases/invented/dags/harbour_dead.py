"""Nobody has needed it for years."""

import pendulum
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator

with DAG(
    "harbour_dead", schedule="@daily", start_date=pendulum.datetime(2019, 1, 1, tz="UTC"), catchup=False
):
    BashOperator(task_id="old", bash_command="dbt run -s nothing_any_more")
