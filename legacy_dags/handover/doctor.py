"""A DAG with which `parity doctor` looks from where Airflow's tasks run: what a worker reads of the marks, whether it
reaches Dagster, which version it has. It changes nothing.

A file in the DAGs folder deploys it. Airflow takes a file for one with DAGs only if both words are in it:

    '''The airflow DAG of parity doctor.'''
    from handover.doctor import doctor_dag

    dag = doctor_dag()
"""

from __future__ import annotations

import platform
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from airflow import DAG, __version__
from airflow.exceptions import AirflowException

from handover.facts import facts
from handover.owners import FILE, OwnerUnknown, answer_of, channel, marks_of, proxied_state
from handover.place import DEFAULT_CONNECTION, find_place
from handover.version import VERSION

SCHEMA = "parity/doctor-look/1"
DAG_ID = "parity_doctor"
_SECONDS = 10.0  # that Dagster has for its answer
_QUESTION = {"query": "{ version }"}


class Look(facts.BaseOperator):  # type: ignore[misc]  # Airflow is not installed here
    """Leaves in XCom what the worker that executes it finds. `conn_id`: as for `install_proxies`."""

    def __init__(self, *, conn_id: str = DEFAULT_CONNECTION, **settings: Any) -> None:
        self.conn_id = conn_id
        super().__init__(**settings)

    def execute(self, context: Any) -> dict[str, Any]:
        conf = context["dag_run"].conf or {}
        return look(self.conn_id, [(str(dag_id), str(task_id)) for dag_id, task_id in conf.get("units", ())])


def doctor_dag(dag_id: str = DAG_ID, *, conn_id: str = DEFAULT_CONNECTION, queues: Sequence[str] = ()) -> DAG:
    """A DAG that only `parity doctor --look`, or a person, triggers. `queues`: of workers that differ; there is a task
    for each of them, and one for the default queue if none is named."""
    dag = DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2020, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        is_paused_upon_creation=False,
        description="Looks for `parity doctor` from where Airflow's tasks run; changes nothing.",
        tags=["parity"],
    )
    with dag:
        for queue in queues:
            Look(task_id=f"look__{queue}", conn_id=conn_id, queue=queue, retries=0)
        if not queues:
            Look(task_id="look", conn_id=conn_id, retries=0)
    return dag


def look(conn_id: str, units: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """As JSON. `units`: whose owners are asked for, in the way in which their tasks ask."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "airflow": __version__,
        "python": platform.python_version(),
        "host": socket.gethostname(),
        "at": datetime.now(timezone.utc).isoformat(),
        "channel": channel(),
        "folder": str(proxied_state()) if channel() == FILE else "",
        "owners": _owners(units, conn_id),
        "dagster": _dagster(conn_id),
    }


def _owners(units: Iterable[tuple[str, str]], conn_id: str) -> list[dict[str, Any]]:
    """Each DAG's marks are read once, as a task reads them."""
    by_dag: dict[str, list[str]] = {}
    for dag_id, task_id in units:
        by_dag.setdefault(dag_id, []).append(task_id)
    return [answer for dag_id, task_ids in by_dag.items() for answer in _owners_in(dag_id, task_ids, conn_id)]


def _owners_in(dag_id: str, task_ids: Sequence[str], conn_id: str) -> list[dict[str, Any]]:
    try:
        marks = marks_of(dag_id, conn_id, _SECONDS)
    except OwnerUnknown as error:
        return [{"dag": dag_id, "task": task_id, "problem": str(error)} for task_id in task_ids]
    return [_owner(marks, dag_id, task_id) for task_id in task_ids]


def _owner(marks: Any, dag_id: str, task_id: str) -> dict[str, Any]:
    try:
        answer = answer_of(marks, dag_id, task_id)
    except OwnerUnknown as error:
        return {"dag": dag_id, "task": task_id, "problem": str(error)}
    return {"dag": dag_id, "task": task_id, "proxied": answer.proxied, "position": answer.position}


def _dagster(conn_id: str) -> Mapping[str, Any]:
    """`ahead`: how many seconds Dagster's clock goes before this worker's, within `give` seconds."""
    try:
        place = find_place(conn_id)
        began, asked = time.time(), time.monotonic()
        with place.session() as session:
            answer = session.post(
                f"{place.url}/graphql", json=_QUESTION, timeout=_SECONDS, allow_redirects=False
            )
        took = time.monotonic() - asked
    except (AirflowException, requests.RequestException, OSError, ValueError) as error:
        return {"problem": " ".join(str(error).split())[:300]}
    if answer.status_code != 200 or not answer.content.startswith(b"{"):
        start = " ".join(answer.text[:120].split())
        return {"url": place.url, "problem": f"{place.url} answered {answer.status_code}: {start}"}
    found: dict[str, Any] = {"url": place.url, "problem": ""}
    try:
        # A server writes whole seconds.
        at = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5
        found.update(ahead=round(at - began - took / 2, 2), give=round(0.5 + took / 2, 2))
    except (KeyError, TypeError, ValueError):
        pass
    return found
