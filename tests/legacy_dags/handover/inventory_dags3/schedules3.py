"""One DAG for each kind of schedule that only Airflow 3 has, or that Airflow 3 treats in another way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import (
    DAG,
    Asset,
    AssetAlias,
    CronPartitionTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    EventsTimetable,
    MultipleCronTriggerTimetable,
    PartitionedAssetTimetable,
    PartitionedAtRuntime,
    StartOfDayMapper,
)
from airflow.timetables import events

NEW_YORK = "America/New_York"
TEXT = "echo {{ ds }}"
OF_A_KEY = "echo {{ partition_key }} {{ partition_date }} {{ dag_run.partition_key }}"
TRIPS, ZONES = Asset("trips", uri="s3://bucket/trips"), Asset("zones")


def make(name: str, schedule: Any, text: str = TEXT, **arguments: Any) -> None:
    start = pendulum.datetime(2024, 1, 1, tz=NEW_YORK)
    with DAG(dag_id=name, schedule=schedule, start_date=start, catchup=True, **arguments) as dag:
        BashOperator(task_id="say", bash_command=text, inlets=[ZONES], outlets=[TRIPS, AssetAlias("any")])
        BashOperator(task_id="old_name", bash_command="echo {{ execution_date }}")
        BashOperator(task_id="id", bash_command="echo {{ run_id }} {{ ti.run_id }}")
    globals()[name] = dag


make("ticks", CronTriggerTimetable("0 6 * * *", timezone=NEW_YORK))
make("bare", "0 6 * * *")
make("weeks", CronTriggerTimetable("0 6 * * 1", timezone=NEW_YORK, interval=timedelta(days=7)))
make("twice", MultipleCronTriggerTimetable("0 6 * * *", "0 18 * * *", timezone=NEW_YORK))
make("delta_ticks", DeltaTriggerTimetable(timedelta(hours=6)))
make("delta_windows", DeltaDataIntervalTimetable(timedelta(hours=6)))
make("days", CronPartitionTimetable("0 0 * * *", timezone=NEW_YORK, key_format="%Y-%m-%d"), OF_A_KEY)
make(
    "days_before",
    CronPartitionTimetable("0 0 * * *", timezone=NEW_YORK, run_offset=-2, key_format="%d.%m."),
    disable_bundle_versioning=True,
)
make(
    "after_partitions",
    PartitionedAssetTimetable(assets=TRIPS & ZONES, partition_mapper_config={TRIPS: StartOfDayMapper()}),
)
make("keys_at_run_time", PartitionedAtRuntime())
make("either", TRIPS | ZONES)
make("listed", events.EventsTimetable([pendulum.datetime(2024, 3, 9), pendulum.datetime(2024, 3, 11)]))
make("unreadable", EventsTimetable([pendulum.datetime(2024, 3, 9)]))
