"""A DAG of Airflow 3 whose tasks have switches. Each task notes in FOLDER that Airflow itself has done its work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseOperator, CronDataIntervalTimetable, task
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
        return self.day

    def post_execute(self, context: Any, result: Any = None) -> None:
        super().post_execute(context, result)
        note(f"{self.task_id} after")


class Deferring(BaseOperator):  # type: ignore[misc]  # likewise
    def execute(self, context: Any) -> None:
        note(f"{self.task_id} defers")
        self.defer(trigger=TimeDeltaTrigger(pendulum.duration(seconds=0)), method_name="go_on")

    def go_on(self, context: Any, event: Any) -> None:
        note(f"{self.task_id} {context['ds']}")


def branch(dag_id: str) -> DAG:
    with DAG(
        dag_id,
        schedule=CronDataIntervalTimetable("0 6 * * *", timezone="America/New_York"),
        start_date=pendulum.datetime(2024, 3, 1, tz="America/New_York"),
        catchup=False,
        default_args={"retries": 3, "retry_delay": pendulum.duration(seconds=0)},
    ) as dag:
        first = Nightly(task_id="first")
        build = Nightly(task_id="build", pre_execute=lambda context: note("hook of build"), doc_md="Builds.")
        later = Deferring(task_id="later")
        reads = Nightly(task_id="reads", day="{{ ti.xcom_pull('build')[2] }}")
        leave = Nightly(task_id="leave")
        many = Nightly.partial(task_id="many").expand(day=["1", "2"])

        @task  # type: ignore[untyped-decorator]  # likewise
        def adds() -> int:
            note("adds")
            return 2

        first >> [build, later, leave, many, adds()]
        build >> reads
    return dag


switched = branch("switched")
marked = branch("marked")
OURS = {name: value for name, value in globals().items() if not isinstance(value, DAG)}
install_proxies(
    {**OURS, "switched": switched, "__name__": "of one DAG"}, patience=0, enrolled="all", deferrable=["later"]
)
install_proxies({**OURS, "marked": marked, "__name__": "of one DAG"}, patience=0)
