"""Airflow 3's triggers: their ticks, and the partitions of these, one for each tick."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pendulum

from dagster_defs.windows.partitions import Partitions
from dagster_defs.windows.schedule import Recurring
from dagster_defs.windows.window import Scheduled, Tick, utc

__all__ = ["TickPartitions", "TickSchedule"]


@dataclass(frozen=True, slots=True)
class TickSchedule(Recurring[Tick]):
    """A trigger: its runs are due at the boundaries and about nothing else (`CronTriggerTimetable` without `interval`
    of Airflow 3.3.2, its default for a cron): see `Recurring`."""

    def __str__(self) -> str:
        return f"the ticks of {self.expression!r} in {self.timezone}"

    def window_from(self, start: datetime) -> Tick:
        return Tick(utc(start))

    def following(self, window: Scheduled) -> Tick:
        """The tick after `window`. Raises `DoesNotAdvance` if that is not later, as with hourly schedules in
        Australia/Lord_Howe."""
        at = self.next_boundary(window.end)
        if at <= window.end:
            raise self._stuck(window.end, at)
        return Tick(at)


@dataclass(frozen=True, slots=True, eq=False)
class TickPartitions(Partitions[Tick]):
    """The partitions of a trigger: the key names the tick, and the partition is there as soon as the tick is over. A
    run takes one tick only, because no time lies between two of them that a run could cover."""

    schedule: TickSchedule

    @property
    def tile(self) -> bool:
        return False

    @property
    def of_ticks(self) -> bool:
        return True

    def _beside(self, first: Scheduled, last: Scheduled) -> tuple[pendulum.DateTime, pendulum.DateTime]:
        return self.schedule.prev_boundary(first.start), self.schedule.next_boundary(last.end)
