"""A DAG whose tasks have switches. Each task notes in FOLDER that Airflow itself has done its work."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pendulum
from airflow import DAG
from airflow.decorators import task, task_group
from airflow.models import BaseOperator
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
from airflow.triggers.temporal import TimeDeltaTrigger
from airflow.utils.task_group import TaskGroup
from handover.proxy import install_proxies

FOLDER = Path(os.environ["FOLDER"])


def note(what: str) -> None:
    with (FOLDER / "noted").open("a") as file:
        file.write(f"{what}\n")


class Nightly(BaseOperator):  # type: ignore[misc]  # Airflow is not installed here
    """Does something at each point at which Airflow calls it."""

    template_fields = ("day",)

    def __init__(self, *, day: str = "{{ ds }}", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.day = day

    def pre_execute(self, context: Any) -> None:
        super().pre_execute(context)
        note(f"{self.task_id} before")

    def execute(self, context: Any) -> str:
        note(f"{self.task_id} {self.day}")
        while (FOLDER / "held_up").exists():
            time.sleep(0.1)
        return self.day

    def post_execute(self, context: Any, result: Any = None) -> None:
        super().post_execute(context, result)
        note(f"{self.task_id} after {result}")

    def on_kill(self) -> None:
        note(f"{self.task_id} killed")


class Deferring(BaseOperator):  # type: ignore[misc]  # likewise
    def execute(self, context: Any) -> None:
        note(f"{self.task_id} defers")
        self.defer(trigger=TimeDeltaTrigger(pendulum.duration(seconds=0)), method_name="go_on")

    def on_kill(self) -> None:
        note(f"{self.task_id} killed")

    def go_on(self, context: Any, event: Any) -> None:
        note(f"{self.task_id} {context['ds']}")
        while (FOLDER / "held_up").exists():
            time.sleep(0.1)


class Waiting(BaseSensorOperator):  # type: ignore[misc]  # likewise
    def poke(self, context: Any) -> Any:
        note(f"{self.task_id} {context['ds']}")
        return PokeReturnValue((FOLDER / "arrived").exists(), "it is there")


def branch(dag_id: str) -> DAG:
    with DAG(
        dag_id,
        schedule="0 6 * * *",
        start_date=pendulum.datetime(2024, 3, 1, tz="America/New_York"),
        catchup=False,
        default_args={"retries": 3, "retry_delay": pendulum.duration(seconds=0)},
    ) as dag:
        before = EmptyOperator(task_id="before")
        build = Nightly(task_id="build", pre_execute=lambda context: note("hook of build"), doc_md="Builds.")
        later = Deferring(task_id="later")
        wait = Waiting(task_id="wait", mode="reschedule", poke_interval=1)
        script = f"echo many $N $AIRFLOW_CTX_DAG_RUN_ID >> {FOLDER / 'noted'}"
        many = BashOperator.partial(task_id="many", bash_command=script, append_env=True).expand(
            env=[{"N": "0"}, {"N": "1"}]
        )

        @task  # type: ignore[untyped-decorator]  # likewise
        def fan(number: int) -> int:
            note(f"fan {number}")
            return number

        fanned = fan.expand(number=[0, 1])
        lists = Nightly(task_id="lists")
        given = BashOperator.partial(task_id="given", bash_command="exit 1").expand(env=lists.output)
        reads = Nightly(task_id="reads", day="{{ ti.xcom_pull('build')[2] }}")
        with TaskGroup("group"):
            inner = Nightly(task_id="inner")

        @task_group  # type: ignore[untyped-decorator]  # likewise
        def grown(number: int) -> None:
            Nightly(task_id="one", pre_execute=lambda context: note("hook of one"))

        grown.expand(number=[0, 1])
        before >> [build, later, wait, many, fanned, inner, lists]
        build >> reads
        lists >> given
    return dag


switched = branch("switched")
listed = branch("listed")
opened = branch("opened")
OURS = {name: value for name, value in globals().items() if not isinstance(value, DAG)}


def enrol(dag: DAG, **enrolment: Any) -> None:
    install_proxies({**OURS, dag.dag_id: dag, "__name__": "of one DAG"}, patience=0, **enrolment)


deferrable = json.loads(os.environ.get("DEFERRABLE", "false"))
enrol(switched, enrolled="all", deferrable=deferrable)
enrol(listed, enrolled=["build", "wait", "before", "gone"])
enrol(opened, enrolled="all", when_unknown="legacy")
untouched = branch("untouched")
