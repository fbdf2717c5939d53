"""What this company adds to Airflow: a timetable of tides, and operators of its own."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pendulum
from airflow.models import BaseOperator
from airflow.operators.bash import BashOperator
from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable

SPRING_TIDES = [pendulum.datetime(2024, 3, day) for day in (1, 4, 6, 11, 13, 18)]


class TideTimetable(Timetable):
    """From one spring tide to the next, which no cron expresses."""

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        after = last_automated_data_interval.start if last_automated_data_interval else None
        for start, end in pairwise(SPRING_TIDES):
            if restriction.earliest and start < restriction.earliest:
                continue
            if after is None or start > after:
                return DagRunInfo.interval(start, end)
        return None


class HarbourDbt(BashOperator):
    """Fills a known field: what it starts stands in `bash_command`."""

    def __init__(self, *, models: str, verb: str = "run", **kwargs: Any) -> None:
        super().__init__(bash_command=f"cd /srv/harbour && dbt {verb} --select {models}", **kwargs)


class ContainerOperator(BaseOperator):
    """A container on the company's cluster, with the fields that such operators have."""

    template_fields = ("image", "cmds", "arguments", "env_vars")

    def __init__(
        self,
        *,
        image: str,
        cmds: list[str] | None = None,
        arguments: list[str] | None = None,
        env_vars: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image, self.cmds, self.arguments, self.env_vars = image, cmds, arguments, env_vars or {}

    def execute(self, context: Any) -> None:
        raise RuntimeError("there is no cluster here")


class DbtCloudRunJobOperator(BaseOperator):
    """Shaped like the provider's, which is not installed here."""

    template_fields = ("job_id",)

    def __init__(self, *, job_id: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id

    def execute(self, context: Any) -> None:
        raise RuntimeError("there is no dbt Cloud here")


class TideReport(BaseOperator):
    """Does something of its own, and runs no dbt."""

    template_fields = ("day",)

    def __init__(self, *, day: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.day = day

    def execute(self, context: Any) -> str:
        return f"tides of {self.day}, {timedelta(hours=6)} apart"


class HarbourPlugin(AirflowPlugin):
    """Airflow finds the timetable here."""

    name = "harbour"
    timetables = (TideTimetable,)
