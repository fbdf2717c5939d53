"""A legacy DAG's schedule as a mirror's YAML declares it: a cron, a file that lists the windows, or no clock at all."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import dagster as dg

from dagster_defs.adapters.dagster.partitions import partitioned
from dagster_defs.adapters.files.window_lists import read_list
from dagster_defs.components.units.triggered_by import TriggeredBy
from dagster_defs.components.units.waits_for import WaitsFor
from dagster_defs.errors import ScheduleRefused
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.lifecycle.waits import Wait, in_order
from dagster_defs.windows import (
    EventKind,
    EventSchedule,
    ListedPartitions,
    ListedSchedule,
    Partitions,
    Schedule,
    Scheduled,
    TickSchedule,
)

AnyPartitions: TypeAlias = Partitions[Scheduled]
_TRIGGERED = ("manual", "datasets")


@dataclass
class UnitSchedule(dg.Resolvable):
    """A legacy DAG's schedule, as in the DAG file."""

    cron: Annotated[
        str | None,
        dg.Resolver.default(
            description="Airflow's `schedule`: a preset or five cron fields.", examples=["0 6 * * *"]
        ),
    ] = None
    start: Annotated[
        str | None,
        dg.Resolver.default(
            description="First day (or ISO date and time) of the partitions, in the DAG's time zone.",
            examples=["2024-02-01"],
        ),
    ] = None
    timezone: Annotated[
        str,
        dg.Resolver.default(description="The DAG's time zone, an IANA name.", examples=["America/New_York"]),
    ] = "UTC"
    end: Annotated[
        str | None, dg.Resolver.default(description="Last day; without it, the partitions are open-ended.")
    ] = None
    catchup: Annotated[
        bool,
        dg.Resolver.default(description="Airflow's `catchup`: whether missed windows are run."),
    ] = True
    max_active_runs: Annotated[
        int, dg.Resolver.default(description="Airflow's `max_active_runs`: concurrent runs of the DAG.")
    ] = 16
    waits_for: Annotated[
        Sequence[WaitsFor],
        dg.Resolver.default(
            description=(
                "What a window waits for, besides its end, once the DAG is retired; `parity scaffold` writes it."
            )
        ),
    ] = field(default_factory=list)
    triggered_by: Annotated[
        TriggeredBy | None,
        dg.Resolver.default(
            description="For a DAG without a clock: what starts its runs in Dagster, once the DAG is retired."
        ),
    ] = None
    windows: Annotated[
        str | None,
        dg.Resolver.default(
            description=(
                "Instead of `cron`: the file, next to the YAML, with the windows that Airflow has listed; "
                "`parity scaffold` writes it."
            ),
            examples=["windows.json"],
        ),
    ] = None
    occasion: Annotated[
        Literal["window", "tick"],
        dg.Resolver.default(
            description=(
                "What a run is about: a window with a length, or a tick, as of a cron trigger of Airflow 3, whose data "
                "interval is empty; `parity scaffold` writes it."
            ),
            examples=["tick"],
        ),
    ] = "window"
    event: Annotated[
        Literal["manual", "once", "datasets", "continuous"] | None,
        dg.Resolver.default(
            description=(
                "Instead of `cron`, for a DAG without a clock: what starts its runs. The unit has neither windows nor "
                "partitions; each run is compared as a whole."
            ),
            examples=["manual"],
        ),
    ] = None

    def refuse_mixture(self) -> None:
        """Raises ScheduleRefused unless it has either a cron and a start, or a list of windows, or no clock."""
        if self.event is not None:
            self._refuse_clock(self.event)
            return
        if self.windows is None and self.cron and self.start:
            return
        if self.windows is not None and not self.cron:
            return
        missing = [name for name in ("cron", "start") if not getattr(self, name)]
        reason = (
            f"{' and '.join(missing)} is missing"
            if self.windows is None
            else "it has both `cron` and `windows`"
        )
        raise ScheduleRefused(
            self.cron or "",
            self.timezone,
            reason,
            "Give it `cron` and `start`, or `windows` with the file that lists them, or `event` for a DAG without a "
            "clock",
        )

    def _refuse_clock(self, event: str) -> None:
        given = [name for name in ("cron", "start", "end", "windows") if getattr(self, name)]
        given += ["occasion: tick"] if self.of_ticks else []
        if given:
            reason = f"it has `event: {event}` and `{given[0]}`"
            remedy = "A DAG without a clock has no windows: remove one of the two"
            raise ScheduleRefused(self.cron or "", self.timezone, reason, remedy)

    @property
    def of_ticks(self) -> bool:
        return self.occasion == "tick"

    def without_clock(self) -> EventSchedule | None:
        """None for a schedule with windows. Raises a ParityError for an impossible one."""
        if self.event is None:
            return None
        self.refuse_mixture()
        try:
            return EventSchedule(EventKind(self.event), self.timezone)
        except ValueError as error:
            raise ScheduleRefused("", self.timezone, str(error), "Write a name like Europe/Berlin") from error

    def starters(self, unit: str) -> Starters | None:
        """None if nothing is said. Raises a ParityError for what cannot start anything."""
        if self.triggered_by is None:
            return None
        if self.event not in _TRIGGERED:
            kind = f"`event: {self.event}`" if self.event else "a clock"
            remedy = "Only a DAG with `event: manual` or `event: datasets` is started by others"
            raise ScheduleRefused(self.cron or "", self.timezone, f"it has {kind} and `triggered_by`", remedy)
        starters = self.triggered_by.starters(unit)
        if (self.event == "manual" and starters.condition) or not (
            starters.triggers or starters.condition or starters.refused
        ):
            reason = "`triggered_by` names datasets" if starters.condition else "`triggered_by` names nothing"
            remedy = (
                "Datasets belong to `event: datasets`; remove `triggered_by` if only people start the DAG"
            )
            raise ScheduleRefused("", self.timezone, reason, remedy)
        return starters

    def waits(self, folder: Path) -> tuple[Wait, ...]:
        """`folder`: where its YAML is. Raises a ParityError for an impossible wait."""
        if self.waits_for and self.event is not None:
            remedy = "A DAG without a clock has no window that could wait: remove one of the two"
            raise ScheduleRefused("", self.timezone, f"it has `event: {self.event}` and `waits_for`", remedy)
        waits = tuple(each.wait(folder) for each in self.waits_for)
        names = [wait.sensor for wait in waits]
        unknown = sorted({name for wait in waits for name in wait.after} - {*names})
        if len({*names}) < len(names) or unknown or len(in_order(waits)) < len(waits):
            reason = (
                "the sensors in `waits_for` have no order" if not unknown else f"no sensor is {unknown[0]}"
            )
            raise ScheduleRefused(
                self.cron or "",
                self.timezone,
                reason,
                "Name each sensor once, and in `after` only others of them",
            )
        return waits

    def partitions(
        self, folder: Path, once: Callable[[Hashable, Callable[[], AnyPartitions]], AnyPartitions]
    ) -> AnyPartitions:
        """`folder`: where its YAML is. `once`: makes a value that units share once, by key. Raises a ParityError for an
        impossible schedule."""
        self.refuse_mixture()
        start, end = self.start or None, self.end or None
        if self.windows is None:
            parts = self.cron or "", self.timezone, start or "", end
            return once((partitioned, self.occasion, *parts), lambda: self._of_cron(*parts))
        listed = read_list(folder / self.windows)
        if listed.of_ticks is not self.of_ticks:
            lists = "ticks" if listed.of_ticks else "windows"
            reason = f"{self.windows} lists {lists}, and `occasion` is {self.occasion}"
            remedy = "Run parity scaffold on the inventory, which writes both"
            raise ScheduleRefused("", self.timezone, reason, remedy)
        listing = listed, self.timezone, start, end
        return once((ListedPartitions, *listing), lambda: ListedPartitions(ListedSchedule.listing(*listing)))

    def _of_cron(self, cron: str, timezone: str, start: str, end: str | None) -> AnyPartitions:
        parts = cron, timezone, start, end
        return partitioned(TickSchedule.of(*parts)) if self.of_ticks else partitioned(Schedule.of(*parts))
