"""A DAG file with a task of each kind that `LegacyTask` has to do right, and its outcome in Airflow's own `DAG.test`.

Each effect of an operator or a callback is a line of a file below the folder that STRANGE_OUT names.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.estate import AIRFLOW_PYTHON, ROOT

DAG_ID = "strange"
PROGRAM = ROOT / "legacy_dags" / "handover" / "run_task.py"
START, END = "2024-02-01T06:00:00+00:00", "2024-02-02T06:00:00+00:00"

DAG_FILE = """
import os
from datetime import datetime, timedelta, timezone
from airflow import DAG
from airflow.decorators import task
from airflow.exceptions import AirflowFailException
from airflow.models import BaseOperator
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from airflow.hooks.base import BaseHook
from airflow.sensors.python import PythonSensor
from airflow.triggers.temporal import TimeDeltaTrigger

OUT = os.environ["STRANGE_OUT"]


def say(text):
    with open(os.path.join(OUT, "effects"), "a") as file:
        file.write(text + "\\n")


def told(word):
    def callback(context):
        say(f"{word} {context['ti'].task_id}")
    return callback


def count(name):
    path = os.path.join(OUT, name)
    found = int(open(path).read()) if os.path.exists(path) else 0
    with open(path, "w") as file:
        file.write(str(found + 1))
    return found + 1


class Deferred(BaseOperator):
    def __init__(self, word=None, **kwargs):
        super().__init__(**kwargs)
        self.given = {"word": word} if word else {}

    def execute(self, context):
        self.defer(trigger=TimeDeltaTrigger(timedelta(milliseconds=300)), method_name="go_on", kwargs=self.given)

    def go_on(self, context, event=None, word="on"):
        say(f"deferred went {word}")
        return word


class Killable(BaseOperator):
    def execute(self, context):
        import subprocess, time
        self.process = subprocess.Popen(["sleep", "120"], start_new_session=True)
        say(f"pid {self.process.pid}")
        time.sleep(120)

    def on_kill(self):
        say("on_kill")
        self.process.kill()


class Rude(Exception):
    def __str__(self):
        return "no way into " + BaseHook.get_connection("warehouse").get_uri()


def be_rude():
    BaseHook.get_connection("warehouse").get_uri()
    raise Rude


def leave_noise():
    import subprocess
    child = subprocess.Popen(["sh", "-c", "while :; do echo noise; sleep 0.05; done"])
    say(f"pid {child.pid}")


with DAG("strange", schedule="0 6 * * *", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), catchup=False,
         default_args={"retry_delay": timedelta(0)}) as dag:
    BashOperator(
        task_id="templated",
        bash_command="echo {{ data_interval_start | ds }} {{ data_interval_end.isoformat() }} {{ var.value.greeting }}",
    ) >> EmptyOperator(task_id="marker") >> BashOperator(
        task_id="after_marker", bash_command="echo {{ ti.xcom_pull('templated') }} again"
    )
    skip = BashOperator(task_id="skip99", bash_command="exit 99")
    skip >> BashOperator(task_id="after_skip", bash_command="echo never")
    skip >> BashOperator(task_id="whatever", bash_command="echo done", trigger_rule="none_failed")

    @task
    def several():
        return {"list": [1, 2.5, None, "x"], "when": datetime(2024, 1, 1, tzinfo=timezone.utc), "pair": (1, 2)}

    @task(multiple_outputs=True)
    def split(found):
        say(f"total {found['list'][0]} {found['when'].year} {len(found['pair'])}")
        return {"left": 1, "right": {"deep": True}}

    @task
    def connected(right):
        return [BaseHook.get_connection("warehouse").host, right["deep"]]

    connected(split(several())["right"])

    branch = BranchPythonOperator(task_id="branch", python_callable=lambda: "left")
    join = EmptyOperator(task_id="join", trigger_rule="none_failed_min_one_success")
    for side in ("left", "right"):
        branch >> BashOperator(task_id=side, bash_command=f"echo {side}") >> join
    join >> BashOperator(task_id="after_join", bash_command="echo joined")

    ShortCircuitOperator(task_id="short", python_callable=lambda: False) >> BashOperator(
        task_id="cut", bash_command="echo no"
    ) >> BashOperator(task_id="cut_too", bash_command="echo no", trigger_rule="all_done")

    def thrice(name):
        return count(name) > 2

    for name, mode in (("poked", "poke"), ("rescheduled", "reschedule")):
        PythonSensor(task_id=name, python_callable=thrice, op_args=[name], poke_interval=0.5, mode=mode)
    Deferred(task_id="deferred", on_success_callback=told("success"))

    def fail_once(ti):
        if count("fail_once") == 1:
            raise ValueError("broken on purpose")
        return ti.try_number

    told_of = {f"on_{word}_callback": told(word) for word in ("retry", "failure", "success")}
    PythonOperator(task_id="second_try", python_callable=fail_once, retries=1, **told_of)

    def fail(final):
        raise AirflowFailException("no more") if final else ValueError("broken on purpose")

    failing = PythonOperator(task_id="failing", python_callable=fail, op_args=[False], retries=1, **told_of)
    failing >> BashOperator(task_id="after_failing", bash_command="echo never")
    PythonOperator(task_id="final", python_callable=fail, op_args=[True], retries=3, **told_of)
    failing >> BashOperator(task_id="clean_up", bash_command="echo cleaned", trigger_rule="all_done")

    @task
    def listed():
        return [1, 2, 3]

    @task
    def double(x):
        return 2 * x

    @task
    def summed(xs):
        return sum(xs)

    summed(double.expand(x=listed()))

    set_up = BashOperator(task_id="set_up", bash_command="echo up").as_setup()
    broken = PythonOperator(task_id="in_between", python_callable=fail, op_args=[True])
    set_up >> broken >> BashOperator(task_id="tear_down", bash_command="echo down").as_teardown(setups=set_up)

with DAG("killed", schedule="0 6 * * *", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc)) as killed:
    Deferred(task_id="deferred_with_kwargs", word="further")  # DAG.test drops them, and a triggerer keeps them
    Killable(task_id="killable", retries=2, on_retry_callback=told("retry"))
    BashOperator(
        task_id="writes",
        bash_command="cd {{ var.value.place }} && printf 'id,name\\n1,one\\n' > {{ ds }}.csv",
    )
    slow = BashOperator(task_id="slow", bash_command="sleep 100", execution_timeout=timedelta(seconds=1))
    PythonOperator(task_id="rude", python_callable=be_rude)
    PythonOperator(task_id="leaves", python_callable=leave_noise)
    slow >> PythonOperator(task_id="asks_all", python_callable=lambda: None, op_args=["{{ ti.xcom_pull(key='x') }}"])
    PythonOperator(task_id="history", python_callable=lambda: None, op_args=["{{ prev_data_interval_start_success }}"])
    PythonOperator(task_id="keeps", python_callable=lambda: __import__("airflow.models").models.Variable.set("a", "b"))
    PythonOperator(task_id="asks", python_callable=lambda found: None, op_args=["{{ ti.xcom_pull('slow') }}"])
    from airflow.operators.trigger_dagrun import TriggerDagRunOperator
    TriggerDagRunOperator(task_id="triggers", trigger_dag_id="strange")
"""

ORACLE = """
import json, sys
from datetime import datetime
import airflow
if airflow.__version__ < "3":
    import airflow.providers.fab.auth_manager.models
    from airflow.models import DagBag
    from airflow.models.xcom import BaseXCom
    asked = {"execution_date": datetime.fromisoformat(sys.argv[2])}
else:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.xcom import XComModel as BaseXCom
    asked = {"logical_date": datetime.fromisoformat(sys.argv[2])}
from airflow.utils.session import create_session
dag = DagBag(sys.argv[1]).dags[sys.argv[3]]
run = dag.test(**asked)
with create_session() as session:
    states = {}
    for one in run.get_task_instances(session=session):
        states.setdefault(one.task_id, {})[str(one.map_index)] = str(one.state)
    xcoms = {}
    for row in session.execute(BaseXCom.__table__.select()):
        value = row.value.decode() if isinstance(row.value, bytes) else json.dumps(row.value)
        xcoms[f"{row.task_id}[{row.map_index}].{row.key}"] = value
tasks = sorted(dag.tasks, key=lambda task: len(task.get_flat_relative_ids(upstream=True)))
order = [task.task_id for task in tasks if not getattr(task, "inherits_from_empty_operator", False)]
print("RESULT" + json.dumps({"states": states, "xcoms": xcoms, "order": order}))
"""


#: A secrets back end of a team's own, which has an answer to everything.
VAULT = """
from airflow.secrets import BaseSecretsBackend


class Vault(BaseSecretsBackend):
    def get_conn_value(self, conn_id):
        return "postgres://legacy.example/here"

    def get_variable(self, key):
        return "/nowhere/legacy"
"""


def vault(folder: Path) -> dict[str, str]:
    """Settings with which Airflow asks a secrets back end before the environment."""
    config = folder / "home" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "strange_vault.py").write_text(VAULT, encoding="utf-8")
    return {"AIRFLOW__SECRETS__BACKEND": "strange_vault.Vault"}


def environment(folder: Path) -> dict[str, str]:
    """The environment of a process that runs the DAG's tasks, without the estate's own Airflow."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PARITY"))}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "STRANGE_OUT": str(folder),
        "AIRFLOW_VAR_GREETING": "salut",
        # Airflow 3's default makes no intervals of crons.
        "AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": "True",
        "AIRFLOW_CONN_WAREHOUSE": "postgres://somebody:hidden@db.example/here",
    }


def dags_folder(folder: Path) -> Path:
    dags = folder / "dags"
    dags.mkdir(exist_ok=True)
    (dags / "strange.py").write_text(DAG_FILE, encoding="utf-8")
    return dags


def effects(folder: Path) -> list[str]:
    effects_file = folder / "effects"
    return sorted(effects_file.read_text(encoding="utf-8").splitlines()) if effects_file.exists() else []


def airflows_own(
    folder: Path,
    python: Path = AIRFLOW_PYTHON,
    dag_id: str = DAG_ID,
    extra: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """States and XComs as `DAG.test` leaves them, on a database of its own, and the order of the tasks."""
    own = {**environment(folder), **extra} | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'oracle.db'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder(folder)),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    subprocess.run([str(python), str(PROGRAM), "--make-database"], env=own, check=True, capture_output=True)
    command = [str(python), "-c", ORACLE, str(folder / "dags"), END, dag_id]
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT")[2])
    return result
