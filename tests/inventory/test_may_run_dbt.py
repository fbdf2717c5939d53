"""What is said to run no dbt, and what is said to be unknown: by a real exporter's inventory of a DAG file."""

from __future__ import annotations

import subprocess

import pytest

from dagster_defs.inventory.document import Task
from dagster_defs.inventory.knowledge import why_it_may_run_dbt
from dagster_defs.inventory.python_values import names_dbt
from dagster_defs.inventory.reading import read_task
from dagster_defs.inventory.records import UnitReading
from dagster_defs.usecases.inventory import read_inventory
from tests.support import inventory_samples as samples
from tests.support.estate import AIRFLOW_PYTHON, ROOT, foreign_environment
from tests.support.inventory_samples import bash

HELPERS = """
import contextlib
import subprocess


def deep(word):
    return subprocess.run(["sh", "-c", word])


def helper(word):
    return deep(word)


@contextlib.contextmanager
def around():
    deep("x")
    yield


class Runner:
    def go(self):
        deep("x")
"""
DAG = """
import functools, json, os
import pendulum, requests
from airflow import DAG
from airflow.decorators import task
from airflow.models.baseoperator import BaseOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator, get_current_context
from airflow.sensors.external_task import ExternalTaskSensor
import helping
from helping import Runner, around, helper


def imports_dbt():
    from dbt.cli.main import dbtRunner as R
    R().invoke(["run"])


def by_helper(): helper("a")
def by_module(): helping.helper("a")
def by_class(): Runner().go()
def by_context():
    with around(): pass
def by_lambda(): return (lambda: helper("a"))()
def by_default(run=helper): run("a")
def by_system(): os.system(os.environ["COMMAND"])
def by_popen(): os.popen("x")
def by_eval(): eval("1")
def by_import(): __import__("dbt")
def posts(): requests.post("https://cloud.example/api/jobs/12/run")
def clean(): print(json.dumps({"at": str(pendulum.now()), "home": os.environ.get("HOME"), "x": os.path.join("a", "b")}))
def gets(): return requests.get("https://example.invalid").json()


def decorated_by(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        function(*args, **kwargs)
        helper("x")
    return wrapper


by_decorator = decorated_by(clean)


class Mine(BaseOperator):
    def execute(self, context):
        helper("z")


class Calm(BaseOperator):
    def execute(self, context):
        return {"day": context["ds"]}


class Later(Mine):
    pass


with DAG("d", schedule="@daily", start_date=pendulum.datetime(2024, 1, 1)):
    for f in (imports_dbt, by_helper, by_module, by_class, by_context, by_lambda, by_default, by_system, by_popen,
              by_eval, by_import, posts, clean, gets):
        PythonOperator(task_id=f.__name__, python_callable=f)
    PythonOperator(task_id="by_decorator", python_callable=by_decorator)
    PythonOperator(task_id="by_partial", python_callable=functools.partial(helper, "q"))
    Mine(task_id="own_operator")
    Later(task_id="own_subclass")
    Calm(task_id="own_calm")
    EmptyOperator(task_id="empty")
    ExternalTaskSensor(task_id="waits", external_dag_id="other")

    @task
    def flow(): helper("a")

    @task
    def asks(): return get_current_context()["ds"]

    @task.external_python(python="/usr/bin/python3")
    def in_another_python():
        from dbt.cli.main import dbtRunner
        dbtRunner().invoke(["run", "-s", "x"])

    @task.bash
    def says_bash(): return helper("a")

    flow(), asks(), in_another_python(), says_bash()
"""
OPAQUE = [
    "imports_dbt", "by_helper", "by_module", "by_class", "by_context", "by_lambda", "by_default", "by_system",
    "by_popen", "by_eval", "by_import", "posts", "by_decorator", "by_partial", "own_operator", "own_subclass", "flow",
    "says_bash",
]  # fmt: skip
HARMLESS = ["clean", "gets", "own_calm", "empty", "waits", "asks"]


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> dict[str, UnitReading]:
    folder = tmp_path_factory.mktemp("dags")
    (folder / "helping.py").write_text(HELPERS)
    (folder / "d.py").write_text(DAG)
    out = folder.parent / f"{folder.name}.json"
    subprocess.run(
        [
            *(
                str(AIRFLOW_PYTHON),
                str(ROOT / "legacy_dags/handover/inventory.py"),
            ),
            *("--dags-folder", str(folder), "--from", "2024-01-01", "--to", "2024-01-02", "--out", str(out)),
        ],
        env=foreign_environment(),
        check=True,
        capture_output=True,
        timeout=1200,
    )
    [dag] = read_inventory(out, out.with_name("parity.yaml")).dags
    return {
        task.task_id: read_task(task, dag, samples.FakeProject().reads)
        for task in dag.tasks
        if isinstance(task, Task)
    }


@pytest.mark.airflow
@pytest.mark.parametrize("task_id", OPAQUE)
def test_what_may_run_dbt_is_opaque(units: dict[str, UnitReading], task_id: str) -> None:
    """Code that can start a program, or ask a service, is never said to run no dbt, however far away that stands."""
    assert (units[task_id].kind.value, units[task_id].determined) == ("opaque", False), units[task_id].reason


@pytest.mark.airflow
@pytest.mark.parametrize("task_id", HARMLESS)
def test_what_is_known_runs_no_dbt(units: dict[str, UnitReading], task_id: str) -> None:
    """What is followed to its end and starts nothing, and what an operator of Airflow's is known to do, runs no dbt."""
    assert (units[task_id].kind.value, units[task_id].determined) == ("non-dbt", True), units[task_id].reason


@pytest.mark.airflow
def test_dbt_in_another_python_is_seen(units: dict[str, UnitReading]) -> None:
    """A dbt call in the body of a decorated function is read as one."""
    assert units["in_another_python"].kind.value == "dbt-run"


@pytest.mark.parametrize(
    ("operator", "is_known"),
    [
        ("airflow.operators.empty.EmptyOperator", True),
        ("airflow.providers.standard.operators.empty.EmptyOperator", True),
        ("airflow.providers.standard.operators.trigger_dagrun.TriggerDagRunOperator", True),
        ("airflow.sensors.filesystem.FileSensor", True),
        ("airflow.providers.amazon.aws.sensors.s3.S3KeySensor", True),
        ("airflow.providers.common.sql.operators.sql.SQLExecuteQueryOperator", True),
        ("airflow.providers.snowflake.operators.snowflake.SnowflakeOperator", True),
        ("airflow.providers.google.cloud.transfers.gcs_to_bigquery.GCSToBigQueryOperator", True),
        ("airflow.providers.snowflake.operators.snowpark.SnowparkOperator", False),
        ("airflow.providers.databricks.operators.databricks.DatabricksRunNowOperator", False),
        ("airflow.providers.amazon.aws.operators.lambda_function.LambdaInvokeFunctionOperator", False),
        ("airflow.providers.http.operators.http.HttpOperator", False),
        ("airflow.providers.apache.spark.operators.spark_submit.SparkSubmitOperator", False),
        ("airflow.providers.fivetran.operators.fivetran.FivetranOperator", False),
        ("company.operators.EmptyOperator", False),
        ("airflow_clickhouse_plugin.operators.clickhouse.ClickHouseOperator", True),
    ],
)
def test_operators_are_decided_by_knowledge(operator: str, is_known: bool) -> None:
    """An operator is known by its whole path; whatever is not known may run dbt."""
    why = why_it_may_run_dbt(Task("d", "t", (operator,), {"sql": "select 1"}))

    assert (why == "") is is_known, why


def test_sql_that_runs_dbt_in_the_warehouse_is_not_harmless() -> None:
    """A warehouse can keep a dbt project and execute it."""
    path = "airflow.providers.common.sql.operators.sql.SQLExecuteQueryOperator"

    assert "executes" in why_it_may_run_dbt(
        Task("d", "t", (path,), {"sql": "EXECUTE DBT PROJECT shop ARGS='run'"})
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("airflow.providers.amazon.aws.transfers.dynamodb_to_s3.DynamoDBToS3Operator", False),
        ("team.DynamodbTableOperator", False),
        ("team.DbtRun", True),
        ("team.RunDBTOperator", True),
        ("team.dbt_runner.Run", True),
        ("registry/shop-dbt2:1", True),
    ],
)
def test_dbt_is_a_word_of_a_name(name: str, expected: bool) -> None:
    """Three letters in the middle of another word mean nothing."""
    assert names_dbt(name) is expected


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (
            "{{ ti.xcom_pull('prepare') }}",
            "it may run dbt: `{{ ti.xcom_pull('prepare') }}` is not seen through",
        ),
        ("$TOOL --all", "it may run dbt: `$TOOL --all` is not seen through"),
        ("$TOOL run -s a", "the command comes from $TOOL"),
        ("{{ params.dbt_command }}", "the command comes from {{ params.dbt_command }}"),
    ],
)
def test_a_command_that_only_a_run_knows(command: str, kind: str) -> None:
    """It counts as dbt's only if something of it speaks of dbt."""
    if "xcom_pull" in command:  # which nothing renders before the task runs
        [unit] = samples.report(samples.document(samples.task({"bash_command": command}))).units
    else:
        unit = bash(command, params={"dbt_command": "dbt run"})

    assert not unit.determined
    assert kind in unit.reason


def test_an_asset_of_airflow_3_is_its_function() -> None:
    """`@asset` makes an operator of Airflow's own around the function."""
    task = Task(
        "shop", "t", ("airflow.sdk.definitions.asset.decorators._AssetMainOperator",), {},
        source="def f():\n    return 1\n", callable_name="m.f", code_reaches=(),
    )  # fmt: skip

    assert why_it_may_run_dbt(task) == ""
