"""Runs in the environment of Airflow 2 or 3: whole DAG runs, task by task in this process, without a scheduler and
without Dagster.

Arguments: DAG id, a window's start and its end, again and again. Each run is as the scheduler's of that window.
"""

from __future__ import annotations

import sys

import pendulum
from airflow.timetables.base import DataInterval
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.utils.state import DagRunState

try:
    from airflow.dag_processing.dagbag import DagBag

    DATE = "logical_date"
except ImportError:
    from airflow.models import DagBag

    DATE = "execution_date"

bag = DagBag()
assert not bag.import_errors, bag.import_errors
arguments = iter(sys.argv[1:])
for dag_id, start, end in zip(arguments, arguments, arguments, strict=True):
    dag = bag.dags[dag_id]
    window = DataInterval(pendulum.parse(start), pendulum.parse(end))
    # Airflow takes a run that is made like this for one by hand, and asks the timetable for its interval.
    CronDataIntervalTimetable.infer_manual_data_interval = lambda self, *, run_after, window=window: window
    run = dag.test(**{DATE: window.start})
    assert run.state == DagRunState.SUCCESS, (dag_id, window, run.state)
    assert (run.data_interval_start, run.data_interval_end) == tuple(window), run
    assert {task.state for task in run.get_task_instances()} == {"success"}, (dag_id, window)
