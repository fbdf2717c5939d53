"""A mirrored DAG as a schedule: its windows, its jobs, and what holds the windows up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pendulum

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.histories import Retired, UnitHistory
from dagster_defs.lifecycle.waits import Wait
from dagster_defs.windows import Partitions, Recurring, Scheduled


@dataclass(frozen=True, slots=True)
class ScheduledDag:
    """A mirrored DAG, and how Airflow ran its windows: `max_active_runs` at a time; with `catchup`, missed windows
    too; with `in_order`, each window only after the previous one has succeeded.

    `partitions` range from the first unit's start to the last unit's end; `schedules` say when each unit has windows;
    `job` runs a window that all units have. `waits`: what a window waits for besides its end.
    """

    dag_id: str
    job: str
    units: tuple[Unit, ...]
    partitions: Partitions[Scheduled]
    schedules: Mapping[Unit, Recurring[Scheduled]]
    catchup: bool
    max_active_runs: int
    in_order: bool
    waits: tuple[Wait, ...] = ()

    @property
    def waited_job(self) -> str:
        """The job that ends a window which has waited in vain."""
        return f"waited__{self.job}"

    @property
    def jobs(self) -> Mapping[str, frozenset[Unit]]:
        """The units that each of the DAG's jobs runs: one job runs all units, and there is one more for each period in
        which some units have not begun yet or have ended."""
        bounds = {schedule.start for schedule in self.schedules.values()}
        bounds |= {schedule.end.add(seconds=1) for schedule in self.schedules.values() if schedule.end}
        stretches = dict.fromkeys(self._units_at(instant) for instant in sorted(bounds))
        everybody = frozenset(self.units)
        fewer = [units for units in stretches if units and units != everybody]
        return {
            self.job: everybody,
            **{f"part_{n}__{self.job}": units for n, units in enumerate(fewer, start=1)},
        }

    def _units_at(self, start: datetime) -> frozenset[Unit]:
        """The units that have a window starting at that instant."""
        return frozenset(
            unit
            for unit, schedule in self.schedules.items()
            if schedule.start <= start and (schedule.end is None or start <= schedule.end)
        )

    def job_of(self, window: Scheduled) -> str | None:
        """The job that runs exactly the units that have the window; None if no unit has it."""
        units = self._units_at(window.start)
        return next((name for name, mine in self.jobs.items() if mine == units), None)

    def takes_over(self, histories: Mapping[Unit, UnitHistory]) -> datetime | None:
        """The start of its first window in Dagster; None until the last of its units is retired."""
        begins = []
        for unit in self.units:
            match histories.get(unit):
                case Retired(open=None, begins=begin):
                    begins.append(begin)
                case _:
                    return None
        return max(filter(None, begins), default=None)

    def due(self, begin: datetime, now: datetime) -> Iterator[Scheduled]:
        """The windows from `begin` on that are over, oldest first. A window is run once it is over, a tick at once."""
        until = pendulum.instance(now).add(microseconds=1)
        for window in self.partitions.schedule.windows(pendulum.instance(begin), until):
            if window.start >= begin and window.end <= now and self.job_of(window):
                yield window
