"""A real run of a DAG without a clock: what Airflow's REST API says of it is enough to render what Airflow renders."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.airflow.rows import DagRun
from dagster_defs.windows import EventKind, EventSchedule, Occasion, PartitionVars, VariableTemplate
from tests.support.estate import AIRFLOW_PYTHON, foreign_environment
from tests.support.strange_dag import PROGRAM

pytestmark = pytest.mark.airflow

TEXTS = (
    "{{ ds }} {{ ds_nodash }} {{ ts }} {{ ts_nodash }} {{ ts_nodash_with_tz }}",
    "{{ yesterday_ds }} {{ yesterday_ds_nodash }} {{ tomorrow_ds }} {{ tomorrow_ds_nodash }}",
    "{{ data_interval_start }} {{ data_interval_end }} {{ logical_date }}",
    "{{ run_id }} {{ dag_run.run_id }} {{ ti.run_id }} {{ dag_run.run_type }} {{ task_instance_key_str }}",
    "{{ dag_run.logical_date }} {{ dag_run.data_interval_start }} {{ dag_run.data_interval_end }}",
    "{{ dag_run.conf }} {{ dag_run.conf['days'] + 1 }} {{ dag_run.conf.get('none', ds) }} {{ dag_run.conf.on['1'] }}",
    "{{ dag.dag_id }} {{ dag.timezone.name }} {{ task.task_id }}",
    "{% for region in dag_run.conf.regions %}{{ region }},{% endfor %}",
)  # fmt: skip
CONF = {"days": 3, "on": {"1": [None, "x"]}, "regions": ["north", "süd"]}
ORACLE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pendulum
from airflow import DAG
from airflow.models import DagModel
from airflow.operators.bash import BashOperator
from airflow.api_connexion.schemas.dag_run_schema import dagrun_schema
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
texts, conf = json.loads(sys.argv[1]), json.loads(sys.argv[2])
with DAG("asked", schedule=None, start_date=pendulum.datetime(2024, 1, 1, tz="America/New_York")) as dag:
    task = BashOperator(task_id="build", bash_command="true")
at = pendulum.datetime(2024, 3, 10, 3, 30, 15, 123456)
with create_session() as session:
    session.add(DagModel(dag_id="asked", fileloc="x"))
    session.flush()
    run = dag.create_dagrun(state=DagRunState.RUNNING, execution_date=at, run_id=f"manual__{at.isoformat()}",
                            conf=conf, external_trigger=True, session=session,
                            data_interval=dag.timetable.infer_manual_data_interval(run_after=at))
    [ti] = run.get_task_instances(session=session)
    ti.task = task
    context = ti.get_template_context(session=session)
    rendered = [task.render_template(text, context) for text in texts]
    row = dagrun_schema.dump(run)
print("RESULT" + json.dumps({"row": row, "rendered": rendered}, default=str))
"""


@pytest.fixture(scope="module")
def airflows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("occasion")
    own = foreign_environment() | {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    command = [str(AIRFLOW_PYTHON), str(PROGRAM), "--make-database"]
    subprocess.run(command, env=own, check=True, capture_output=True, timeout=300)
    command = [str(AIRFLOW_PYTHON), "-c", ORACLE, json.dumps(TEXTS), json.dumps(CONF)]
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    document: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT")[2])
    return document


def test_a_run_is_rendered_from_what_airflow_says_of_it(airflows: dict[str, Any]) -> None:
    """Every name that a template of such a unit may use has Airflow's own value, microseconds and conf included."""
    occasion = DagRun.parse(airflows["row"]).occasion
    assert occasion is not None
    assert occasion.conf == CONF
    assert Occasion.from_json(json.loads(json.dumps(occasion.as_json()))) == occasion

    schedule = EventSchedule(EventKind.MANUAL, "America/New_York")
    variables = [VariableTemplate(str(number), text) for number, text in enumerate(TEXTS)]
    rendered = PartitionVars(variables, schedule, "asked", "build").for_window(occasion)

    assert list(rendered.values()) == airflows["rendered"]
