"""Run by Airflow's Python: takes a DAG run through Airflow's own scheduling decisions, each task in its own process.

Input on stdin: `{"dag", "day", "clear": [[task, index], …]}`: the run of that day is made, or these instances of it
are cleared; then it goes on until nothing is left to schedule. Output: the state of each instance, `task[index]`, as
the last line of stdout.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import pendulum
from airflow import settings
from airflow.configuration import conf
from airflow.models.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import clear_task_instances
from airflow.providers.fab.auth_manager import models as _users  # noqa: F401 - a table that others refer to
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunType

SECONDS = 900


def _dag_run(dag: Any, day: str, session: Any) -> DagRun:
    after = pendulum.from_format(day, "YYYY-MM-DD", tz=dag.timezone).add(days=1, hours=6)
    interval = dag.timetable.infer_manual_data_interval(run_after=after)
    run_id = f"scheduled__{interval.start.isoformat()}"
    known = session.query(DagRun).filter_by(dag_id=dag.dag_id, run_id=run_id).one_or_none()
    if known is None:
        known = dag.create_dagrun(
            run_id=run_id,
            run_type=DagRunType.SCHEDULED,
            execution_date=interval.start,
            data_interval=interval,
            state=DagRunState.RUNNING,
            session=session,
        )
    else:
        known.dag = dag
        known.verify_integrity(session=session)  # as the scheduler does with a DAG that has changed
    session.commit()
    return known


def _start(dag: Any, run_id: str, task_id: str, index: int) -> int:
    child = os.fork()
    if child:
        return child
    settings.engine.dispose(close=False)
    code = 0
    try:
        with create_session() as session:
            run = session.query(DagRun).filter_by(dag_id=dag.dag_id, run_id=run_id).one()
            run.dag = dag
            ti = run.get_task_instance(task_id, session=session, map_index=index)
            ti.task = dag.get_task(task_id)
            ti.state, ti.start_date = TaskInstanceState.RUNNING, pendulum.now("UTC")
            ti.refresh_from_task(ti.task)
            session.merge(ti)
            session.commit()
            ti._run_raw_task(session=session)
    except BaseException as error:
        sys.stdout.write(f"\n{task_id}[{index}] ended with {type(error).__name__}: {error}\n")
        code = 1
    sys.stdout.flush()
    os._exit(code)


def _go_on(dag: Any, run: DagRun, session: Any) -> None:
    until = time.monotonic() + SECONDS
    while run.state == DagRunState.RUNNING and time.monotonic() < until:
        session.expire_all()
        ready, _ = run.update_state(session=session)
        for ti in ready:
            ti.try_number += 1
            ti.state = TaskInstanceState.SCHEDULED
        session.commit()
        places = [
            (ti.task_id, ti.map_index)
            for ti in run.get_task_instances(session=session)
            if ti.state == TaskInstanceState.SCHEDULED
        ]
        session.commit()
        children = [_start(dag, run.run_id, *place) for place in places]
        for child in children:
            os.waitpid(child, 0)
        session.expire_all()


def main() -> None:
    asked = json.load(sys.stdin)
    dag = DagBag(conf.get("core", "dags_folder"), include_examples=False).dags[asked["dag"]]
    with create_session() as session:
        run = _dag_run(dag, asked["day"], session)
        cleared = [[task, index] for task, index in asked.get("clear", ())]
        found = [ti for ti in run.get_task_instances() if [ti.task_id, ti.map_index] in cleared]
        if found:
            clear_task_instances(found, session, dag=dag)
            run.state = DagRunState.RUNNING
            session.commit()
        _go_on(dag, run, session)
        states = {f"{ti.task_id}[{ti.map_index}]": ti.state for ti in run.get_task_instances(session=session)}
    sys.stdout.write("\n" + json.dumps(states) + "\n")


if __name__ == "__main__":
    main()
