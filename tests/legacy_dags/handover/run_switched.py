"""Run by Airflow's Python: takes tasks with switches through Airflow's own states, with its database, in one process.

Input on stdin: `{"dag", "day", "steps": [[action, task, map index], …]}`. The DAG file is read once, before the first
step. Actions are those of `run_tasks.py`, and these change the marks, in `proxied_state/` or, with PARITY_CHANNEL, in
Variables or in Dagster: `mark`, `unmark`, `spoil`, which makes the DAG's unreadable, `lose`, after which there is
nothing, and `set_up`, which says that they are the place. Output: after each other step what Airflow has of the
instance, as the last line of stdout.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml
from airflow.configuration import conf
from airflow.models.dagbag import DagBag
from airflow.models.variable import Variable
from airflow.models.xcom import XCom
from airflow.utils.session import create_session
from handover.plugin import DagsterRunLink
from run_tasks import act, dag_run  # type: ignore[import-not-found]  # beside this program
from told_by_dagster import InDagster  # type: ignore[import-not-found]  # likewise

MARKS = Path(os.environ["PARITY_PROXIED_STATE"])
NOTED = Path(os.environ["FOLDER"]) / "noted"


class Folder:
    def __init__(self, dag_id: str) -> None:
        self.file = MARKS / f"{dag_id}.yaml"

    def read(self) -> str:
        return self.file.read_text() if self.file.exists() else ""

    def write(self, text: str) -> None:
        MARKS.mkdir(exist_ok=True)
        self.file.write_text(text)

    def lose(self) -> None:
        shutil.rmtree(MARKS, ignore_errors=True)

    def set_up(self) -> None:
        """The fixture has."""


class Variables:
    def __init__(self, dag_id: str) -> None:
        self.name = f"parity_marks__{dag_id}"

    def read(self) -> str:
        return str(Variable.get(self.name, default_var=""))

    def write(self, text: str) -> None:
        Variable.set(self.name, text)

    def lose(self) -> None:
        for name in ("parity_marks", self.name):
            Variable.delete(name)

    def set_up(self) -> None:
        Variable.set("parity_marks", "here")


CHANNELS: dict[str, Any] = {"variable": Variables, "dagster": InDagster}


def _change_marks(action: str, dag_id: str, task_id: str) -> None:
    channel = CHANNELS.get(os.environ.get("PARITY_CHANNEL", ""), Folder)(dag_id)
    if action == "spoil":
        channel.write("tasks: [")
    elif action == "lose":
        channel.lose()
    elif action == "set_up":
        channel.set_up()
    else:
        known = yaml.safe_load(channel.read()) or {"tasks": [], "positions": {}}
        tasks = [each for each in known["tasks"] if each["id"] != task_id]
        known["tasks"] = [*tasks, {"id": task_id, "proxied": action == "mark"}]
        known["positions"][task_id] = known["positions"].get(task_id, 16) + 1
        channel.write(yaml.safe_dump(known))


def _told(ti: Any, session: Any) -> dict[str, Any]:
    xcoms = session.query(XCom.key, XCom.value).filter_by(
        dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index
    )
    kept = {row.key: XCom.deserialize_value(row) for row in xcoms}
    noted = NOTED.read_text().splitlines() if NOTED.exists() else []
    NOTED.unlink(missing_ok=True)
    told = {
        "state": ti.state,
        "operator": ti.operator,
        "note": ti.note,
        "xcoms": kept,
        "noted": noted,
    }
    return {**told, "link": DagsterRunLink().get_link(ti.task, ti_key=ti.key)}


def _instance(dag: Any, day: str, task_id: str, index: int, session: Any) -> Any:
    session.expire_all()
    run = dag_run(dag, day, session)
    ti = run.get_task_instance(task_id, session=session, map_index=index)
    ti.task = dag.get_task(task_id)
    return ti


def main() -> None:
    asked = json.load(sys.stdin)
    dag = DagBag(conf.get("core", "dags_folder"), include_examples=False).dags[asked["dag"]]
    told = []
    with create_session() as session:
        for action, task_id, *index in asked["steps"]:
            if action in ("mark", "unmark", "spoil", "lose", "set_up"):
                _change_marks(action, dag.dag_id, task_id)
                continue
            # Airflow's own functions close the session of this thread.
            place = (dag, asked["day"], task_id, index[0] if index else -1, session)
            ti = _instance(*place)
            act(action, ti, ti.dag_run, session)
            told.append(_told(_instance(*place), session))
            sys.stdout.write(f"\nafter {action} {task_id}: {told[-1]}\n")
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
