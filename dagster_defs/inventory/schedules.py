"""The `schedule` of a mirror: a cron if Dagster can have it, a list of Airflow's windows or ticks, or no clock."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from dagster_defs.errors import BadWindowList, ParityError
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.older_python import datetime_of
from dagster_defs.windows import (
    CronTicks,
    EventKind,
    EventSchedule,
    ListedSchedule,
    OccasionKind,
    PartitionedSchedule,
    Partitions,
    Recurring,
    Schedule,
    Scheduled,
    TickPartitions,
    TickSchedule,
    WindowList,
    scheduled_between,
)
from dagster_defs.windows.window import utc

__all__ = ["FILE", "Refused", "about", "event_of", "listed_windows", "schedule_of"]

FILE = "windows.json"  # beside the mirrors
_ALSO_TRIGGERED = ("DatasetOrTimeSchedule", "AssetOrTimeSchedule")
_EVENTS = {
    "none": EventKind.MANUAL,
    "once": EventKind.ONCE,
    "continuous": EventKind.CONTINUOUS,
    "dataset": EventKind.DATASETS,
    "asset": EventKind.DATASETS,
}


# The start does not matter where only the names for one window are rendered.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)
# Kinds of timetables whose runs a cron of Dagster's may determine: of windows, and of ticks.
_OF_A_RULE = {False: ("cron", "delta"), True: ("cron-trigger", "delta-trigger")}


class Refused(Exception):
    """Why a schedule has no mirror, in one sentence."""


def schedule_of(dag: Dag, task: Task, crons: CronTicks, listed: WindowList | None) -> Mapping[str, Any]:
    """The content of `schedule` in the YAML. `listed`: the DAG's windows, if they are to be listed.

    Raises Refused."""
    limits = {"catchup": dag.catchup, "max_active_runs": max(dag.max_active_runs, 1)}
    if kind := event_of(dag):
        return {**_of_event(dag, kind), **limits}
    if why := _without_windows(dag):
        raise Refused(why)
    start, end = dag.bounds_of(task)
    if start is None:
        raise Refused("the DAG has no start date, and partitions begin with it")
    try:
        if listed is not None:
            return {**_of_list(dag, task, listed), **limits}
        schedule = _recurring(dag, start, end)
        _partitioned(schedule, crons)
    except ParityError as error:
        raise Refused(" ".join(str(error).split())) from error
    written = {"cron": schedule.expression, "timezone": schedule.timezone, **_said(dag)}
    for name, instant in (("start", start), ("end", end)):
        if instant is not None:
            written[name] = _local(instant, schedule)
    return {**written, **limits}


def _partitioned(schedule: Schedule | TickSchedule, crons: CronTicks) -> Partitions[Scheduled]:
    if isinstance(schedule, TickSchedule):
        return TickPartitions(schedule, crons)
    return PartitionedSchedule(schedule, crons)


def _of_ticks(dag: Dag) -> bool:
    return dag.schedule.occasion is OccasionKind.TICK


def _said(dag: Dag) -> Mapping[str, str]:
    """How the YAML says that runs are about ticks."""
    return {"occasion": OccasionKind.TICK.value} if _of_ticks(dag) else {}


def about(dag: Dag) -> OccasionKind:
    """What the runs of the DAG's mirrors are about."""
    if event_of(dag):
        return OccasionKind.EVENT
    return OccasionKind.TICK if _of_ticks(dag) else OccasionKind.WINDOW


def event_of(dag: Dag) -> EventKind | None:
    """What starts the DAG's runs, if no clock does and they are for no partition key."""
    return None if dag.schedule.occasion is OccasionKind.PARTITION else _EVENTS.get(dag.schedule.kind)


def _of_event(dag: Dag, kind: EventKind) -> Mapping[str, Any]:
    try:
        schedule = EventSchedule(kind, dag.timezone)
    except ValueError as error:
        raise Refused(f"its time zone: {error}") from error
    return {"event": kind.value, "timezone": schedule.timezone}


def listed_windows(dag: Dag, crons: CronTicks, there: WindowList | None = None) -> WindowList | None:
    """The DAG's windows, merged with those of `there`, if no Dagster cron determines them or they are listed already.

    None if a cron does, and if nothing does. Raises Refused if only a list would and none is possible, and
    BadWindowList if the inventory contradicts the existing list.
    """
    if event_of(dag) or _without_windows(dag) or (there is None and _has_cron(dag, crons)):
        return None
    listed = _listed(dag, may_be_empty=there is not None)
    return there.extended(listed) if there else listed


def _listed(dag: Dag, *, may_be_empty: bool) -> WindowList:
    if dag.span is None:
        raise Refused("the inventory does not say which instants its windows are from: export it again")
    if dag.stuck:
        raise Refused(f"Airflow itself does not get past one of its windows: {dag.stuck}")
    if not dag.windows and not may_be_empty:
        raise Refused(
            f"its schedule {dag.schedule.text} has no run in the inventory's days, and only its runs tell when it is "
            "due: export other days"
        )
    try:
        windows = tuple(scheduled_between(start, end) for start, end in dag.windows)
        since, until = (utc(datetime_of(bound)) for bound in dag.span)
        if dag.windows_cut:
            until = windows[-1].start.add(seconds=1)
        return WindowList(since, until, windows, of_ticks=_of_ticks(dag))
    except BadWindowList as error:
        raise Refused(
            f"the windows of its schedule {dag.schedule.text} have no partitions: {error.reason}"
        ) from error
    except ParityError as error:
        raise Refused(" ".join(str(error).split())) from error


def not_listed_before(dag: Dag, listed: WindowList) -> str:
    """What has no partition because the export began after the DAG; empty if nothing."""
    start = datetime_of(dag.start) if dag.start else listed.since
    if start >= listed.since:
        return ""
    return (
        f"its windows from {start.date()} to {listed.since.date()} are not in the inventory and have no partition: "
        f"export from {start.date()} on if you need them"
    )


def _has_cron(dag: Dag, crons: CronTicks) -> bool:
    try:
        if dag.schedule.kind not in _OF_A_RULE[_of_ticks(dag)] or dag.start is None:
            return dag.schedule.kind in _OF_A_RULE[_of_ticks(dag)]
        _partitioned(_recurring(dag, datetime_of(dag.start), None), crons)
    except ParityError:
        return False
    return True


def _of_list(dag: Dag, task: Task, listed: WindowList) -> Mapping[str, Any]:
    """Bounds are written only if they are the task's own: the DAG's are in the list already."""
    start, end = dag.bounds_of(task)
    own_start = start if task.start not in (None, dag.start) else None
    own_end = end if task.end not in (None, dag.end) else None
    schedule = ListedSchedule.listing(listed, dag.schedule.timezone, own_start, own_end)
    written: dict[str, Any] = {"windows": FILE, "timezone": schedule.timezone, **_said(dag)}
    for name, instant in (("start", own_start), ("end", own_end)):
        if instant is not None:
            written[name] = instant.astimezone(schedule.zone).isoformat()
    return written


def _recurring(dag: Dag, start: datetime, end: datetime | None) -> Schedule | TickSchedule:
    """Raises ScheduleRefused. A timedelta is counted from the DAG's start, wherever the task begins."""
    schedule, kind = dag.schedule, TickSchedule if _of_ticks(dag) else Schedule
    if schedule.kind in ("cron", "cron-trigger"):
        return kind.of(schedule.cron or schedule.text, schedule.timezone, start, end)
    anchor = datetime_of(dag.start) if dag.start else start
    counted = kind.every(timedelta(seconds=schedule.delta_seconds or 0), anchor)
    return kind.of(counted.cron, counted.timezone, start, end)


def rendering_schedule(dag: Dag) -> Recurring[Scheduled]:
    """What the values of templates follow from: the rule of the DAG's schedule, or else its windows in the inventory.

    Raises ParityError, or Refused if there is neither."""
    if dag.schedule.kind in _OF_A_RULE[_of_ticks(dag)]:
        with contextlib.suppress(ParityError):
            return _recurring(dag, _LONG_AGO, None)
    return ListedSchedule.listing(_listed(dag, may_be_empty=False), dag.schedule.timezone)


def _without_windows(dag: Dag) -> str:
    """Why windows of this schedule have no mirror even if listed; empty if they may have one."""
    schedule = dag.schedule
    kind = f"its schedule {schedule.in_words}"
    if schedule.occasion is OccasionKind.PARTITION:
        return f"{kind} gives its runs a partition key and no window, and such runs have no mirror"
    if schedule.timetable.endswith(_ALSO_TRIGGERED):
        return (
            f"{kind} is triggered by datasets or assets too, and such a run has no window that is known ahead"
        )
    if dag.bounds_move:
        return f"{dag.why_it_moves}. Write a fixed date in the DAG file first"
    if any((start == end) is not _of_ticks(dag) for start, end in dag.windows):
        return f"some runs of {kind} have a data interval with a length and others have not: a mirror has one kind"
    if schedule.interval_is_empty and not _of_ticks(dag):
        return (
            f"{kind} has empty windows, and the inventory does not say that they are ticks: export it again"
        )
    return ""


def _local(instant: datetime, schedule: Schedule | TickSchedule) -> str:
    """The time in the schedule's zone; with the offset if the time alone would mean another instant."""
    local = instant.astimezone(schedule.zone)
    shown = (
        local.date().isoformat()
        if local.time() == local.time().min
        else local.replace(tzinfo=None).isoformat()
    )
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    read_back = Schedule.of(schedule.expression, schedule.timezone, shown).start
    return shown if read_back == instant and not twice else local.isoformat()
