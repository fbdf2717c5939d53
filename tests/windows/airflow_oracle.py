"""Asks the installed Airflow what it would do: runs in the Airflow environment, JSON on stdin and stdout.

Input: `{"windows": [{"cron" | "delta", "timezone", "from", "until"}], "renders": [{"cron", "timezone",
"start", "params", "windows": [[start, end], …], "texts": [str, …]}]}`; of `windows` one with `offset` (seconds) and
`made_by` (a library) is a DAG whose start date is in that zone. Output: for each of `windows` the data
intervals that Airflow's own timetable schedules, catching up, and whether it came back to time that was
covered before; for each of `renders` a list of texts for each window. No scheduler, no rows in a database.
"""

import json
import sys
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import MagicMock

import pendulum
from airflow import DAG
from airflow.models import DagRun, TaskInstance
from airflow.operators.empty import EmptyOperator
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.utils.types import DagRunType
from dateutil import tz  # type: ignore[import-untyped]  # ships no type information


def instant(text: str) -> Any:
    return pendulum.instance(datetime.fromisoformat(text)).in_timezone("UTC")


def fixed_offset(made_by: str, seconds: int) -> Any:
    """The same offset as each library writes it in DAG files."""
    if made_by == "pendulum":
        return pendulum.FixedTimezone(seconds)
    if made_by == "dateutil":
        return tz.tzoffset(None, seconds) if seconds else tz.tzutc()
    return timezone(timedelta(seconds=seconds))


def windows(case: dict[str, Any]) -> dict[str, Any]:
    name = ""
    if "offset" in case:
        start = datetime.fromisoformat(case["from"]).astimezone(fixed_offset(case["made_by"], case["offset"]))
        schedule = timedelta(seconds=case["delta"]) if "delta" in case else case["cron"]
        dag = DAG("fixed", schedule=schedule, start_date=start)
        timetable, name = dag.timetable, dag.timezone.name
    elif "delta" in case:
        timetable = DeltaDataIntervalTimetable(timedelta(seconds=case["delta"]))
    else:
        timetable = CronDataIntervalTimetable(case["cron"], pendulum.timezone(case["timezone"]))
    until = instant(case["until"])
    restriction = TimeRestriction(instant(case["from"]), until, catchup=True)
    found: list[list[str]] = []
    last = None
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        start, end = info.data_interval
        if start >= until:
            break
        if end <= start or (last is not None and start < last.end):
            return {"windows": found, "stuck": True, "timezone": name}
        found.append([start.isoformat(), end.isoformat()])
        last = info.data_interval
    return {"windows": found, "stuck": False, "timezone": name}


def without_rows() -> MagicMock:
    session = MagicMock()
    session.scalar.return_value = None
    session.scalars.return_value = []
    return session


def render(case: dict[str, Any]) -> list[list[str]]:
    with DAG(
        "oracle",
        schedule=case["cron"],
        start_date=pendulum.parse(case["start"], tz=case["timezone"]),
        params=case["params"],
    ) as dag:
        task = EmptyOperator(task_id="unit")
    environment = dag.get_template_env()
    rendered = []
    for start, end in case["windows"]:
        start, end = instant(start), instant(end)
        run = DagRun(
            dag_id=dag.dag_id,
            run_id=DagRun.generate_run_id(DagRunType.SCHEDULED, start),
            run_type=DagRunType.SCHEDULED,
            execution_date=start,
            data_interval=(start, end),
            external_trigger=False,
        )
        ti = TaskInstance(task, run_id=run.run_id)
        ti.dag_run = run
        context = ti.get_template_context(session=without_rows())
        rendered.append([environment.from_string(text).render(context) for text in case["texts"]])
    return rendered


def main() -> None:
    asked = json.load(sys.stdin)
    answer = {
        "windows": [windows(case) for case in asked["windows"]],
        "renders": [render(case) for case in asked["renders"]],
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
