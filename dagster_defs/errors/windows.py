"""Schedules, windows, partitions and templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dagster_defs.errors.base import ParityError, UsageError


class InvalidWindow(ParityError):
    """`start` and `end` are ISO text, because an invalid window cannot be a `Window`."""

    def __init__(self, start: str, end: str, reason: str = "a window ends after it starts") -> None:
        self.start, self.end, self.reason = start, end, reason
        super().__init__(
            f"[{start}, {end}) is not a window: {reason}. An empty interval comes from a cron trigger timetable "
            "or from a manual run; use the schedule's own data interval"
        )


class ScheduleRefused(UsageError):
    def __init__(self, schedule: str, timezone: str, reason: str, remedy: str) -> None:
        self.schedule, self.timezone, self.reason, self.remedy = schedule, timezone, reason, remedy
        super().__init__(f"schedule {schedule!r} in time zone {timezone!r} is refused: {reason}. {remedy}")


class BadWindowList(UsageError):
    """`file` is empty if the list does not come from a file."""

    def __init__(self, reason: str, file: str = "") -> None:
        self.reason, self.file = reason, file
        super().__init__(f"{file or 'the list of windows'}: {reason}")


class DoesNotAdvance(ParityError):
    """ISO instants: after a window that ends at `at`, Airflow's next window starts at `step`."""

    def __init__(self, schedule: str, timezone: str, at: str, step: str) -> None:
        self.schedule, self.timezone, self.at, self.step = schedule, timezone, at, step
        super().__init__(
            f"schedule {schedule!r} in {timezone} does not advance: after {at} Airflow's own timetable "
            f"goes to {step}. It counts elapsed time between boundaries, and the clock changes between these two; "
            "declare the schedule in UTC, or choose a window away from the change"
        )


class Unaligned(ParityError):
    """An interval or a tick without a partition; `nearest` are windows, or ticks, that have one."""

    def __init__(
        self,
        schedule: str,
        interval: str,
        nearest: Sequence[str],
        remedy: str = "It was probably triggered by hand; run the partition of one of these windows",
    ) -> None:
        self.schedule, self.interval, self.nearest = schedule, interval, tuple(nearest)
        near = ", ".join(nearest) or "none"
        super().__init__(f"{interval} is not a window of {schedule}. Nearest: {near}. {remedy}")


class UnknownPartition(UsageError):
    def __init__(self, key: str, schedule: str, reason: str) -> None:
        self.key, self.schedule, self.reason = key, schedule, reason
        super().__init__(f"{key!r} is not a partition of {schedule}: {reason}")


class HasNoWindows(UsageError):
    """A window was requested of a unit whose DAG has no clock."""

    def __init__(self, unit: str, schedule: str) -> None:
        self.unit, self.schedule = unit, schedule
        super().__init__(
            f"{unit} has no windows: its DAG has {schedule}, so each of its runs is compared as a whole. "
            f"Look at them: parity windows {unit}"
        )


class BadOccasion(ParityError):
    """`reason` continues a sentence about one run of a DAG without a clock."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"what is known about the run of the DAG cannot be used: {reason}. Nothing was run")


class NotRangeable(ParityError):
    def __init__(self, unit: str, variables: Sequence[str]) -> None:
        self.unit, self.variables = unit, tuple(variables)
        super().__init__(
            f"{unit} cannot run several windows at once: there may be time between listed windows that belongs to "
            "none of them. Run one partition at a time"
            if not variables
            else f"{unit} cannot run several windows at once: {', '.join(variables)} depends on the window and is "
            "neither its lower nor its upper bound. Declare `bound: lower` or `bound: upper`, or run one "
            "partition at a time"
        )


class BadVariable(UsageError):
    """`reason` continues the sentence after the variable's name."""

    def __init__(self, unit: str, variable: str, reason: str) -> None:
        self.unit, self.variable, self.reason = unit, variable, reason
        super().__init__(f"unit {unit}: variable {variable} {reason}. Correct it in the unit's YAML")


class TemplateBroken(UsageError):
    def __init__(self, text: str, line: int, reason: str) -> None:
        self.text, self.line, self.reason = text, line, reason
        super().__init__(f"template {_short(text)!r}, line {line}: {reason}. Correct the Jinja text")


class TemplateRefused(UsageError):
    """`needs` is the dotted name as the template spells it: `dag_run.conf`, `var.value.bucket`."""

    def __init__(self, text: str, needs: str, reason: str, *, of_event: bool = False) -> None:
        self.text, self.needs, self.reason = text, needs, reason
        remedy = (
            "names that follow from the run alone (run_id, logical_date, ds, dag_run.conf, macros.ds_add, …)"
            if of_event
            else "names that follow from the schedule alone (data_interval_start, data_interval_end, ds, params, "
            "macros.ds_add, …)"
        )
        super().__init__(f"template {_short(text)!r} needs {needs}: {reason}. Use {remedy}")


class TemplateFailed(ParityError):
    """`name` is a window's interval, a tick's instant or a run's id."""

    def __init__(self, text: str, kind: Literal["window", "tick", "run"], name: str, reason: str) -> None:
        self.text, self.kind, self.name, self.reason = text, kind, name, reason
        super().__init__(
            f"template {_short(text)!r} fails for {kind} {name}: {reason}. Correct the expression"
        )


def _short(text: str, most: int = 500) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
