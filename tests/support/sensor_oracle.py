"""Runs the installed Airflow's own `ExternalTaskSensor` on drawn histories for whoever asks: runs in the Airflow
environment until its stdin ends, a line of JSON for each question and each answer.

Question: `{"sensor": arguments, "mode", "retries", "retry_delay", "logical_date", "dates": [ISO, …] or null, "looks":
[[ISO instant, [[logical date, task or "", state], …]], …]}`: `dates` is what its `execution_date_fn` returns, and each
look says how the upstream DAG's runs and tasks stand in the metadata database at that instant. Answer: the sensor's
state after each look, `waiting`, `met`, `failed` or `skipped`.

`poke` and `execute` are Airflow's, on a SQLite database with Airflow's tables; the clock and the sleep are the
question's. What the scheduler and the task runner add around `execute` is repeated here: a new try after
`retry_delay`, no further one after `AirflowSensorTimeout` (`TaskInstance._handle_failure`, `force_fail`), and the
start of the first reschedule, which Airflow looks up by the number of the first try.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow import settings
from airflow.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from airflow.models import DagRun, TaskInstance, import_all_models
from airflow.models.base import Base
from airflow.sensors import base
from airflow.sensors.external_task import ExternalTaskSensor

warnings.simplefilter("ignore")
UPSTREAM = "upstream"


class NoMoreLooks(BaseException):
    """The history has ended while the sensor slept."""


class Case:
    def __init__(self, question: dict[str, Any]) -> None:
        arguments = dict(question["sensor"])
        if "execution_delta" in arguments:
            arguments["execution_delta"] = timedelta(seconds=arguments["execution_delta"])
        dates = question["dates"]
        if dates is not None:
            answer = [datetime.fromisoformat(date) for date in dates]
            arguments["execution_date_fn"] = lambda _date: answer
        self.retries, self.retry_delay = question["retries"], timedelta(seconds=question["retry_delay"])
        self.sensor = ExternalTaskSensor(
            task_id="sensor",
            external_dag_id=UPSTREAM,
            mode=question["mode"],
            retries=self.retries,
            **arguments,
        )
        self.logical_date = datetime.fromisoformat(question["logical_date"])
        self.looks: Iterator[Any] = iter(question["looks"])
        self.states: list[str] = []
        self.tried = 1
        self.rescheduled: dict[int, datetime] = {}
        self.again: datetime | None = None
        self.now = self.logical_date

    def go_to_next_look(self) -> None:
        look = next(self.looks, None)
        if look is None:
            raise NoMoreLooks
        self.now = datetime.fromisoformat(look[0])
        write(look[1])

    def sleep(self, _seconds: float) -> None:
        """Between two looks of one try in the mode `poke`."""
        self.states.append("waiting")
        self.go_to_next_look()

    def run(self) -> list[str]:
        base.timezone.utcnow = lambda: self.now
        base.time = SimpleNamespace(monotonic=lambda: self.now.timestamp(), sleep=self.sleep)
        base._orig_start_date = lambda **asked: self.rescheduled.get(asked["try_number"])
        try:
            while True:
                self.go_to_next_look()
                self.states.append(self.look())
        except NoMoreLooks:
            return self.states

    def look(self) -> str:
        if self.states and self.states[-1] != "waiting":
            return self.states[-1]
        if self.again is not None:
            if self.now < self.again:
                return "waiting"
            self.again, self.tried = None, self.tried + 1
        ti = SimpleNamespace(
            dag_id="own",
            task_id="sensor",
            run_id="run",
            map_index=-1,
            max_tries=self.retries,
            try_number=self.tried,
        )
        try:
            self.sensor.execute({"logical_date": self.logical_date, "ti": ti})
        except AirflowRescheduleException:
            self.rescheduled.setdefault(self.tried, self.now)
            return "waiting"
        except AirflowSkipException:
            return "skipped"
        except (AirflowSensorTimeout, AirflowFailException):
            return "failed"
        except AirflowException:
            if self.tried > self.retries:
                return "failed"
            self.again = self.now + self.retry_delay
            return "waiting"
        return "met"


def write(rows: list[list[Any]]) -> None:
    """Replace the upstream DAG's runs and task instances."""
    dates = sorted({date for date, _, _ in rows})
    whole = {date: state for date, task, state in rows if not task}
    runs, tasks = DagRun.__table__, TaskInstance.__table__
    with settings.engine.begin() as connection:
        connection.execute(tasks.delete())
        connection.execute(runs.delete())
        for date in dates:
            at = datetime.fromisoformat(date)
            connection.execute(
                runs.insert().values(
                    dag_id=UPSTREAM, run_id=date, execution_date=at, run_type="scheduled",
                    state=whole.get(date, "running"), clear_number=0,
                )
            )  # fmt: skip
        for date, task, state in rows:
            if task:
                connection.execute(
                    tasks.insert().values(
                        dag_id=UPSTREAM, run_id=date, task_id=task, map_index=-1, state=state, pool="default_pool",
                        pool_slots=1, try_number=1,
                    )
                )  # fmt: skip


def main() -> None:
    import_all_models()
    names = ("log_template", "trigger", "dag_run", "task_instance")
    Base.metadata.create_all(settings.engine, tables=[Base.metadata.tables[name] for name in names])
    for line in sys.stdin:
        print(json.dumps(Case(json.loads(line)).run()), flush=True)  # noqa: T201 - stdout is the answer


if __name__ == "__main__":
    main()
