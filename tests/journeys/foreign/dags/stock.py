"""Stock levels, twice a day, and a hand-started repair: another style, with decorators."""

import pendulum
from airflow.decorators import dag
from airflow.operators.bash import BashOperator


@dag(  # type: ignore[untyped-decorator]  # Airflow is not installed where types are checked
    dag_id="shop_stock",
    schedule="0 */12 * * *",
    start_date=pendulum.datetime(2024, 2, 1, tz="Europe/Berlin"),
    end_date=pendulum.datetime(2024, 12, 31, tz="Europe/Berlin"),
    tags=["shop"],
)
def stock() -> None:
    models = ("stock_levels", "stock_value")
    BashOperator.partial(task_id="each").expand(bash_command=[f"dbt run -s {model}" for model in models])
    BashOperator(
        task_id="levels",
        bash_command="dbt run --models stock_levels+ && dbt test --models stock_levels+",
        append_env=True,
        env={"DBT_PROFILES_DIR": "/srv/shop"},
    )


@dag(  # type: ignore[untyped-decorator]  # Airflow is not installed where types are checked
    dag_id="shop_repair",
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1),
    params={"model": "stg_orders"},
)
def repair() -> None:
    BashOperator(task_id="repair", bash_command="dbt run -s {{ params.model }} --full-refresh")


stock()
repair()
