"""Operators of a team's own, whose `execute` decides what runs."""

from __future__ import annotations

import subprocess
from functools import partial
from typing import Any

import pendulum
from airflow import DAG

try:
    from airflow.sdk import BaseOperator
except ImportError:
    from airflow.models import BaseOperator

CHECKED = partial(subprocess.run, check=True)


class DbtBase(BaseOperator):  # type: ignore[misc]  # Airflow is not installed here
    template_fields = ("models", "day")
    program = "dbt"

    def __init__(
        self, *, models: str, day: str = "{{ ds }}", target: str = "prod", hook: object = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.models, self.day, self.target, self.hook = models, day, target, hook

    @property
    def words(self) -> list[str]:
        return [self.program, "run", "-s", self.models, "--target", self.target]

    def variables(self) -> list[str]:
        return ["--vars", "{day: " + self.day + "}"]


class DbtOperator(DbtBase):
    def execute(self, context: Any) -> None:
        CHECKED([*self.words, *self.variables()])


with DAG(
    "own_operators",
    schedule="0 0 * * *",
    start_date=pendulum.datetime(2023, 1, 1, tz="UTC"),
    catchup=True,
):
    DbtOperator(task_id="built", models="orders", hook=object())
    DbtOperator.partial(task_id="mapped").expand(models=["orders", "customers"])
