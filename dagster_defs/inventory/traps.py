"""Traps: what looks right in the DAG but is not, or what a mirror would have to know. Codes are stable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta

from dagster_defs.inventory.arguments import SELECTING, Kind
from dagster_defs.inventory.convention import Convention, NamedWindow
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.models import ModelTime, UpperBound
from dagster_defs.inventory.pairing import Reading
from dagster_defs.inventory.records import Trap, UnitReading, Warn
from dagster_defs.older_python import datetime_of

# Nothing recurs: there is no window that a schedule could have meant.
_UNSCHEDULED = frozenset({"none", "once", "continuous", "dataset", "asset"})

_UTC = frozenset({"UTC", "Etc/UTC", "Etc/GMT", "GMT", "Etc/UCT", "Zulu"})
# `ds` and its derivatives; not the filter `| ds`, which uses the zone of its input.
_UTC_NAMES = re.compile(r"(?<!\|)(?<!\| )\b(?:yesterday_|tomorrow_|prev_|next_)?ds(?:_nodash)?\b(?!_)")

TimeOf = Callable[[str], ModelTime]


def of_task(task: Task, dag: Dag, reading: Reading, unit: UnitReading) -> Iterator[Warn]:
    """What the DAG's own text and its rendered values show."""
    if unit.may_run_dbt or all(kind is Kind.NON_DBT for kind in unit.kinds):
        return
    for program in reading.beside:
        yield Warn(Trap.NOT_SEEN_THROUGH, f"{program} runs beside dbt, and may do anything")
    if names := sorted({name for call in unit.invocations for name in call.unread_env}):
        yield Warn(
            Trap.UNREAD_ENVIRONMENT,
            f"the task sets {', '.join(names)}, and the dbt project has no env_var() that asks for it",
        )
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
    if options := [option for call in unit.invocations for option in call.fewer_rows]:
        yield Warn(
            Trap.FEWER_ROWS,
            f"{', '.join(dict.fromkeys(options))}: models are built from a part of their rows, or from none",
        )
    if unit.window.utc_date:
        yield Warn(
            Trap.UTC_DATE,
            f"{_bounds(unit)}: the UTC date, not the local one of {dag.timezone} at that moment",
        )
    elif _UTC_NAMES.search(_bounds(unit)) and dag.timezone not in _UTC:
        yield Warn(
            Trap.UTC_DATE,
            f"{_bounds(unit)}: a UTC date in a schedule of {dag.timezone}; in the rendered windows both dates are "
            "the same, at another hour they are not",
        )
    if unit.window_determined and _is_irregular(unit.window):
        yield Warn(
            Trap.IRREGULAR_WINDOW,
            f"{_bounds(unit)}: {_why_irregular(unit)}",
        )
    if names := _several_windows(unit):
        yield Warn(
            Trap.SEVERAL_WINDOWS,
            f"{', '.join(names)}: not the same in all dbt calls of the task; the window is that of the first",
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
    days = unit.window.shape in (Convention.HALF_OPEN, Convention.PREVIOUS_DAY, Convention.INCLUSIVE_DAY)
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
    builders: dict[tuple[str, str], list[str]] = {}
    for unit in units:
        for node in unit.models:
            if not node.startswith(("test.", "unit_test.", "source.")):
                builders.setdefault((unit.project, node), []).append(unit.name)
    shared: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for (_, node), names in sorted(builders.items()):
        for name in names:
            if others := tuple(other for other in names if other != name):
                shared.setdefault(name, {}).setdefault(others, []).append(node)
    return {
        name: [
            Warn(Trap.OVERLAPPING_MODELS, f"{_several(others)} {_listed(nodes)} too")
            for others, nodes in by_builders.items()
        ]
        for name, by_builders in shared.items()
    }


def _several(units: Sequence[str]) -> str:
    if len(units) == 1:
        return f"{units[0]} builds"
    more = f" and {len(units) - 3} more" if len(units) > 3 else ""
    return f"{', '.join(units[:3])}{more} build"


def _why_irregular(unit: UnitReading) -> str:
    intervals = [(each.start, each.end) for call in unit.invocations for each in call.rendered]
    lengths = [datetime_of(end) - datetime_of(start) for start, end in intervals]
    if unit.window.start == unit.window.end and any(length < timedelta(hours=20) for length in lengths):
        return "one value alone says no window that is shorter than a day"
    return "neither the window nor its day, nor the day before"


def _is_irregular(window: NamedWindow) -> bool:
    """True also if the convention only names the carrier and the values do not form a window."""
    irregular = window.shape is Convention.IRREGULAR and window.start != window.end
    return window.convention is Convention.IRREGULAR or irregular


def _several_windows(unit: UnitReading) -> list[str]:
    """Variables and event times that bound the window and differ between the calls that build or test."""
    bounds: dict[str, set[str]] = {}
    for invocation in unit.invocations:
        if invocation.selection.command not in SELECTING:
            continue
        given = {**invocation.vars, **(invocation.event_time or {})}
        for name in (unit.window.start_name, unit.window.end_name):
            if name and given.get(name) is not None:
                bounds.setdefault(name, set()).add(str(given[name]))
    return [name for name, texts in bounds.items() if len(texts) > 1]


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
