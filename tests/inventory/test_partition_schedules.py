"""DAGs whose runs are for partition keys: they have no mirror, and are taken for no others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.schedules import Refused, event_of, listed_windows, schedule_of
from dagster_defs.inventory.timetables import PartitionRun, read_schedule

TASK = Task("taxi", "daily", ("BashOperator",), {})


class NoCrons:
    """Dagster's crons, of which nothing may be asked here."""

    asked_at = datetime(2024, 1, 1)  # noqa: DTZ001 - never read

    def is_expressible(self, cron: str, zone: str, fmt: str, start: datetime) -> bool:
        raise AssertionError(cron)

    def boundaries(
        self, cron: str, zone: str, instant: datetime, *, ahead: bool
    ) -> Iterator[datetime] | None:
        raise AssertionError(cron)


def dag(kind: str, timetable: str) -> Dag:
    """As an exporter wrote it that knew no occasions, with the kinds that it had."""
    schedule = read_schedule(
        {
            "text": "0 0 * * *",
            "kind": kind,
            "timetable": timetable,
            "timezone": "UTC",
            "interval_is_empty": None,
        },
        (),
    )
    runs = (PartitionRun("2024-03-10", "2024-03-10T00:00:00+00:00", "2024-03-10T00:00:00+00:00"),)
    return Dag("taxi", schedule, "UTC", (TASK,), start="2024-01-01T00:00:00+00:00", partitions=runs)


@pytest.mark.parametrize(
    ("kind", "timetable"),
    [
        ("custom", "airflow.timetables.trigger.CronPartitionTimetable"),
        ("asset", "airflow.timetables.simple.PartitionedAssetTimetable"),
        ("custom", "airflow.timetables.simple.PartitionedAtRuntime"),
    ],
)
def test_a_schedule_of_partition_keys_is_refused(kind: str, timetable: str) -> None:
    """With its reason, from an older inventory too: neither as a clock, nor as a list, nor as an event of assets."""
    keyed = dag(kind, timetable)
    assert event_of(keyed) is None
    assert listed_windows(keyed, NoCrons()) is None
    with pytest.raises(
        Refused, match="gives its runs a partition key and no window, and such runs have no mirror"
    ):
        schedule_of(keyed, TASK, NoCrons(), None)
    assert "are for partition keys and have no window" in keyed.why_no_window(TASK)
