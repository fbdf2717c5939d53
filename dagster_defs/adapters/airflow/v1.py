"""Airflow 2.x: the stable REST API v1, and the pages of its UI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from dagster_defs.adapters.airflow.dialect import Dialect, dag_path
from dagster_defs.adapters.http.login import Login
from dagster_defs.adapters.http.question import Reply


def _is_current(dag: Mapping[str, Any]) -> bool:
    return dag.get("is_active") is not False


def _log_text(reply: Reply) -> str:
    return reply.body.decode("utf-8", "replace")


def _login(login: Login, _: str) -> Login:
    return login


def _page_of_run(dag_id: str, run_id: str) -> str:
    return f"{dag_path(dag_id)}/grid?{urlencode({'dag_run_id': run_id}, quote_via=quote)}"


def _page_of_task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_page_of_run(dag_id, run_id)}&{urlencode({'task_id': task_id}, quote_via=quote)}"


V1 = Dialect(
    major=2,
    base="/api/v1",
    health="/health",
    not_found="title",
    run_date="execution_date",
    only_scheduled={},
    schedule="schedule_interval",
    source_id="file_token",
    logical_date="execution_date",
    datasets="datasets",
    dataset_id="dataset_id",
    events_by_id=False,
    plain_state={"dry_run": False},
    has_run_after=False,
    parked={},
    lateness=timedelta(minutes=2),
    tells_own_operator=True,
    keeps_versions=False,
    is_current=_is_current,
    log_type="text/plain",
    log_text=_log_text,
    login=_login,
    page_of_run=_page_of_run,
    page_of_task=_page_of_task,
)
