"""SQL, set-up and tear-down, and a file that only this DAG knows."""

import pendulum
from airflow.decorators import setup, task, teardown
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.utils.task_group import TaskGroup


def sign(day: str) -> str:
    return f"signed on {day}"


with DAG(
    "harbour_sql",
    schedule="@daily",
    start_date=pendulum.datetime(2024, 3, 1, tz="UTC"),
    catchup=True,
    tags=["harbour"],
):
    marked = SQLExecuteQueryOperator(
        task_id="marked", conn_id="warehouse", sql="delete from main.fees where kind = 'old {{ ds }}'"
    )
    summed = SQLExecuteQueryOperator(
        task_id="summed",
        conn_id="warehouse",
        sql=["create table if not exists main.sums (day date, fees integer)",
             "insert into main.sums select date '{{ ds }}', count(*) from main.fees"],
    )  # fmt: skip
    counted = SQLExecuteQueryOperator(
        task_id="counted", conn_id="warehouse", sql="select count(*) from main.fees"
    )

    @setup
    def opened() -> str:
        return "open"

    @teardown
    def closed() -> str:
        return "closed"

    @task(retries=2)
    def between(day: str) -> str:
        return f"between on {day}"

    opened() >> between("{{ ds }}") >> closed()
    with TaskGroup("billing"):
        fees = BashOperator(task_id="fees", bash_command="dbt build -s tag:billing")
        signed = PythonOperator(task_id="signed", python_callable=sign, op_args=["{{ ds }}"])
        fees >> signed
    mapped = BashOperator.partial(task_id="mapped").expand(
        bash_command=[f"dbt run -s {model}" for model in ("pilots", "tugs")]
    )
    marked >> summed >> counted >> fees
    signed >> mapped
