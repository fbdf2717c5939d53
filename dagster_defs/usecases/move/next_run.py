"""`--wait`: follows a unit's next run after a move to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from dagster_defs.adapters.airflow.client import FINISHED, AirflowReader
from dagster_defs.adapters.dagster.api import ENDED, LIVE, DagsterReader
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.errors import AirflowFault, DagsterFault
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.moves import Planned
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.live import LiveReader

PAUSE = 1.0  # seconds between two polls


def follow_next(
    settings: Settings, done: Planned, since: datetime, say: Callable[[str], None]
) -> dict[str, str]:
    """Wait for the first run of the unit that begins after `since`, and for its end, however long that takes.

    The run is Airflow's task; after a retirement it is the DAG's run in Dagster, after `shadow` the candidate run. A
    server that does not answer is asked again. `state` is Airflow's, or Dagster's in lower case.
    """
    unit = done.unit
    world = LiveReader.of(settings_of_dag(settings, unit.dag_id))
    say(f"{unit}: waiting for its next run")
    last = ""
    while True:
        try:
            run, state, message = _look(world, done, since)
        except (AirflowFault, DagsterFault) as error:
            run, state, message = "", "", str(error)
        if message and message != last:
            say(f"{unit}: {message}")
            last = message
        if run and state:
            return {"unit": str(unit), "run": run, "state": state}
        time.sleep(PAUSE)


def _look(world: LiveReader, done: Planned, since: datetime) -> tuple[str, str, str]:
    """The run, its state if it has ended, and a progress message."""
    if done.to is Stage.RETIRED:
        return _in_dagster(world.dagster, {tags.DAG: done.unit.dag_id}, since)
    if done.from_ is Stage.OBSERVED:
        run_tags = {tags.UNIT: str(done.unit), tags.SIDE: Side.CANDIDATE.value}
        return _in_dagster(world.dagster, run_tags, since)
    return _in_airflow(world.airflow, done.unit, since)


def _in_airflow(airflow: AirflowReader, unit: Unit, since: datetime) -> tuple[str, str, str]:
    started = sorted(
        airflow.started_task_instances(unit, since),
        key=lambda task: task.start.timestamp() if task.start else 0,
    )
    if not started:
        return "", "", ""
    task = started[0]
    message = f"Airflow's {task.run_id}: {task.state}, try {task.try_number}"
    return task.run_id, task.state if task.state in FINISHED else "", message


def _in_dagster(dagster: DagsterReader, run_tags: dict[str, str], since: datetime) -> tuple[str, str, str]:
    runs = dagster.runs(run_tags, (*LIVE, *ENDED), since=since)
    if not runs:
        return "", "", ""
    run = runs[-1]
    message = f"Dagster run {dagster.run_address(run.run_id)}: {run.status.lower()}"
    return run.run_id, run.status.lower() if run.status in ENDED else "", message
