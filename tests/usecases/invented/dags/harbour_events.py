"""DAGs without a clock: started by people, once, and by data."""

import pendulum
from airflow.datasets import Dataset
from airflow.decorators import dag, task
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sensors.external_task import ExternalTaskSensor

START = pendulum.datetime(2024, 3, 1, tz="UTC")
CALLS = Dataset("harbour://calls")

with DAG("harbour_repair", schedule=None, start_date=START, params={"model": "fees"}, tags=["harbour"]):
    by_hand = BashOperator(task_id="by_hand", bash_command="dbt run -s fees")
    whole = BashOperator(task_id="whole", bash_command="dbt run -s stg_calls --full-refresh")
    chosen = BashOperator(task_id="chosen", bash_command="dbt run -s {{ params.model }}")
    by_hand >> whole >> chosen >> EmptyOperator(task_id="repaired")

with DAG("harbour_founded", schedule="@once", start_date=START, tags=["harbour"]):
    seeded = BashOperator(task_id="seeded", bash_command="dbt seed")
    seeded >> BashOperator(task_id="all_of_it", bash_command="dbt run --exclude calls_per_day calls_per_hour")

with DAG("harbour_after_calls", schedule=[CALLS], start_date=START, tags=["harbour"]):
    BashOperator(task_id="late", bash_command="dbt run -s late_calls") >> BashOperator(
        task_id="late_tested", bash_command="dbt test -s late_calls"
    )

with DAG("harbour_waiting", schedule="@daily", start_date=START, catchup=True, tags=["harbour"]):
    for_daily = ExternalTaskSensor(
        task_id="for_daily", external_dag_id="harbour_daily", external_task_id="done"
    )
    levies = BashOperator(task_id="levies", bash_command="dbt run -s levies", outlets=[CALLS])
    for_daily >> levies >> TriggerDagRunOperator(task_id="repair", trigger_dag_id="harbour_repair")


@dag(schedule="@daily", start_date=START, catchup=True, tags=["harbour"])
def harbour_taskflow() -> None:
    @task
    def berths() -> list[int]:
        return [1, 2, 3]

    @task(multiple_outputs=True)
    def totals(found: list[int]) -> dict[str, int]:
        return {"sum": sum(found), "count": len(found)}

    @task
    def each(berth: int) -> int:
        return berth * 2

    @task
    def summed(doubled: list[int]) -> int:
        return sum(doubled)

    @task.branch
    def which(count: int) -> str:
        return "many" if count > 2 else "few"

    @task
    def many() -> None: ...

    @task
    def few() -> None: ...

    @task.bash
    def said() -> str:
        return "echo {{ ds }}"

    @task.sensor(poke_interval=1, mode="reschedule")
    def ready() -> bool:
        return True

    found = berths()
    counted = totals(found)
    summed(each.expand(berth=found))
    ready() >> which(counted["count"]) >> [many(), few()]
    said()


harbour_taskflow()
