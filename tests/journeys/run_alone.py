"""Runs in Airflow's environment: whole DAG runs, task by task in this process, without a scheduler and without Dagster.

Arguments: DAG id and a window's end, again and again: a run by hand is about the last whole window before its date.
"""

from __future__ import annotations

import sys

import pendulum
from airflow.models import DagBag
from airflow.utils.state import DagRunState

bag = DagBag(include_examples=False)
assert not bag.import_errors, bag.import_errors
arguments = iter(sys.argv[1:])
for dag_id, end in zip(arguments, arguments, strict=True):
    run = bag.dags[dag_id].test(execution_date=pendulum.parse(end))
    assert run.state == DagRunState.SUCCESS, (dag_id, end, run.state)
    assert run.data_interval_end == pendulum.parse(end), run.data_interval_end
