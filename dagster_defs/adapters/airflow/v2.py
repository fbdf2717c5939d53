"""Airflow 3.x: the stable REST API v2, and the pages of its UI."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dagster_defs.adapters.airflow.dialect import Dialect, dag_path
from dagster_defs.adapters.http.login import Login
from dagster_defs.adapters.http.question import Reply, rows_of, segment


def _is_current(dag: Mapping[str, Any]) -> bool:
    return dag.get("is_stale") is not True


def _log_text(reply: Reply) -> str:
    """Its lines are events, or texts where the task wrote no events. Raises Unclear."""
    document = reply.document()
    if isinstance(document, Mapping) and all(isinstance(line, str) for line in document.get("content", ())):
        return "\n".join(document["content"])
    return "\n".join(_lines(rows_of(document, "content", reply.what)))


def _lines(events: list[Mapping[str, Any]]) -> Iterator[str]:
    for event in events:
        yield " ".join(str(event[key]) for key in ("timestamp", "level", "event") if event.get(key))
        if event.get("error_detail"):
            yield json.dumps(event["error_detail"])


def _login(login: Login, server: str) -> Login:
    """There is no basic authentication: user and password are exchanged for a token."""
    return replace(login, token_url=f"{server}/auth/token") if login.basic else login


def _page_of_run(dag_id: str, run_id: str) -> str:
    return f"{dag_path(dag_id)}/runs/{segment(run_id)}"


def _page_of_task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_page_of_run(dag_id, run_id)}/tasks/{segment(task_id)}"


V2 = Dialect(
    major=3,
    base="/api/v2",
    health="/monitor/health",
    not_found="detail",
    # A run may have no logical date: a filter on it drops such runs, and sorting puts them where the database likes.
    run_date="run_after",
    only_scheduled={"run_type": "scheduled"},
    schedule="timetable_summary",
    source_id="dag_id",
    logical_date="logical_date",
    datasets="assets",
    dataset_id="asset_id",
    events_by_id=True,
    plain_state={},
    has_run_after=True,
    parked={"awaiting_input": (3, 3)},
    # The end is the one that the task's own process saw, and it tries for minutes to get it to a server that is away.
    lateness=timedelta(minutes=10),
    tells_own_operator=False,
    keeps_versions=True,
    is_current=_is_current,
    log_type="application/json",
    log_text=_log_text,
    login=_login,
    page_of_run=_page_of_run,
    page_of_task=_page_of_task,
)
