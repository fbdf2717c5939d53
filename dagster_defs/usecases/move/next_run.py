"""The next run of a unit after a move, followed to its end: `--wait`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from dagster_defs.adapters.airflow.client import FINISHED, AirflowReader
from dagster_defs.adapters.dagster.api import ENDED, LIVE, DagsterReader
from dagster_defs.errors import AirflowUnreachable, DagsterUnreachable
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.moves import Plan
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.live import LiveReader

PAUSE = 1.0  # seconds between two looks


def follow_next(
    settings: Settings, done: Plan, since: datetime, say: Callable[[str], None]
) -> dict[str, str]:
    """Waits for the first run of the unit that begins after `since`, and for its end, however long that takes.

    The run is Airflow's task; after a retirement the DAG's run in Dagster, after `shadow` the candidate's. A server
    that does not answer meanwhile is asked again. `state` is Airflow's, or Dagster's in small letters.
    """
    world, unit = LiveReader.of(settings), done.unit
    say(f"{unit}: waiting for its next run")
    last = ""
    while True:
        try:
            run, state, said = _look(world, done, since)
        except (AirflowUnreachable, DagsterUnreachable) as error:
            run, state, said = "", "", str(error)
        if said and said != last:
            say(f"{unit}: {said}")
            last = said
        if run and state:
            return {"unit": str(unit), "run": run, "state": state}
        time.sleep(PAUSE)


def _look(world: LiveReader, done: Plan, since: datetime) -> tuple[str, str, str]:
    """The run, its state if it has ended, and what to say."""
    if done.to is Stage.RETIRED:
        return _in_dagster(world.dagster, {tags.DAG: done.unit.dag_id}, since)
    if done.from_ is Stage.OBSERVED:
        wanted = {tags.UNIT: str(done.unit), tags.SIDE: Side.CANDIDATE.value}
        return _in_dagster(world.dagster, wanted, since)
    return _in_airflow(world.airflow, done.unit, since)


def _in_airflow(airflow: AirflowReader, unit: Unit, since: datetime) -> tuple[str, str, str]:
    started = sorted(
        airflow.started_task_instances(unit, since),
        key=lambda task: task.start.timestamp() if task.start else 0,
    )
    if not started:
        return "", "", ""
    task = started[0]
    said = f"Airflow's {task.run_id}: {task.state}, try {task.try_number}"
    return task.run_id, task.state if task.state in FINISHED else "", said


def _in_dagster(dagster: DagsterReader, wanted: dict[str, str], since: datetime) -> tuple[str, str, str]:
    runs = dagster.runs(wanted, (*LIVE, *ENDED), since=since)
    if not runs:
        return "", "", ""
    run = runs[-1]
    said = f"Dagster run {dagster.run_address(run.run_id)}: {run.status.lower()}"
    return run.run_id, run.status.lower() if run.status in ENDED else "", said
