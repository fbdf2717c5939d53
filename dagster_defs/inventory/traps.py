"""Traps: what looks right in the DAG and is not, or what a mirror would have to know. Codes are stable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

from dagster_defs.inventory.arguments import SELECTING, Kind
from dagster_defs.inventory.convention import Convention
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.models import ModelTime, UpperBound
from dagster_defs.inventory.pairing import Reading
from dagster_defs.inventory.records import Trap, UnitReading, Warn

# Nothing recurs: there is no window that a schedule could have meant.
_UNSCHEDULED = frozenset({"none", "once", "continuous", "dataset", "asset"})

TimeOf = Callable[[str], ModelTime]


def of_task(task: Task, dag: Dag, reading: Reading, unit: UnitReading) -> Iterator[Warn]:
    """What the DAG's own text and its rendered values show."""
    if all(kind is Kind.NON_DBT for kind in unit.kinds):
        return
    masked = [read.shape for read in reading.base if read.call.masked and not read.call.skips]
    if masked:
        named = ", ".join(f"dbt {name}" for name in dict.fromkeys(masked))
        yield Warn(Trap.MASKED_FAILURE, f"{named} can fail and the task stays green: its exit code is lost")
    if any(read.call.skips for read in reading.base):
        yield Warn(
            Trap.SKIP_EXIT_CODE,
            "exit code 99 means skipped to Airflow: a failing dbt call does not fail the task",
        )
    if dag.schedule.interval_is_empty and dag.schedule.kind not in _UNSCHEDULED:
        yield Warn(
            Trap.EMPTY_WINDOW,
            f"schedule {dag.schedule.text} ({dag.schedule.kind}) gives windows of zero length: "
            "data_interval_start equals data_interval_end",
        )
    if task.depends_on_past:
        yield Warn(
            Trap.DEPENDS_ON_PAST, "depends_on_past: a window runs only after the one before it succeeded"
        )
    if _refreshes_on_branch(reading):
        yield Warn(
            Trap.FULL_REFRESH_ON_BRANCH,
            "a full refresh depends on a condition: on that branch every window is rebuilt, not this one",
        )
    if names := _date_objects(reading):
        yield Warn(
            Trap.DATE_OBJECT,
            f"{', '.join(names)}: a date without quotes is a date object in YAML, not a text",
        )
    if unit.window.utc_date:
        yield Warn(
            Trap.UTC_DATE,
            f"{_bounds(unit)}: the UTC date, not the local one of {dag.timezone} at that moment",
        )


def of_models(unit: UnitReading, time_of: TimeOf) -> Iterator[Warn]:
    """What the code of the models that a unit builds shows."""
    models = sorted(model for model in unit.models if model.startswith("model."))
    times = {model: time_of(model) for model in models}
    if marked := [model for model in models if times[model].watermark]:
        yield Warn(
            Trap.WATERMARK, f"{_listed(marked)}: takes its window from its own newest row (max of this)"
        )
    if clocked := [model for model in models if times[model].wall_clock]:
        yield Warn(Trap.WALL_CLOCK, f"{_listed(clocked)}: reads the wall clock, so a re-run differs")
    upper = unit.window.end_name
    wrong = UpperBound.INCLUSIVE if unit.window.ends_exclusive else UpperBound.EXCLUSIVE
    days = unit.window.convention in (Convention.HALF_OPEN, Convention.PREVIOUS_DAY, Convention.INCLUSIVE_DAY)
    affected = [model for model in models if (upper, wrong) in times[model].uppers]
    if upper and days and affected:
        if wrong is UpperBound.INCLUSIVE:
            text = f"{_listed(affected)}: includes {upper}, the exclusive end of the window: that day is counted twice"
            yield Warn(Trap.INCLUSIVE_UPPER_BOUND, text)
        else:
            text = f"{_listed(affected)}: excludes {upper}, the last day that is meant: that day is left out"
            yield Warn(Trap.EXCLUSIVE_UPPER_BOUND, text)
    for invocation in unit.invocations:
        chosen = invocation.selection.command in SELECTING and invocation.selection_determined
        if chosen and not invocation.models:
            yield Warn(
                Trap.SELECTS_NOTHING,
                f"dbt {' '.join(invocation.selection.arguments)} selects nothing in this project",
            )


def overlaps(units: Sequence[UnitReading]) -> Mapping[str, list[Warn]]:
    """Units that build the same node, by the name of each."""
    builders: dict[str, list[str]] = {}
    for unit in units:
        for node in unit.models:
            if not node.startswith(("test.", "unit_test.", "source.")):
                builders.setdefault(node, []).append(unit.name)
    shared: dict[str, dict[str, list[str]]] = {}
    for node, names in sorted(builders.items()):
        for name in names:
            for other in names:
                if other != name:
                    shared.setdefault(name, {}).setdefault(other, []).append(node)
    return {
        name: [
            Warn(Trap.OVERLAPPING_MODELS, f"{other} builds {_listed(nodes)} too")
            for other, nodes in others.items()
        ]
        for name, others in shared.items()
    }


def _refreshes_on_branch(reading: Reading) -> bool:
    every = (*reading.raw, *reading.base)
    if any(read.optional_refresh for read in every):
        return True
    if any(read.arguments and read.arguments.full_refresh and read.call.conditional for read in every):
        return True
    return any(
        mine.arguments and other.arguments and mine.arguments.full_refresh != other.arguments.full_refresh
        for mine, other in zip(reading.raw, reading.base, strict=False)
    )


def _date_objects(reading: Reading) -> list[str]:
    values = [item for read in reading.base if read.arguments for item in (read.arguments.vars or {}).items()]
    return sorted({str(name) for name, value in values if isinstance(value, date)})


def _bounds(unit: UnitReading) -> str:
    return ", ".join(dict.fromkeys(text for text in (unit.window.start, unit.window.end) if text))


def _listed(nodes: Sequence[str]) -> str:
    names = [node.rpartition(".")[2] for node in nodes]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
