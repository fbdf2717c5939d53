"""# taxi_adhoc

Builds what somebody asks for: after a mended model, or to look at something.

* **When:** by hand only, with "Trigger DAG w/ config".
* **Params:** `select` is dbt's selection, `full_refresh` drops and builds again what is incremental.
* **Window:** the project's defaults, which is everything; leave out hourly models, which need event times.
* **Pool:** `duckdb`, as in taxi_daily.
"""

from __future__ import annotations

import pendulum
from airflow import DAG
from airflow.models.param import Param
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies
from include import settings
from include.alerts import report_failure

first = settings.first_day()

with DAG(
    dag_id="taxi_adhoc",
    description="dbt build of a selection, by hand.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(first.year, first.month, first.day, tz=settings.TIME_ZONE),
    catchup=False,
    max_active_runs=1,
    params={
        # What is typed here reaches a shell.
        "select": Param("daily_metrics", type="string", pattern=r"^[\w.:+*@,/ -]+$"),
        "full_refresh": Param(False, type="boolean"),
    },
    default_args={
        "owner": "data-platform",
        "pool": "duckdb",
        "retries": 0,
        "execution_timeout": pendulum.duration(hours=1),
        "on_failure_callback": report_failure,
    },
    tags=["taxi", "dbt", "manual"],
) as dag:
    BashOperator(
        task_id="dbt_build",
        bash_command=(
            "dbt build --select {{ params.select }}{{ ' --full-refresh' if params.full_refresh else '' }}"
        ),
        cwd=str(settings.dbt_project_dir()),
        env=settings.dbt_env(),
        append_env=True,
    )

install_proxies(globals(), enrolled=settings.enrolled())
