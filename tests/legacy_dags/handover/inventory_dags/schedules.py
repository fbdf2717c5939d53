"""One DAG for each kind of schedule, the same file for Airflow 2 and 3."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import Asset as Dataset
    from airflow.sdk import AssetOrTimeSchedule

    OR_DATASET = "assets"
except ImportError:
    from airflow.datasets import Dataset
    from airflow.operators.bash import BashOperator
    from airflow.timetables.datasets import DatasetOrTimeSchedule as AssetOrTimeSchedule

    OR_DATASET = "datasets"
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable, DeltaTriggerTimetable

TEXT = "echo {{ ds }} {{ data_interval_start }} {{ data_interval_end }} {{ ts_nodash }} {{ logical_date | ds_nodash }}"
UTC, NEW_YORK = "UTC", "America/New_York"


def make(name: str, schedule: Any, zone: str = UTC, day: int = 1, **arguments: Any) -> None:
    arguments.setdefault("catchup", True)
    start = pendulum.datetime(2024, 1, day, tz=zone)
    with DAG(dag_id=name, schedule=schedule, start_date=start, **arguments) as dag:
        BashOperator(task_id="say", bash_command=TEXT)
    globals()[name] = dag


# Airflow 3 makes trigger timetables of bare expressions; an explicit timetable is the same in both.
make("utc_daily", CronDataIntervalTimetable("0 0 * * *", timezone=UTC))
make("new_york_daily", CronDataIntervalTimetable("0 6 * * *", timezone=NEW_YORK), NEW_YORK)
make("new_york_hourly", CronDataIntervalTimetable("0 * * * *", timezone=NEW_YORK), NEW_YORK)
make("kolkata_daily", CronDataIntervalTimetable("30 0 * * *", timezone="Asia/Kolkata"), "Asia/Kolkata")
LORD_HOWE = "Australia/Lord_Howe"
make("lord_howe_hourly", CronDataIntervalTimetable("0 * * * *", timezone=LORD_HOWE), LORD_HOWE)
make("trigger", CronTriggerTimetable("0 6 * * *", timezone=UTC))
make("trigger_with_interval", CronTriggerTimetable("0 6 * * 1", timezone=UTC, interval=timedelta(days=7)))
make("every_6_hours", DeltaTriggerTimetable(timedelta(hours=6)))
make("again_and_again", "@continuous", max_active_runs=1)
make("bare_cron", "15 6 * * *")
make("every_36_hours", timedelta(hours=36), day=2)
make("every_36_hours_no_catchup", timedelta(hours=36), catchup=False)
make("after_dataset", [Dataset("s3://bucket/trips")])
DAILY_IN_NEW_YORK = CronDataIntervalTimetable("0 6 * * *", timezone=NEW_YORK)
make(
    "daily_or_dataset",
    AssetOrTimeSchedule(timetable=DAILY_IN_NEW_YORK, **{OR_DATASET: [Dataset("s3://bucket/trips")]}),
)
make("by_hand", None)
make("only_once", "@once")
make("begins_late", "@weekly", day=31, end_date=pendulum.datetime(2024, 2, 20))
