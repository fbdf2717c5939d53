"""What differs between the versions of Airflow's stable REST API, as data. Everything else is read alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dagster_defs.adapters.http.login import Login
from dagster_defs.adapters.http.question import Reply, segment


@dataclass(frozen=True)
class Dialect:
    """`major`: of the Airflows that speak it. `base`: what its paths begin with. `not_found`: a key that its own 404
    has, and nobody else's.

    `run_date`: the date that every DAG run has, by which runs are sorted and filtered. `only_scheduled`: what keeps a
    list of runs to those that the schedule made, where the server can do that. `schedule`: the key of a DAG's schedule.
    `source_id`: the key of what its source is asked for by. `parked`: states in which a task waits for somebody outside
    Airflow, by the first version that has them.

    `logical_date`: what a filter on that date is named by. `datasets`: the path and the key of datasets or assets;
    `dataset_id`: what one is named by, and with `events_by_id` in a new event, too, which else has its address.
    `plain_state`: what a new state of a task is sent with, so that it is set at once. `has_run_after`: whether a new
    run says when it may start.

    `lateness`: how long after its end a try may appear in the lists.
    `tells_own_operator`: whether an instance's operator is the class that executed it, and not that of another version
    of the DAG. `keeps_versions`: whether a DAG run may keep to a version of its DAG's file.
    """

    major: int
    base: str
    health: str
    not_found: str
    run_date: str
    only_scheduled: Mapping[str, str]
    schedule: str
    source_id: str
    logical_date: str
    datasets: str
    dataset_id: str
    events_by_id: bool
    plain_state: Mapping[str, Any]
    has_run_after: bool
    parked: Mapping[str, tuple[int, int]]
    lateness: timedelta
    tells_own_operator: bool
    keeps_versions: bool
    is_current: Callable[[Mapping[str, Any]], bool]
    log_type: str
    log_text: Callable[[Reply], str]
    login: Callable[[Login, str], Login]
    page_of_run: Callable[[str, str], str]
    page_of_task: Callable[[str, str, str], str]


def dag_path(dag_id: str) -> str:
    return f"/dags/{segment(dag_id)}"


def run_path(dag_id: str, run_id: str) -> str:
    return f"{dag_path(dag_id)}/dagRuns/{segment(run_id)}"
