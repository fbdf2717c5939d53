"""Runs in Airflow's environment, 2.11 or 3.3: its database with the DAGs of a folder, and runs and tasks as told.

    python served_rows.py made.json

The file has `variables`, and `runs`, each with its `tasks`, each with its `xcoms`. Airflow's own models write them, as
its scheduler and its tasks would; none of it is run.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow import __version__
from airflow.cli.cli_parser import get_parser

Json = Mapping[str, Any]
IS_2 = __version__.startswith("2.")


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def set_up() -> None:
    if IS_2:
        runpy.run_path(str(Path(__file__).parents[2] / "demo" / "airflow_set_up.py"))
        return
    arguments = get_parser().parse_args(["db", "migrate"])
    arguments.func(arguments)


def served(session: Any) -> Mapping[str, Any]:
    """The DAGs of the folder, as the scheduler has them."""
    if IS_2:
        from airflow.models.dagbag import DagBag

        bag = DagBag(include_examples=False)
        bag.sync_to_db(session=session)
        session.commit()
        return dict(bag.dags)
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.dagbag import DBDagBag

    manager = DagBundlesManager()
    manager.sync_bundles_to_db(session=session)
    session.commit()
    [bundle] = manager.get_all_dag_bundles()
    bag = BundleDagBag(bundle.path, bundle_name=bundle.name, bundle_path=bundle.path)
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, bundle.name, None, session=session)
    session.commit()
    return {dag_id: DBDagBag().get_latest_version_of_dag(dag_id, session=session) for dag_id in bag.dags}


def make_run(dag: Any, run: Json, session: Any) -> Any:
    from airflow.utils.types import DagRunType

    start, end = moment(run.get("start")), moment(run.get("end"))
    interval = (start, end) if start and end else None
    asked = {
        "run_id": run["run_id"],
        "run_type": DagRunType(run.get("run_type", "scheduled")),
        "state": run.get("state", "success"),
        "conf": run.get("conf") or {},
        "data_interval": interval,
        "session": session,
    }
    if IS_2:
        return dag.create_dagrun(execution_date=moment(run["logical_date"]), **asked)
    from airflow.utils.types import DagRunTriggeredByType

    key = run.get("partition_key")
    made = dag.create_dagrun(
        logical_date=moment(run["logical_date"]),
        run_after=moment(run.get("run_after") or run.get("end") or run["logical_date"]),
        triggered_by=DagRunTriggeredByType.TEST,
        partition_key=key if dag.timetable.partitioned else None,
        **asked,
    )
    made.partition_key = key  # of a DAG that had another timetable when it ran, too
    made.bundle_version = run.get("bundle_version")
    return made


def make_task(instance: Any, task: Json, session: Any) -> None:
    """As its last try left it; `before`: its earlier tries, which are history."""
    for number, earlier in enumerate(task.get("before", ()), start=1):
        settle(instance, earlier, number)
        session.flush()
        if IS_2:
            from airflow.models.taskinstancehistory import TaskInstanceHistory

            TaskInstanceHistory.record_ti(instance, session=session)
        else:
            instance.prepare_db_for_next_try(session)
        session.flush()
    settle(instance, task, len(task.get("before", ())) + 1)
    session.flush()


def settle(instance: Any, task: Json, number: int) -> None:
    instance.state = task["state"]
    instance.try_number = number
    instance.start_date, instance.end_date = moment(task.get("start")), moment(task.get("end"))
    instance.operator = task.get("operator", "BashOperator")
    instance.max_tries = task.get("max_tries", 2)
    if instance.start_date and instance.end_date:
        instance.duration = (instance.end_date - instance.start_date).total_seconds()


def make_xcom(run: Any, task: Json, xcom: Json, session: Any) -> None:
    if IS_2:
        from airflow.models.xcom import XCom as XComModel

        as_it_is = {}
    else:
        from airflow.models.xcom import XComModel

        as_it_is = {"serialize": False}  # which the task's own process has done
    place = {"dag_id": run.dag_id, "task_id": task["task_id"], "run_id": run.run_id}
    index = task.get("map_index", -1)
    XComModel.set(key=xcom["key"], value=xcom["value"], map_index=index, session=session, **place, **as_it_is)
    session.flush()
    columns = {**place, "key": xcom["key"], "map_index": index}
    session.query(XComModel).filter_by(**columns).update({"timestamp": moment(xcom["timestamp"])})


def make_fields(instance: Any, fields: Json, session: Any) -> None:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields

    session.merge(RenderedTaskInstanceFields(instance, rendered_fields=dict(fields), render_templates=False))


def beat(session: Any) -> None:
    """As a scheduler that is alive."""
    from airflow.jobs.job import Job

    now = datetime.now(timezone.utc)
    session.add(
        Job(job_type="SchedulerJob", state="running", hostname="here", start_date=now, latest_heartbeat=now)
    )


def main(file: str) -> None:
    set_up()
    from airflow.models import Variable
    from airflow.utils.session import create_session

    made = json.loads(Path(file).read_text())
    with create_session() as session:
        beat(session)
        session.add_all(Variable(key=key, val=value) for key, value in made["variables"].items())
        dags = served(session)
        for run in made["runs"]:
            if run["dag_id"] not in dags:
                continue
            dag = dags[run["dag_id"]]
            dag_run = make_run(dag, run, session)
            session.commit()
            instances = {
                (one.task_id, one.map_index): one for one in dag_run.get_task_instances(session=session)
            }
            for task in run.get("tasks", ()):
                instance = instances[task["task_id"], task.get("map_index", -1)]
                instance.task = dag.get_task(task["task_id"])
                make_task(instance, task, session)
                for xcom in task.get("xcoms", ()):
                    make_xcom(dag_run, task, xcom, session)
                if task.get("rendered"):
                    make_fields(instance, task["rendered"], session)
            session.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
