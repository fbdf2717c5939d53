"""Where the time of a proxied task goes: between its start and its end in Airflow, as Dagster's event log has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from dagster_defs.adapters.airflow.rows import TaskInstance

if TYPE_CHECKING:
    import dagster as dg

# The event that ends each phase, in the order in which they happen, and the phase's name.
PHASES = {
    "created": "the task's own start, look-up and launch",
    "RUN_START": "the run's worker starts",
    "STEP_START": "the step starts",
    "first": "dbt to its first result",
    "last": "dbt to its last result",
    "STEP_SUCCESS": "the step ends",
    "RUN_SUCCESS": "the run ends",
    "task ends": "the task has seen it",
}
_AIRFLOW_RUN = "dagster-airlift/airflow-dag-run-id"
_RESULTS = ("ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "ASSET_OBSERVATION")


def phases(began: float, moments: Mapping[str, float]) -> dict[str, float]:
    """Seconds of each phase, from `began` on; a phase whose end is not known is counted as part of the next."""
    seconds_of: dict[str, float] = {}
    for moment, name in PHASES.items():
        if moment in moments:
            seconds_of[name] = moments[moment] - began
            began = moments[moment]
    return seconds_of


def medians(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each phase over several tasks."""
    return {name: median(phases.get(name, 0.0) for phases in several) for name in PHASES.values()}


def print_phases(console: Console, title: str, columns: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """`columns`: the phases of each way's tasks, by its name."""
    table = Table("", *columns, title=title, box=None, title_justify="left", header_style="bold")
    by_way = [medians(several) for several in columns.values()]
    for name in PHASES.values():
        table.add_row(name, *(f"{phases[name]:.1f}" for phases in by_way))
    console.print(table)


def phases_of(task: TaskInstance, instance: dg.DagsterInstance) -> dict[str, float]:
    """The phases of the newest Dagster run that the task has launched."""
    import dagster as dg

    assert task.start is not None  # noqa: S101 - a task that has ended has started
    assert task.end is not None  # noqa: S101 - it has ended
    record = instance.get_run_records(dg.RunsFilter(tags={_AIRFLOW_RUN: task.run_id}), limit=1)[0]
    events = (
        (entry.dagster_event.event_type_value, entry.timestamp)
        for entry in instance.all_logs(record.dagster_run.run_id)
        if entry.dagster_event is not None
    )
    moments = {
        "created": record.create_timestamp.timestamp(),
        **moments_of(events),
        "task ends": task.end.timestamp(),
    }
    return phases(task.start.timestamp(), moments)


def moments_of(events: Iterable[tuple[str, float]]) -> dict[str, float]:
    """When the run's turning points were, from its events' types and times."""
    moments: dict[str, float] = {}
    for kind, at in events:
        name = kind.replace("PIPELINE", "RUN")  # what Dagster stores for a run's own events
        if name in _RESULTS:
            moments.setdefault("first", at)
            moments["last"] = at
        elif name in PHASES:
            moments[name] = at
    return moments
