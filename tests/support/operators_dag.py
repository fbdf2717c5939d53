"""A DAG file with the operators of Airflow's core and of the providers that are here, for `DAG.test` and `LegacyTask`.

Each effect is a file below the folder that STRANGE_OUT names, or a line of its `effects`; no XCom has a path in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DAG_ID = "operators"

DAG_FILE = """
import os, sys
from datetime import datetime, time, timedelta, timezone
from airflow import DAG
from airflow.decorators import task, task_group
from airflow.io.path import ObjectStoragePath
from airflow.operators.bash import BashOperator
from airflow.operators.branch import BaseBranchOperator
from airflow.operators.datetime import BranchDateTimeOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.latest_only import LatestOnlyOperator
from airflow.operators.python import (
    BranchExternalPythonOperator,
    BranchPythonOperator,
    ExternalPythonOperator,
    PythonOperator,
    ShortCircuitOperator,
)
from airflow.operators.smooth import SmoothOperator
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.operators.weekday import BranchDayOfWeekOperator
from airflow.providers.common.io.operators.file_transfer import FileTransferOperator
from airflow.sensors.base import PokeReturnValue
from airflow.sensors.bash import BashSensor
from airflow.sensors.date_time import DateTimeSensor, DateTimeSensorAsync
from airflow.sensors.external_task import ExternalTaskSensor
from airflow.sensors.filesystem import FileSensor
from airflow.sensors.python import PythonSensor
from airflow.sensors.time_delta import TimeDeltaSensor, TimeDeltaSensorAsync
from airflow.sensors.time_sensor import TimeSensor
from airflow.sensors.weekday import DayOfWeekSensor
from airflow.utils.task_group import TaskGroup

OUT = os.environ["STRANGE_OUT"]
QUICK = {"poke_interval": 0.3, "timeout": 60}


def write(name, text):
    with open(os.path.join(OUT, name), "w") as file:
        file.write(text)


class Chosen(BaseBranchOperator):
    def choose_branch(self, context):
        return "chosen_yes"


def elsewhere(number):
    return {"number": number, "squared": number * number}


def branch_elsewhere():
    return "external_yes"


def fork(branch, *names):
    for name in names:
        branch >> BashOperator(task_id=name, bash_command=f"echo {name}")


with DAG(
    "operators",
    schedule="0 6 * * *",
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    params={"colour": "red"},
    user_defined_macros={"shout": str.upper},
    default_args={"owner": "somebody"},
) as dag:
    BashOperator(
        task_id="bash",
        bash_command="echo first; echo {{ shout(params.colour) }}-$WORD",
        env={"WORD": "w{{ ds_nodash }}"},
        append_env=True,
    )
    BashOperator(
        task_id="bash_no_xcom",
        bash_command="echo said > $STRANGE_OUT/bash_file; echo said",
        do_xcom_push=False,
    )
    BashOperator(task_id="bash_skip", bash_command="exit 7", skip_on_exit_code=7)
    BashOperator(task_id="bash_fails", bash_command="exit 3")
    BashOperator(
        task_id="bash_processed", bash_command="echo 41", output_processor=lambda said: int(said) + 1
    )
    PythonOperator(
        task_id="python",
        python_callable=lambda ds, word, **kw: [word, kw["params"]["colour"]],
        op_kwargs={"word": "{{ macros.ds_add('2024-01-31', 1) }}"},
    )
    PythonOperator(
        task_id="python_pushes", python_callable=lambda ti: ti.xcom_push("own", {"deep": [1, None]})
    )
    PythonOperator(
        task_id="python_template",
        python_callable=lambda templates_dict: templates_dict["when"],
        templates_dict={"when": "{{ data_interval_end.year }}"},
    )
    ExternalPythonOperator(
        task_id="external",
        python=sys.executable,
        python_callable=elsewhere,
        op_args=[7],
        expect_airflow=False,
    )
    fork(
        BranchExternalPythonOperator(
            task_id="branch_external",
            python=sys.executable,
            python_callable=branch_elsewhere,
            expect_airflow=False,
        ),
        "external_yes",
        "external_no",
    )
    fork(
        BranchPythonOperator(task_id="branch_many", python_callable=lambda: ["many_a", "many_b"]),
        "many_a",
        "many_b",
        "many_c",
    )
    fork(Chosen(task_id="branch_own"), "chosen_yes", "chosen_no")
    fork(
        BranchDateTimeOperator(
            task_id="branch_time",
            use_task_logical_date=False,
            follow_task_ids_if_true="after_2020",
            follow_task_ids_if_false="before_2020",
            target_lower=datetime(2020, 1, 1),
            target_upper=None,
        ),
        "after_2020",
        "before_2020",
    )
    fork(
        BranchDayOfWeekOperator(
            task_id="branch_day",
            use_task_logical_date=True,
            week_day={"Friday"},
            follow_task_ids_if_true="friday",
            follow_task_ids_if_false="other_day",
        ),
        "friday",
        "other_day",
    )
    fork(ShortCircuitOperator(task_id="short_true", python_callable=lambda: 5), "not_cut")
    short = ShortCircuitOperator(
        task_id="short_soft", python_callable=lambda: "", ignore_downstream_trigger_rules=False
    )
    (
        short
        >> BashOperator(task_id="soft_cut", bash_command="echo no")
        >> BashOperator(task_id="soft_not_cut", bash_command="echo yes", trigger_rule="all_done")
    )
    LatestOnlyOperator(task_id="latest") >> BashOperator(task_id="after_latest", bash_command="echo latest")
    SmoothOperator(task_id="smooth")
    BashSensor(task_id="bash_sensor", bash_command="test -d $STRANGE_OUT", **QUICK)
    PythonSensor(
        task_id="python_sensor", python_callable=lambda: PokeReturnValue(True, {"found": 3}), **QUICK
    )
    PythonSensor(
        task_id="sensor_soft", python_callable=lambda: False, poke_interval=0.1, timeout=0.3, soft_fail=True
    )
    PythonSensor(
        task_id="sensor_hard", python_callable=lambda: False, poke_interval=0.1, timeout=0.3, retries=2
    )
    DateTimeSensor(task_id="date_sensor", target_time="{{ data_interval_end }}", **QUICK)
    DateTimeSensorAsync(task_id="date_async", target_time="{{ data_interval_end }}", **QUICK)
    TimeSensor(task_id="time_sensor", target_time=time(0, 0), **QUICK)
    TimeDeltaSensor(task_id="delta_sensor", delta=timedelta(seconds=1), **QUICK)
    TimeDeltaSensorAsync(task_id="delta_async", delta=timedelta(seconds=1), **QUICK)
    DayOfWeekSensor(task_id="day_sensor", week_day="Friday", use_task_logical_date=True, **QUICK)
    FileSensor(task_id="file_sensor", filepath=os.path.join(OUT, "dags"), fs_conn_id="files", **QUICK)
    FileSensor(
        task_id="file_async", filepath=os.path.join(OUT, "dags"), fs_conn_id="files", deferrable=True, **QUICK
    )
    BashOperator(
        task_id="source", bash_command="echo rows > $STRANGE_OUT/source.txt"
    ) >> FileTransferOperator(
        task_id="transfer", src=f"file://{OUT}/source.txt", dst=f"file://{OUT}/target.txt"
    )

    @task.bash
    def task_bash():
        return "echo by {{ task.task_id }}"

    @task.branch
    def task_branch():
        return "task_yes"

    fork(task_branch(), "task_yes", "task_no")

    @task.short_circuit
    def task_short():
        return False

    fork(task_short(), "task_cut")

    @task.sensor(poke_interval=0.3, timeout=60)
    def task_sensor():
        return PokeReturnValue(is_done=True, xcom_value=[1, 2])

    @task(multiple_outputs=True)
    def task_dict(found):
        return {"size": len(found), "set": {"inner": found}}

    task_dict(task_sensor())

    @task.external_python(python=sys.executable, expect_airflow=False)
    def task_external(found):
        return sorted(found)

    task_external(task_sensor.override(task_id="task_sensor_two")())

    # --- mapped ---
    BashOperator.partial(task_id="mapped_bash").expand(bash_command=["echo a", "echo b", "exit 99"])
    BashOperator.partial(task_id="mapped_kwargs", append_env=True).expand_kwargs(
        [{"bash_command": "echo $A", "env": {"A": str(n)}} for n in range(2)]
    )

    @task
    def numbers():
        return [1, 2, 3]

    @task
    def named():
        return {"one": 1, "two": 2}

    @task
    def add(x, y=10):
        return x + y

    @task
    def pair(item):
        return list(item)

    @task
    def total(found):
        return sorted(found)

    found = numbers()
    total(add.partial(y=100).expand(x=found.map(lambda n: n * 2)))
    add.override(task_id="cross").expand(x=found, y=[10, 20])
    pair.override(task_id="zipped").expand(item=found.zip(found))
    pair.override(task_id="of_dict").expand(item=named())
    add.override(task_id="mapped_none").expand(x=numbers.override(task_id="again")().map(lambda n: n))

    @task_group
    def each(n):
        @task
        def inside(m):
            return m + 1

        @task
        def then(m):
            return m * 10

        then(inside(n))

    each.expand(n=[5, 6]) >> BashOperator(
        task_id="after_group", bash_command="echo {{ ti.xcom_pull('each.then') | list }}"
    )

    with TaskGroup("grouped"):
        BashOperator(task_id="member", bash_command="echo {{ task.task_id }}")

    # --- providers that are not in each environment ---
    try:
        from airflow.providers.http.operators.http import HttpOperator
        from airflow.providers.http.sensors.http import HttpSensor
    except ImportError:
        pass
    else:
        HttpSensor(task_id="http_sensor", http_conn_id="local_http", endpoint="ready", **QUICK)
        HttpOperator(
            task_id="http_get",
            http_conn_id="local_http",
            method="GET",
            endpoint="day/{{ data_interval_start | ds }}",
        )
        HttpOperator(
            task_id="http_post",
            http_conn_id="local_http",
            endpoint="post",
            data='{"a": 1}',
            response_filter=lambda answer: answer.json()["length"],
        )
        HttpOperator(task_id="http_refused", http_conn_id="local_http", method="GET", endpoint="missing")
        HttpOperator(
            task_id="http_async",
            http_conn_id="local_http",
            method="GET",
            endpoint="day/async",
            deferrable=True,
        )
    try:
        import airflow.providers.sqlite
        from airflow.providers.common.sql.operators.sql import (
            BranchSQLOperator,
            SQLColumnCheckOperator,
            SQLExecuteQueryOperator,
            SQLTableCheckOperator,
            SQLValueCheckOperator,
        )
        from airflow.providers.common.sql.sensors.sql import SqlSensor
    except ImportError:
        pass
    else:
        sql = {"conn_id": "local_sqlite"}
        made = SQLExecuteQueryOperator(
            task_id="sql_make",
            sql=[
                "drop table if exists t",
                "create table t (id integer, day text)",
                "insert into t values (1, '{{ data_interval_start | ds }}'), (2, 'x')",
            ],
            split_statements=True,
            **sql,
        )
        made >> SQLExecuteQueryOperator(task_id="sql_query", sql="select * from t order by id", **sql)
        made >> SQLExecuteQueryOperator(
            task_id="sql_parameters", sql="select day from t where id = :id", parameters={"id": 2}, **sql
        )
        made >> SQLValueCheckOperator(task_id="sql_value", sql="select count(*) from t", pass_value=2, **sql)
        made >> SQLValueCheckOperator(
            task_id="sql_value_wrong", sql="select count(*) from t", pass_value=3, **sql
        )
        made >> SQLColumnCheckOperator(
            task_id="sql_column", table="t", column_mapping={"id": {"null_check": {"equal_to": 0}}}, **sql
        )
        made >> SQLTableCheckOperator(
            task_id="sql_table", table="t", checks={"rows": {"check_statement": "count(*) = 2"}}, **sql
        )
        made >> SqlSensor(task_id="sql_sensor", sql="select 1 from t", **sql, **QUICK)
        branch_sql = BranchSQLOperator(
            task_id="sql_branch",
            sql="select 1",
            follow_task_ids_if_true="sql_yes",
            follow_task_ids_if_false="sql_no",
            **sql,
        )
        made >> branch_sql
        fork(branch_sql, "sql_yes", "sql_no")

with DAG("refused", schedule="0 6 * * *", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc)) as refused:
    TriggerDagRunOperator(task_id="triggers", trigger_dag_id="operators")
    TriggerDagRunOperator(task_id="triggers_and_waits", trigger_dag_id="operators", wait_for_completion=True)
    ExternalTaskSensor(task_id="waits_for_other", external_dag_id="operators", external_task_id="bash")
    ExternalTaskSensor(task_id="waits_async", external_dag_id="operators", deferrable=True)
    BashOperator(task_id="as_other", bash_command="echo no", run_as_user="nobody")
    try:
        from airflow.providers.standard.operators.hitl import ApprovalOperator
    except ImportError:
        pass
    else:
        ApprovalOperator(task_id="asks_a_person", subject="may it?")
"""


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(404 if self.path == "/missing" else 200, f'{{"path": "{self.path}"}}')

    def do_POST(self) -> None:
        self._answer(200, f'{{"length": {self.headers["Content-Length"]}}}')

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@contextmanager
def http_server() -> Iterator[str]:
    """Its address as a Connection."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
