"""Run by the Python of Airflow 3: takes tasks with switches through Airflow's own states, in one process.

Input on stdin: `{story: {"dag", "day", "env", "steps": [[action, task], …]}}`. Each story has a folder of marks of its
own, and changes this process's environment by `env`. Actions: `mark`, `unmark`, `spoil`, which makes the DAG's marks
unreadable, `lose`, after which there is nothing, and `set_up`, which says that Variables are the place; `away`, from
which on the database fails whoever reads a Variable's value; `run`, a try as
Airflow's own `DAG.test` runs it, against its execution API and with its trigger in line; `clear`; and `fail`, after
which the next `run` is a retry. Output: what Airflow has of the instance after each `run`, by story, as the last line
of stdout.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import yaml
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dagrun import DagRun, get_or_create_dagrun
from airflow.models.taskinstance import clear_task_instances
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.sdk.definitions.dag import _run_task
from airflow.secrets.metastore import MetastoreBackend
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy.exc import OperationalError
from told_by_dagster import InDagster  # type: ignore[import-not-found]  # beside this program

NOTED = Path(os.environ["FOLDER"]) / "noted"


def _away(*_: Any, **__: Any) -> str:
    raise OperationalError("select", {}, Exception("server closed the connection unexpectedly"))


def _change_marks(action: str, dag_id: str, task_id: str) -> None:
    folder = Path(os.environ["PARITY_PROXIED_STATE"])
    name, file = f"parity_marks__{dag_id}", folder / f"{dag_id}.yaml"
    is_variable = os.environ.get("PARITY_CHANNEL") == "variable"
    dagster = InDagster(dag_id) if os.environ.get("PARITY_CHANNEL") == "dagster" else None

    def write(text: str) -> None:
        if dagster is not None:
            dagster.write(text)
        elif is_variable:
            Variable.set(name, text)
        else:
            folder.mkdir(exist_ok=True)
            file.write_text(text)

    if action == "away":
        MetastoreBackend.get_variable = _away
    elif action == "spoil":
        write("tasks: [")
    elif action == "set_up" and dagster is not None:
        dagster.set_up()
    elif action == "set_up":
        Variable.set("parity_marks", "here")
    elif action == "lose" and dagster is not None:
        dagster.lose()
    elif action == "lose":
        shutil.rmtree(folder, ignore_errors=True)
    else:
        in_file = file.read_text() if file.exists() else ""
        there = dagster.read() if dagster is not None else Variable.get(name, "") if is_variable else in_file
        known = yaml.safe_load(there) or {"tasks": [], "positions": {}}
        tasks = [each for each in known["tasks"] if each["id"] != task_id]
        known["tasks"] = [*tasks, {"id": task_id, "proxied": action == "mark"}]
        known["positions"][task_id] = known["positions"].get(task_id, 16) + 1
        write(yaml.safe_dump(known))


def _dags() -> dict[str, Any]:
    """Parsed as the dag processor does it, and known to Airflow's database."""
    with create_session() as session:
        manager = DagBundlesManager()
        manager.sync_bundles_to_db(session=session)
    [bundle] = [each for each in manager.get_all_dag_bundles() if each.name == "dags-folder"]
    bundle.initialize()
    bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, bundle.name, bundle.version)
    return dict(bag.dags)


def _dag_run(dag: Any, day: str, session: Any) -> DagRun:
    start = pendulum.from_format(f"{day} 06", "YYYY-MM-DD HH", tz="America/New_York")
    run: DagRun = get_or_create_dagrun(
        dag=DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)),
        start_date=start,
        logical_date=start,
        data_interval=(start, start.add(days=1)),
        run_after=start.add(days=1),
        run_id=f"manual__{day}",
        session=session,
        conf={},
        triggered_by=DagRunTriggeredByType.TEST,
        triggering_user_name="nobody",
    )
    return run


def _told(task: Any, ti: Any, session: Any) -> dict[str, Any]:
    of = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    rows = session.query(XComModel).filter_by(**of)
    noted = NOTED.read_text().splitlines() if NOTED.exists() else []
    NOTED.unlink(missing_ok=True)
    return {
        "state": ti.state,
        "operator": type(task).__name__,
        "xcoms": {row.key: XComModel.deserialize_value(row) for row in rows},
        "noted": noted,
        "doc": task.doc_md,
    }


def _steps(dag: Any, day: str, steps: list[list[str]]) -> Iterator[dict[str, Any]]:
    with create_session() as session:
        run = _dag_run(dag, day, session)
        session.commit()
        for action, task_id in steps:
            if action in ("mark", "unmark", "spoil", "lose", "set_up", "away"):
                _change_marks(action, dag.dag_id, task_id)
                continue
            session.expire_all()
            ti = next(one for one in run.get_task_instances(session=session) if one.task_id == task_id)
            if action == "clear":
                clear_task_instances([ti], session)
            elif action == "fail":
                ti.state = "up_for_retry"
            else:
                ti.try_number += 1
                ti.state = "scheduled"
            session.commit()
            if action == "run":
                _run_task(ti=ti, task=dag.get_task(task_id), run_triggerer=True)
                session.expire_all()
                yield _told(dag.get_task(task_id), ti, session)


def main() -> None:
    stories = json.load(sys.stdin)
    answers, own = {}, dict(os.environ)
    with create_session() as session:
        session.query(Variable).delete()
    read = MetastoreBackend.get_variable
    for name, story in stories.items():
        folder = Path(own["FOLDER"]) / name
        folder.mkdir()
        (folder / ".parity-marks").touch()
        for file, text in story.get("files", {}).items():
            (folder / file).write_text(text)
        os.environ.update(PARITY_PROXIED_STATE=str(folder), **story.get("env", {}))
        # A DAG file that enrols nothing reads its marks when it is parsed.
        dag = _dags()[story["dag"]]
        told = list(_steps(dag, story["day"], story["steps"]))
        answers[name] = {"told": told, "tags": sorted(dag.tags)}
        sys.stdout.write(f"\n{name}: {answers[name]}\n")
        MetastoreBackend.get_variable = read
        os.environ.clear()
        os.environ.update(own)
    sys.stdout.write("\n" + json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
