"""Run by Airflow's Python: takes a task instance through Airflow's own states, with Airflow's database.

Input on stdin: `{"task": …, "day": …, "do": [action, …]}`; `"dag"`, if it is not `nightly`, and `"kill_seconds"`, if a
run that is told to end is not waited for as long as in earnest. Actions: `run` a try as a worker does, `trigger` what a
deferred task waits for and hand over its event, `lose` the try as the scheduler does with a worker that has vanished,
`clear` the task, `clear_all` with the tasks before it, `fail_deferred` as somebody who marks a deferred task as failed,
`time_out` as the scheduler does with one that has waited for too long, `schedule` what the scheduler finds to do in the
run, without running it. Output: the state after each action, as the
last line of stdout.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

import pendulum
from airflow.configuration import conf
from airflow.exceptions import AirflowTaskTerminated, AirflowTaskTimeout
from airflow.models.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.trigger import Trigger
from airflow.providers.fab.auth_manager import models as _users  # noqa: F401 - a table that others refer to
from airflow.utils.module_loading import import_string
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunType
from handover.facts import facts


def dag_run(dag: Any, day: str, session: Any) -> DagRun:
    after = pendulum.from_format(day, "YYYY-MM-DD", tz=dag.timezone).add(days=1, hours=6)
    interval = dag.timetable.infer_manual_data_interval(run_after=after)
    run_id = f"scheduled__{interval.start.isoformat()}"
    known = session.query(DagRun).filter_by(dag_id=dag.dag_id, run_id=run_id).one_or_none()
    if known:
        known.dag = dag
        return known
    made = dag.create_dagrun(
        run_id=run_id,
        run_type=DagRunType.SCHEDULED,
        execution_date=interval.start,
        data_interval=interval,
        state=DagRunState.RUNNING,
        session=session,
    )
    _end_before(made, session)
    return made


def _end_before(run: DagRun, session: Any) -> None:
    before = run.get_task_instance("before", session=session)
    before.state = TaskInstanceState.SUCCESS
    before.start_date = before.end_date = pendulum.now("UTC")
    session.commit()


def act(action: str, ti: TaskInstance, run: DagRun, session: Any) -> None:
    if action == "run":
        if not ti.next_method:
            ti.try_number += 1  # the scheduler does, as it schedules a try
            ti.start_date = pendulum.now("UTC")
        ti.state = TaskInstanceState.RUNNING
        session.merge(ti)
        session.commit()
        try:
            ti._run_raw_task(session=session)
        except (Exception, AirflowTaskTerminated, AirflowTaskTimeout) as error:
            sys.stdout.write(f"\nended with {type(error).__name__}: {error}\n")
    elif action == "trigger":
        row = session.query(Trigger).filter_by(id=ti.trigger_id).one()
        event = asyncio.run(_first_event(import_string(row.classpath)(**row.kwargs)))
        Trigger.submit_event(row.id, event, session=session)
        session.commit()
    elif action == "lose":
        ti.handle_failure("the worker has vanished", session=session)
    elif action == "fail_deferred":
        row = session.query(Trigger).filter_by(id=ti.trigger_id).one()
        trigger = import_string(row.classpath)(**row.kwargs)
        trigger.task_instance = ti
        ti.set_state(TaskInstanceState.FAILED, session=session)
        session.commit()
        asyncio.run(_taken_away(trigger))
    elif action == "time_out":
        ti.next_method, ti.next_kwargs = "__fail__", {"error": "Trigger/execution timeout"}
        ti.state, ti.trigger_id = TaskInstanceState.SCHEDULED, None
        session.merge(ti)
        session.commit()
    elif action == "schedule":
        run.update_state(session=session)
        session.commit()
    elif action in ("clear", "clear_all"):
        cleared = [ti] if action == "clear" else [ti, run.get_task_instance("before", session=session)]
        clear_task_instances(cleared, session, dag=run.dag)
        session.commit()
        if action == "clear_all":
            _end_before(run, session)


async def _first_event(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    return None


async def _taken_away(trigger: Any) -> None:
    """As the triggerer does with a trigger that no task waits for any more."""
    waiting = asyncio.create_task(_first_event(trigger))
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


def main() -> None:
    asked = json.load(sys.stdin)
    facts.KILL_SECONDS = asked.get("kill_seconds", facts.KILL_SECONDS)
    dag = DagBag(conf.get("core", "dags_folder"), include_examples=False).dags[asked.get("dag", "nightly")]
    states = []
    with create_session() as session:
        run = dag_run(dag, asked["day"], session)
        for action in asked["do"]:
            session.expire_all()
            ti = run.get_task_instance(asked["task"], session=session)
            ti.task = dag.get_task(asked["task"])
            act(action, ti, run, session)
            session.expire_all()
            states.append(run.get_task_instance(asked["task"], session=session).state)
            sys.stdout.write(f"\nafter {action}: {states[-1]}\n")
    sys.stdout.write("\n" + json.dumps(states) + "\n")


if __name__ == "__main__":
    main()
