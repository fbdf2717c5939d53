"""What templates can ask for: known, unknown and in between."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pendulum
from airflow import DAG
from airflow.models.baseoperator import BaseOperator
from airflow.timetables.interval import CronDataIntervalTimetable

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import TaskGroup, task
except ImportError:
    from airflow.decorators import task
    from airflow.operators.bash import BashOperator
    from airflow.operators.python import PythonOperator
    from airflow.utils.task_group import TaskGroup


class Container:
    """Like a pod's: an object with templates of its own, which Airflow renders in place."""

    template_fields = ("arguments", "window")

    def __init__(self, arguments: list[str], window: str) -> None:
        self.arguments, self.window = arguments, window


class ContainerOperator(BaseOperator):  # type: ignore[misc]  # Airflow is not installed here
    template_fields = ("container", "environment")

    def __init__(self, *, container: Container, environment: list[dict[str, str]], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.container, self.environment = container, environment

    def execute(self, context: Any) -> None:
        """Never called."""


class StubbornOperator(BashOperator):  # type: ignore[misc]  # Airflow is not installed here
    """Renders its fields itself, as some providers' operators do."""

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        super().render_template_fields(context, jinja_env)
        self.bash_command: str = f"{self.bash_command} --stubborn"


def days_back(day: str, days: int) -> str:
    return str(date.fromisoformat(day) - timedelta(days=days))


def report(context: Any) -> None:
    """Never called."""


def run_dbt(day: str) -> None:
    arguments = ["dbt", "run", "--select", "tag:python"]
    raise NotImplementedError(arguments, day)


COMMANDS = {
    "known": 'dbt run --vars \'{"day": "{{ ds }}", "next": "{{ macros.ds_add(ds, 1) }}"}\'',
    "xcom": "echo {{ ti.xcom_pull(task_ids='known') }}",
    "conf_default": "echo {{ dag_run.conf.get('start', data_interval_start) }}",
    "conf_item": "echo {{ dag_run.conf['start'] }}",
    "conf_branch": "echo {% if dag_run.conf %}{{ dag_run.conf.start }}{% else %}{{ ds }}{% endif %}",
    "conf_renamed": "{% set run = dag_run %}echo {{ run.conf.get('start', ds) }}",
    "untaken_branch": "echo {% if false %}{{ ti.xcom_pull('known') }}{% else %}{{ ds }}{% endif %}",
    "prev_success": "echo {{ prev_data_interval_end_success }}",
    "prev_success_or": "echo {{ prev_data_interval_end_success or ds }}",
    "variable": "dbt run --target {{ var.value.target }}",
    "variable_get": "echo {{ var.value.get('target', 'dev') }} {{ var.json.settings.password }}",
    "connection": "echo {{ conn.warehouse.password }} {{ conn.get('nowhere').host }}",
    "configuration": "echo {{ conf.get('database', 'sql_alchemy_conn') }}",
    "clock": "echo {{ macros.datetime.now() }}",
    "try_number": "echo {{ ti.try_number }}",
    "task_names": "echo {{ ti.task_id }} {{ task.task_id }} {{ dag.dag_id }} {{ task_instance_key_str }}",
    "history": "echo {{ dag.get_last_dagrun() }}",
    "macro": "echo {{ days_back(ds, 7) }} {{ ds | shout }}",
    "params": "dbt run --select {{ params.models }} {{ params.threads }}",
    "param_without_default": "echo {{ params.nowhere }}",
    "syntax_error": "echo {{ ds ",
    "unknown_filter": "echo {{ ds | nowhere }}",
    "unsafe": "echo {{ ''.__class__.__mro__ }}",
    "unknown_name": "echo {{ batch_start }}",
    "file": "scripts/run.sh",
    "missing_file": "scripts/nowhere.sh",
}

with DAG(
    dag_id="templates",
    schedule=CronDataIntervalTimetable("0 6 * * *", timezone="America/New_York"),
    start_date=pendulum.datetime(2024, 1, 1, tz="America/New_York"),
    catchup=True,
    max_active_runs=3,
    default_args={"owner": "data-platform", "retries": 2, "retry_delay": timedelta(seconds=30)},
    params={"models": "tag:daily", "threads": 4},
    user_defined_macros={"days_back": days_back},
    user_defined_filters={"shout": str.upper},
    tags=["zoo"],
    on_failure_callback=report,
) as templates:
    for name, command in COMMANDS.items():
        BashOperator(task_id=name, bash_command=command)
    with TaskGroup("group"):
        first = BashOperator(task_id="first", bash_command="exit 0", pool="narrow", depends_on_past=True)
        second = BashOperator(
            task_id="second",
            bash_command="exit 0",
            trigger_rule="all_done",
            execution_timeout=timedelta(minutes=5),
            on_failure_callback=[report],
            email="ada@example.com, bob@example.com",
            email_on_retry=False,
        )
        first >> second
    StubbornOperator(task_id="stubborn", bash_command="echo {{ ds }}")
    ContainerOperator(
        task_id="container",
        container=Container(["dbt", "run", "--vars", "{day: {{ ds }}}"], "{{ data_interval_end | ds }}"),
        environment=[{"name": "DAY", "value": "{{ ds }}"}],
    )
    PythonOperator(task_id="python", python_callable=run_dbt, op_kwargs={"day": "{{ ds }}"})
    BashOperator.partial(task_id="mapped", env={"DAY": "{{ ds }}"}).expand(bash_command=["echo a", "echo b"])

    @task  # type: ignore[untyped-decorator]  # Airflow is not installed here
    def make_day(day: str) -> str:
        return day

    @task  # type: ignore[untyped-decorator]  # Airflow is not installed here
    def use_day(day: str) -> str:
        return day

    use_day(make_day("{{ ds }}"))
    use_day.override(task_id="use_each").expand(day=["a", "b"])
