"""Airflow's `sla` as a Dagster freshness policy: a window's data is due a fixed time after the window's end, a tick's
after the tick.

A policy looks at the time of the newest materialization, not at its partition: a backfill of an older window also
makes the assets fresh (decision 8).
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from itertools import islice, pairwise
from math import ceil

import dagster as dg
from croniter import croniter
from dagster._utils.schedules import get_smallest_cron_interval

from dagster_defs.errors import DoesNotAdvance
from dagster_defs.windows import ListedSchedule, Recurring, Scheduled, Tick, Window

DAY = 24 * 60  # minutes
CLOCK_CHANGE = timedelta(hours=1)
MOST_WINDOWS = 12_000  # more than a week of minutes, more than a year of hours


def freshness_policy(schedule: Recurring[Scheduled], sla: float, zone: str = "") -> dg.FreshnessPolicy:
    """Fails `sla` seconds after a window's end if nothing has been materialized since that end.

    If no cron expression can describe these moments, it fails when the newest materialization is older than the
    longest window plus `sla`: later than Airflow's, by the duration of the last run, and never earlier. Dagster counts
    in minutes, so `sla` is rounded up to whole minutes. `zone`: an IANA name, if the schedule's zone has none.
    """
    late = timedelta(minutes=max(1, ceil(sla / 60)))
    if isinstance(schedule, ListedSchedule):
        return dg.FreshnessPolicy.time_window(fail_window=_longest_pause(schedule) + late)
    deadline = deadline_cron(schedule.cron, late)
    if deadline is None or late > (shortest := get_smallest_cron_interval(deadline)):
        return dg.FreshnessPolicy.time_window(fail_window=_longest_window(schedule) + late)
    # If the clock is set back between end and deadline, the end is an hour further away than `late`.
    lower_bound = min(late + CLOCK_CHANGE, shortest)
    return dg.FreshnessPolicy.cron(
        deadline, lower_bound_delta=lower_bound, timezone=zone or schedule.timezone
    )


def deadline_cron(cron: str, late: timedelta) -> str | None:
    """A cron that fires `late` (whole minutes) after each tick of `cron`; None if five fields cannot express that."""
    minute, hour, *days = _expanded(cron)
    after = [tick + late // timedelta(minutes=1) for tick in (60 * h + m for h in hour for m in minute)]
    times = sorted({tick % DAY for tick in after})
    hours, minutes = sorted({tick // 60 for tick in times}), sorted({tick % 60 for tick in times})
    if len(times) != len(hours) * len(minutes):
        return None
    written = _days_later(cron.split()[2:], days, {tick // DAY for tick in after})
    if written is None:
        return None
    return " ".join([_field(minutes, 60), _field(hours, 24), *written])


def _expanded(cron: str) -> list[list[int]]:
    """Each field's numbers; a day field that is a star, or that numbers cannot express, is empty."""
    fields = croniter(cron).expanded
    full = [range(60), range(24), (), (), ()]
    numbers = [list(every) if field == ["*"] else field for field, every in zip(fields, full, strict=True)]
    return [field if all(isinstance(number, int) for number in field) else [] for field in numbers]


def _days_later(written: Sequence[str], days: Sequence[Sequence[int]], carried: set[int]) -> list[str] | None:
    """The day, month and weekday fields, shifted by the number of days that all clock times were carried."""
    if carried == {0} or list(written) == ["*", "*", "*"]:
        return list(written)
    if len(carried) != 1 or set("#lL") & set(written[2]):  # cron cannot say "the day after the second Friday"
        return None
    [later] = carried
    day, _, weekday = days
    if list(written[:2]) == ["*", "*"] and weekday:
        return [
            "*",
            "*",
            ",".join(str(shifted) for shifted in sorted({(number + later) % 7 for number in weekday})),
        ]
    if written[2] == "*" and day and max(day) + later <= 28:  # the last day that every month has
        return [",".join(str(number + later) for number in day), written[1], "*"]
    return None


def _field(numbers: Sequence[int], full: int) -> str:
    return "*" if len(numbers) == full else ",".join(str(number) for number in numbers)


def _longest_pause(schedule: ListedSchedule) -> timedelta:
    """The longest time between the ends of two consecutive windows, gaps included."""
    windows = list(schedule.windows())
    pauses = [later.end - window.end for window, later in pairwise(windows)]
    first = windows[0]
    return max([*pauses, first.length if isinstance(first, Window) else timedelta()])


@lru_cache(maxsize=1_000)
def _longest_window(schedule: Recurring[Scheduled]) -> timedelta:
    """Of ticks, the longest time from one to the next. It is known once for all units with one schedule: a walk takes
    seconds."""
    longest = timedelta()
    with suppress(DoesNotAdvance):
        for window in islice(schedule.windows(until=schedule.start.add(years=5)), MOST_WINDOWS):
            end = schedule.next_boundary(window.end) if isinstance(window, Tick) else window.end
            longest = max(longest, end - window.start)
    return longest
