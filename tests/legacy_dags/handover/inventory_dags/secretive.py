"""A file that reads Variables, Connections and the process's environment while it is parsed."""

from __future__ import annotations

import base64
import os
import shlex
import urllib.parse

import pendulum
from airflow import DAG
from airflow.models import Variable

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk.bases.hook import BaseHook
except ImportError:
    from airflow.hooks.base import BaseHook
    from airflow.operators.bash import BashOperator

password = BaseHook.get_connection("warehouse").password
with DAG(dag_id="secrets", schedule=None, start_date=pendulum.datetime(2024, 1, 1)) as dag:
    BashOperator(task_id="read", bash_command=f"dbt run --target {Variable.get('target')}")
    BashOperator(task_id="missing", bash_command=f"dbt run --target {Variable.get('nowhere')}")
    BashOperator(task_id="defaulted", bash_command="dbt run --target " + Variable.get("elsewhere", "dev"))
    BashOperator(
        task_id="json", bash_command="echo " + Variable.get("settings", deserialize_json=True)["inner"][0]
    )
    BashOperator(task_id="connection", bash_command=f"PGPASSWORD={password} psql")
    BashOperator(task_id="unknown_connection", bash_command=f"echo {BaseHook.get_connection('nowhere').host}")
    BashOperator(task_id="inherited", bash_command="dbt run", env={**os.environ, "DAY": "{{ ds }}"})
    phrase = Variable.get("phrase")
    BashOperator(task_id="in_a_url", bash_command=f"psql postgresql://me:{phrase}@host/db")
    BashOperator(task_id="quoted_plus", bash_command="echo " + urllib.parse.quote_plus(phrase))
    BashOperator(task_id="quoted_path", bash_command="echo " + urllib.parse.quote(phrase))
    BashOperator(task_id="quoted_shell", bash_command="echo " + shlex.quote(phrase))
    BashOperator(task_id="encoded", bash_command="echo " + base64.b64encode(phrase.encode()).decode())
    BashOperator(task_id="token", bash_command=f"curl -H {os.environ.get('UPSTREAM_TOKEN', '')}")
    BashOperator(
        task_id="picked", bash_command="dbt run", env={"FROM_PROCESS": os.environ.get("FROM_PROCESS", "")}
    )
    BashOperator(
        task_id="named", bash_command="dbt run", env={"DB_PASSWORD": "hush-in-the-file", "DAY": "{{ ds }}"}
    )
    BashOperator(
        task_id="rendered",
        bash_command="echo {{ var.value.target }} {{ var.json.settings.inner }} {{ conn.warehouse }}",
    )
