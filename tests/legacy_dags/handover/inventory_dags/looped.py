"""DAGs made in a loop, known only by what is in globals()."""

from __future__ import annotations

import pendulum
from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:
    from airflow.operators.bash import BashOperator

for borough in ("bronx", "queens"):
    with DAG(dag_id=f"looped_{borough}", schedule=None, start_date=pendulum.datetime(2024, 1, 1)) as made:
        BashOperator(task_id="build", bash_command=f"dbt run --select tag:{borough}")
    globals()[made.dag_id] = made
