"""Walks the installed Airflow's own timetables for whoever asks: runs in the Airflow environment until its
stdin ends, a line of JSON for each question and each answer.

Question: `{"kind": "cron" | "preset" | "delta" | "cron-trigger" | "delta-trigger" | "several" | "partition",
"schedule": str | seconds, "timezone", "start", "end", "most", "interval", "last"}`; `start` and `end` (or null) are the
DAG's dates as naive wall-clock text in the zone, `most` the number of intervals after which the walk is given up.
`interval` is that of a trigger, in seconds; the expressions of `several` are joined by `|`; `last` (or null) is the
interval of a run that another timetable has scheduled before. Answer: `{"intervals": [[start, end], …], "keys",
"outcome", "reason"}`; a run for a partition key has its date and due time instead of an interval. The outcome is

- `ended`: Airflow schedules nothing after the end
- `goes_on`: `most` intervals were found
- `stuck`: the next interval is empty or comes back to time that an earlier one covers
- `raised`: Airflow refuses the schedule, or fails on it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.timetables.base import DataInterval, TimeRestriction, Timetable
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable, DeltaTriggerTimetable

try:
    from airflow._shared.timezones.timezone import convert_to_utc, make_aware
    from airflow.timetables.trigger import CronPartitionTimetable, MultipleCronTriggerTimetable
except ImportError:  # Airflow 2
    from airflow.utils.timezone import convert_to_utc, make_aware


def timetable_of(question: dict[str, Any]) -> Timetable:
    kind, schedule, zone = (question[name] for name in ("kind", "schedule", "timezone"))
    interval = timedelta(seconds=question.get("interval") or 0)
    if kind == "delta":
        timetable: Timetable = DeltaDataIntervalTimetable(timedelta(seconds=schedule))
    elif kind == "delta-trigger":
        timetable = DeltaTriggerTimetable(timedelta(seconds=schedule), interval=interval)
    elif kind == "cron-trigger":
        timetable = CronTriggerTimetable(schedule, timezone=zone, interval=interval)
    elif kind == "several":
        timetable = MultipleCronTriggerTimetable(*schedule.split("|"), timezone=zone, interval=interval)
    elif kind == "partition":
        timetable = CronPartitionTimetable(schedule, timezone=zone)
    else:
        timetable = CronDataIntervalTimetable(schedule, pendulum.timezone(zone))
    timetable.validate()
    return timetable


def date_of(text: str | None, timezone: str) -> Any:
    """A DAG's naive date as the DAG reads it: `make_aware` in its zone, then UTC."""
    if text is None:
        return None
    return convert_to_utc(make_aware(datetime.fromisoformat(text), pendulum.timezone(timezone)))


def scheduled(timetable: Timetable, restriction: TimeRestriction, last: Any) -> Iterator[Any]:
    """The runs in the order in which the scheduler creates them, catching up; `last` is the interval before them."""
    before = None
    while True:
        if getattr(timetable, "partitioned", False):
            info = timetable.next_dagrun_info_v2(last_dagrun_info=before, restriction=restriction)
        else:
            info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if info is None:
            return
        before, last = info, info.data_interval
        yield info


def walk(question: dict[str, Any], intervals: list[list[str]], keys: list[str]) -> str:
    """Append to `intervals` and `keys`; returns how the walk ended."""
    zone, is_trigger = question["timezone"], question["kind"] not in ("cron", "preset", "delta")
    restriction = TimeRestriction(date_of(question["start"], zone), date_of(question["end"], zone), True)
    last = question.get("last")
    if last:
        last = DataInterval(
            *(pendulum.instance(datetime.fromisoformat(text)).in_timezone("UTC") for text in last)
        )
    covered = due = None
    for info in scheduled(timetable_of(question), restriction, last):
        start, end = info.data_interval or (info.partition_date, info.run_after)
        if is_trigger and due is not None and info.run_after <= due:
            return "stuck"
        if not is_trigger and (end <= start or (covered is not None and start < covered)):
            return "stuck"
        if len(intervals) == question["most"]:
            return "goes_on"
        intervals.append([start.isoformat(), end.isoformat()])
        if info.data_interval is None:
            keys.append(info.partition_key)
        covered, due = end, info.run_after
    return "ended"


def answer(question: dict[str, Any]) -> dict[str, Any]:
    intervals: list[list[str]] = []
    keys: list[str] = []
    try:
        outcome, reason = walk(question, intervals, keys), ""
    except Exception as error:  # whatever Airflow raises is its answer
        outcome, reason = "raised", f"{type(error).__name__}: {error}"
    return {"intervals": intervals, "keys": keys, "outcome": outcome, "reason": reason}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # a library's output must not get between the answers
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
