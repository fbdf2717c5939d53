"""Walks the installed Airflow's own timetables for whoever asks: runs in the Airflow environment until its
stdin ends, a line of JSON for each question and each answer.

Question: `{"kind": "cron" | "preset" | "delta", "schedule": str | seconds, "timezone", "start", "end",
"most"}`; `start` and `end` (or null) are the DAG's dates as naive wall-clock text in the zone, `most` the
number of intervals after which the walk is given up. Answer: `{"intervals": [[start, end], …], "outcome",
"reason"}`, the outcome being

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
from airflow.utils.timezone import convert_to_utc, make_aware


def timetable_of(question: dict[str, Any]) -> Timetable:
    if question["kind"] == "delta":
        timetable: Timetable = DeltaDataIntervalTimetable(timedelta(seconds=question["schedule"]))
    else:
        timetable = CronDataIntervalTimetable(question["schedule"], pendulum.timezone(question["timezone"]))
    timetable.validate()
    return timetable


def date_of(text: str | None, timezone: str) -> Any:
    """A DAG's naive date as the DAG reads it: `make_aware` in its zone, then UTC."""
    if text is None:
        return None
    return convert_to_utc(make_aware(datetime.fromisoformat(text), pendulum.timezone(timezone)))


def scheduled(timetable: Timetable, restriction: TimeRestriction) -> Iterator[DataInterval]:
    """The data intervals in the order in which the scheduler creates runs, catching up."""
    last = None
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        last = info.data_interval
        yield last


def walk(question: dict[str, Any], intervals: list[list[str]]) -> str:
    """Append to `intervals`; returns how the walk ended."""
    zone = question["timezone"]
    restriction = TimeRestriction(date_of(question["start"], zone), date_of(question["end"], zone), True)
    covered = None
    for start, end in scheduled(timetable_of(question), restriction):
        if end <= start or (covered is not None and start < covered):
            return "stuck"
        if len(intervals) == question["most"]:
            return "goes_on"
        intervals.append([start.isoformat(), end.isoformat()])
        covered = end
    return "ended"


def answer(question: dict[str, Any]) -> dict[str, Any]:
    intervals: list[list[str]] = []
    try:
        return {"intervals": intervals, "outcome": walk(question, intervals), "reason": ""}
    except Exception as error:  # whatever Airflow raises is its answer
        return {"intervals": intervals, "outcome": "raised", "reason": f"{type(error).__name__}: {error}"}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # a library's output must not get between the answers
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
