"""A mirror beside what Airflow itself says about its task: one facet for each property that must be equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from dagster_defs.errors import ParityError
from dagster_defs.inventory.arguments import REFRESHING, SELECTING
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.records import Invocation, UnitReading
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.beside_dbt import beside_dbt
from dagster_defs.lifecycle.environment_facet import environment_facet
from dagster_defs.lifecycle.event_facets import event_facet, occasion_of
from dagster_defs.lifecycle.mirrors import Declared
from dagster_defs.lifecycle.occasion_facet import other_occasions
from dagster_defs.lifecycle.operator_facets import (
    field_selection,
    operator_ordering,
    operator_selection,
    operator_variables,
)
from dagster_defs.lifecycle.promises import promise_facets
from dagster_defs.lifecycle.runtime_facet import NO_RUNTIME, Runtime, runtime_facet
from dagster_defs.lifecycle.settings import MAY_BE_UNKNOWN
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.lifecycle.units import Unit
from dagster_defs.lifecycle.values_facet import (
    arguments_facet,
    differences_between,
    environment_of,
    event_times_of,
    in_env,
    rendered_facet,
    scheduled_as,
    unknown_names,
)
from dagster_defs.lifecycle.waits import Wait
from dagster_defs.lifecycle.waits_facet import with_waits
from dagster_defs.older_python import date_of, datetime_of
from dagster_defs.windows import (
    EventSchedule,
    OccasionKind,
    Partitions,
    Recurring,
    Scheduled,
    Times,
    about,
    instant_text,
    scheduled_between,
    zone_named,
)
from dagster_defs.windows.values import as_text

__all__ = [
    "Agreement",
    "Facet",
    "LegacyUnit",
    "MirroredUnit",
    "UnitFacets",
    "facets_of",
    "not_in_inventory",
]


@dataclass(frozen=True, slots=True)
class LegacyUnit:
    """A task of the inventory; `reading` is None if it runs no dbt. `span` as in the inventory, for a DAG that does not
    record its instants."""

    dag: Dag
    task: Task
    reading: UnitReading | None
    span: tuple[str, str]
    airflow_version: str = ""


@dataclass(frozen=True, slots=True)
class MirroredUnit:
    """`upstream`: the units whose assets this unit's assets are made from, directly or not. `environment`: Dagster's
    own. `runtime`: the dbt of its runs. `starters`: what starts its DAG, if that has no clock. `waits`: what its DAG's
    windows wait for, once it is retired."""

    unit: Unit
    times: Times
    declared: Declared
    upstream: frozenset[Unit]
    mirrored: frozenset[Unit]
    environment: Mapping[str, str] = field(default_factory=dict)
    runtime: Runtime = NO_RUNTIME
    starters: Starters | None = None
    waits: Sequence[Wait] = ()


@dataclass(frozen=True, slots=True)
class UnitFacets:
    unit: Unit
    facets: tuple[Facet, ...]

    @property
    def differing(self) -> tuple[str, ...]:
        return tuple(facet.name for facet in self.facets if facet.agrees is Agreement.DIFFERS)

    @property
    def undetermined(self) -> tuple[str, ...]:
        return tuple(facet.name for facet in self.facets if facet.agrees is Agreement.UNDETERMINED)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The undetermined ones that may be, because nothing is known of Airflow's side."""
        undetermined = (facet for facet in self.facets if facet.agrees is Agreement.UNDETERMINED)
        return tuple(f.name for f in undetermined if f.name in MAY_BE_UNKNOWN and not f.compared)

    @property
    def summary(self) -> str:
        """`14/14`, `13/14 (windows)` with the facets that differ, `12/14 (2 undetermined)`."""
        agreeing = len(self.facets) - len(self.differing) - len(self.undetermined)
        notes = [*self.differing, *([f"{len(self.undetermined)} undetermined"] if self.undetermined else [])]
        return f"{agreeing}/{len(self.facets)}" + (f" ({', '.join(notes)})" if notes else "")

    def as_json(self) -> dict[str, Any]:
        return {"unit": str(self.unit), "facets": [facet.as_json() for facet in self.facets]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> UnitFacets:
        """Raises KeyError, ValueError or BadUnit for anything that `as_json` does not write."""
        return cls(Unit.parse(document["unit"]), tuple(map(Facet.from_json, document["facets"])))


_OF_A_CLOCK = {
    OccasionKind.WINDOW: ("cron", "delta"),
    OccasionKind.TICK: ("cron-trigger", "delta-trigger"),
}


def facets_of(legacy: LegacyUnit, mirror: MirroredUnit) -> tuple[Facet, ...]:
    """Always the same facets, in this order (`settings.FACETS`)."""
    ordering = with_waits(ordering_facet(legacy, mirror), legacy.dag, mirror.waits)
    return (
        event_facet(legacy.dag, mirror.times, mirror.starters)
        if isinstance(mirror.times, EventSchedule)
        else windows_facet(legacy, mirror.times),
        variables_facet(legacy, mirror.declared, mirror.times),
        selection_facet(legacy, mirror.declared),
        operator_ordering(legacy.task, ordering) if mirror.declared.operator_itself else ordering,
        *promise_facets(legacy.dag, legacy.task, mirror.declared),
        environment_facet(legacy.reading, mirror.environment, mirror.declared),
        runtime_facet(legacy.task.team.dbt, mirror.runtime, runs_dbt=mirror.declared.nodes is not None),
    )


def not_in_inventory(unit: Unit) -> UnitFacets:
    """A mirror of a task that Airflow does not have."""
    detail = "the inventory has no such task"
    return UnitFacets(unit, (Facet("task", Agreement.DIFFERS, "none", str(unit), detail),))


def windows_facet(legacy: LegacyUnit, partitions: Partitions[Scheduled]) -> Facet:
    """The task's windows in the inventory's span compared with the mirror's, and each with its partition's."""
    dag, schedule = legacy.dag, partitions.schedule
    in_airflow = f"{dag.schedule.text} in {dag.schedule.timezone}"
    if dag.bounds_move:
        return Facet("windows", Agreement.UNDETERMINED, in_airflow, str(schedule), dag.why_it_moves, 0)
    if other := other_occasions(dag, about(partitions), str(schedule)):
        return other
    windows = dag.windows_of(legacy.task)
    if not windows:
        has_rule = dag.schedule.kind in _OF_A_CLOCK[about(partitions)] or schedule.known_until is not None
        verdict = Agreement.UNDETERMINED if has_rule else Agreement.DIFFERS
        detail = dag.why_no_window(legacy.task) or "Airflow has no window in the inventory's span"
        if other_bounds := _other_bounds(legacy, partitions):
            verdict, detail = Agreement.DIFFERS, other_bounds
        return Facet("windows", verdict, in_airflow, str(schedule), detail, 0)
    what = "ticks" if partitions.of_ticks else "windows"
    if any((start == end) is not partitions.of_ticks for start, end in windows):
        odd = "a length" if partitions.of_ticks else "empty windows"
        detail = f"some of Airflow's runs have {odd}: they are no {what}"
        return Facet("windows", Agreement.DIFFERS, in_airflow, str(schedule), detail, len(windows))
    theirs = [scheduled_between(start, end) for start, end in windows]
    try:
        ours = list(islice(_own_windows(legacy, partitions), 2 * len(theirs) + 1000))
    except ParityError as error:
        return Facet("windows", Agreement.UNDETERMINED, in_airflow, str(schedule), str(error), 0)
    missing, extra = set(theirs) - set(ours), set(ours) - set(theirs)
    missing, alone = _not_listed(missing, schedule)
    alone += [f"{len(missing)} {what} exist only in Airflow, first {_first(missing)}"] if missing else []
    alone += [f"{len(extra)} exist only in the mirror, first {_first(extra)}"] if extra else []
    unaligned = _without_partition([window for window in theirs if window not in missing], partitions)
    alone += [f"{len(unaligned)} have no partition, first {unaligned[0]}"] if unaligned else []
    if other_bounds := _other_bounds(legacy, partitions):
        alone.append(other_bounds)
    return Facet(
        "windows",
        Agreement.DIFFERS if alone else Agreement.AGREES,
        f"{len(theirs)} of {in_airflow}",
        f"{len(ours)} of {schedule}",
        "; ".join(alone) or _after_the_end(dag, partitions),
        len(theirs),
    )


def _first(windows: Iterable[Scheduled]) -> Scheduled:
    return min(windows, key=lambda window: window.start)


def _not_listed(missing: set[Scheduled], schedule: Recurring[Scheduled]) -> tuple[set[Scheduled], list[str]]:
    """The missing windows up to the end of the mirror's list, and a sentence about the later ones."""
    if (until := schedule.known_until) is None:
        return missing, []
    later = {window for window in missing if window.start >= until}
    sentence = (
        f"{len(later)} windows begin after {instant_text(until)}, where the mirror's list ends: run parity scaffold on "
        "this inventory"
    )
    return missing - later, [sentence] if later else []


def _own_windows(legacy: LegacyUnit, partitions: Partitions[Scheduled]) -> Iterator[Scheduled]:
    """The mirror's windows that start inside the span; if the mirror goes on after the DAG's end, only up to that
    end."""
    from_, until = _span(legacy)
    if legacy.dag.windows_cut:
        until = datetime_of(legacy.dag.windows[-1][0]) + timedelta(seconds=1)
    end = None if legacy.dag.end is None else datetime_of(legacy.dag.end)
    for window in partitions.schedule.windows(from_, until):
        if end is not None and partitions.schedule.end is None and window.start > end:
            return
        yield window


def _span(legacy: LegacyUnit) -> tuple[datetime | None, datetime | None]:
    """The inventory's span as instants. Older exporters did not write them and read the days in the schedule's zone."""
    if legacy.dag.span is not None:
        start, end = map(datetime_of, legacy.dag.span)
        return start, end
    zone = zone_named(legacy.dag.schedule.timezone)
    first, last = _midnight(legacy.span[0]), _midnight(legacy.span[1])
    return zone.convert(first) if first else None, zone.convert(last + timedelta(days=1)) if last else None


def _midnight(day: str) -> datetime | None:
    return datetime.combine(date_of(day[:10]), datetime.min.time()) if day else None


def _without_partition(windows: Sequence[Scheduled], partitions: Partitions[Scheduled]) -> list[Scheduled]:
    """The windows that are no partition's. All partitions between the first and the last are counted in one pass: to
    look for each by itself takes minutes for a DAG that runs every minute."""
    found: set[Scheduled] = set()
    with suppress(ParityError, IndexError):
        first, last = windows[0], windows[-1]
        found.update(partitions.windows_between(partitions.key_of(first), partitions.key_of(last)))
    return [each for each in windows if each not in found and not _has_partition(each, partitions)]


def _has_partition(window: Scheduled, partitions: Partitions[Scheduled]) -> bool:
    try:
        return partitions.window_of(partitions.key_of(window)) == window
    except ParityError:
        return False


def _other_bounds(legacy: LegacyUnit, partitions: Partitions[Scheduled]) -> str:
    """How the mirror's first or last window differs from the task's, if the task has bounds of its own, inside or
    outside the inventory's span."""
    dag, schedule = legacy.dag, partitions.schedule
    start, end = dag.bounds_of(legacy.task)
    differences = []
    if start is not None and legacy.task.start not in (None, dag.start):
        theirs, ours = schedule.align_to_next(start), schedule.align_to_next(schedule.start)
        if theirs != ours:
            differences.append(
                f"the task starts {start.isoformat()}, the mirror {schedule.start.isoformat()}"
            )
    if end is not None and legacy.task.end not in (None, dag.end):
        if schedule.end is None:
            differences.append(f"the task ends {end.isoformat()}, the mirror goes on")
        elif schedule.align_to_prev(end) != schedule.align_to_prev(schedule.end):
            differences.append(f"the task ends {end.isoformat()}, the mirror {schedule.end.isoformat()}")
    return "; ".join(differences)


def _after_the_end(dag: Dag, partitions: Partitions[Scheduled]) -> str:
    if dag.end is None or partitions.schedule.end is not None:
        return ""
    return f"the DAG ends {dag.end}, the mirror goes on"


def variables_facet(legacy: LegacyUnit, declared: Declared, times: Times | None = None) -> Facet:
    """What dbt or the function gets for every window, or run, that Airflow rendered, compared with the mirror's values.

    `times`: the mirror's; None counts as windows.
    """
    event = times if isinstance(times, EventSchedule) else None
    of_ticks = event is None and times is not None and about(times) is OccasionKind.TICK
    what = "run" if event else "tick" if of_ticks else "window"
    if declared.operator_itself:
        return operator_variables(legacy.dag, legacy.task, of_event=event is not None)
    if legacy.reading is None or declared.fields:
        return arguments_facet(legacy.task, declared, event, of_ticks=of_ticks)
    reading = legacy.reading
    calls = _calls(reading, declared)
    known = reading.window_determined or (event is not None and reading.selection_determined)
    if not known or not calls:
        reason = reading.reason or f"Airflow's task runs no dbt {declared.runs}"
        return Facet("variables", Agreement.UNDETERMINED, "?", "rendered", reason, 0)
    differences: list[str] = []
    unknown: set[str] = set()
    compared = 0
    for call in calls:
        set_by_mirror = declared.environment.names if declared.environment else ()
        if left_out := [name for name in call.moving_env if name not in set_by_mirror]:
            differences.append(
                f"the environment carries the window ({', '.join(left_out)}), but the mirror does not"
            )
        for rendered in call.rendered:
            window = occasion_of(legacy.dag, event, rendered.start, rendered.end) or scheduled_as(
                rendered.start, rendered.end, of_ticks=of_ticks
            )
            if window is None:
                continue
            theirs: dict[Any, Any] = dict(rendered.vars)
            theirs |= {
                f"event-time-{end}": as_text(value) for end, value in (rendered.event_time or {}).items()
            }
            theirs |= {in_env(name): rendered.env[name] for name in set_by_mirror if name in rendered.env}
            try:
                ours = {
                    **declared.variables.for_window(window),
                    **event_times_of(declared.event_times, window),
                    **environment_of(declared.environment, window),
                }
            except ParityError as error:
                differences.append(" ".join(str(error).split()))
                continue
            compared += 1
            unknown |= unknown_names(theirs)
            differences += differences_between(theirs, ours, window)
    templates = {**calls[0].vars, **{f"event-time-{k}": v for k, v in (calls[0].event_time or {}).items()}}
    facet = rendered_facet("variables", compared, differences, templates, unknown, what)
    own = {
        *(declared.environment.names if declared.environment else ()),
        *declared.required,
        *declared.labels,
    }
    constant = sorted({name for call in calls for name in call.constant_env} - own)
    note = f"; the task sets {', '.join(constant)} for dbt: set the same for Dagster" if constant else ""
    return replace(facet, detail=facet.detail + note)


def _calls(reading: UnitReading, declared: Declared) -> list[Invocation]:
    """The dbt calls that the mirror's call stands for: those with its command, else all that select something."""
    selecting = [call for call in reading.invocations if call.selection.command in SELECTING]
    return [call for call in selecting if call.selection.command == declared.runs] or selecting


def selection_facet(legacy: LegacyUnit, declared: Declared) -> Facet:
    """The models, snapshots, seeds and tests that dbt would execute, by unique id; or the function."""
    if declared.operator_itself:
        return operator_selection(legacy.task, legacy.airflow_version, declared.runs)
    if declared.fields:
        return field_selection(legacy.task, declared.fields[0], declared.runs)
    reading = legacy.reading
    if reading is None or declared.nodes is None:
        theirs = legacy.task.callable_name or (reading.kind.value if reading else "no dbt")
        verdict = Agreement.AGREES if theirs == declared.runs else Agreement.DIFFERS
        return Facet("selection", verdict, theirs, declared.runs)
    mine = f"dbt {declared.runs}, {len(declared.nodes)} nodes"
    if not reading.selection_determined:
        return Facet("selection", Agreement.UNDETERMINED, "?", mine, reading.reason, 0)
    reasons = [declared.unsure, *(call.unsure for call in reading.invocations)]
    if unsure := "; ".join(dict.fromkeys(filter(None, reasons))):
        return Facet("selection", Agreement.UNDETERMINED, "?", mine, unsure, 0)
    nodes = frozenset(node for node in reading.models if not node.startswith("source."))
    missing, extra = sorted(nodes - declared.nodes), sorted(declared.nodes - nodes)
    alone = [f"only in Airflow: {_some(missing)}"] if missing else []
    alone += [f"only in the mirror: {_some(extra)}"] if extra else []
    refreshed = {call.full_refresh for call in reading.invocations if call.selection.command in REFRESHING}
    if declared.full_refresh not in refreshed or len(refreshed) > 1:
        if True in refreshed:
            alone.append("only in Airflow: --full-refresh")
        elif declared.full_refresh:
            alone.append("only in the mirror: --full-refresh")
    fewer = dict.fromkeys(option for call in reading.invocations for option in call.fewer_rows)
    alone += [f"only in Airflow: {option}" for option in fewer]
    commands = " && ".join(f"dbt {call.selection.command}" for call in reading.invocations)
    verdict = Agreement.DIFFERS if alone else Agreement.AGREES
    detail = "; ".join([*alone, *beside_dbt(reading, declared)])
    return Facet("selection", verdict, f"{commands}, {len(nodes)} nodes", mine, detail, len(nodes))


def _some(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def ordering_facet(legacy: LegacyUnit, mirror: MirroredUnit) -> Facet:
    """Airflow's order of one DAG's mirrored tasks, compared with the lineage of their assets.

    An order that lineage contradicts differs. An order that lineage does not show is undetermined: Dagster may run the
    unit earlier, and the inventory does not show whether that matters.
    """
    mates = {unit.task_id for unit in mirror.mirrored if unit.dag_id == legacy.dag.dag_id}
    before = legacy.dag.above(legacy.task.task_id) & mates
    lineage = {unit.task_id for unit in mirror.upstream if unit.dag_id == legacy.dag.dag_id}
    after = {name for name in mates if legacy.task.task_id in legacy.dag.above(name)}
    in_airflow, mine = _names("after", before), _names("made from", lineage)
    count = len(before | lineage) or 1
    if reversed_ := sorted(lineage & after):
        detail = f"Airflow runs {', '.join(reversed_)} after it, but it is made from what they write"
        return Facet("ordering", Agreement.DIFFERS, in_airflow, mine, detail, count)
    if unknown := sorted(before - lineage):
        detail = f"nothing that it reads comes from {', '.join(unknown)}: Dagster may run it before"
        return Facet("ordering", Agreement.UNDETERMINED, in_airflow, mine, detail, count)
    detail = f"lineage is stricter: {', '.join(sorted(lineage - before))}" if lineage - before else ""
    return Facet("ordering", Agreement.AGREES, in_airflow, mine, detail, count)


def _names(word: str, units: Iterable[str]) -> str:
    listed = ", ".join(sorted(units))
    return f"{word} {listed}" if listed else "first"
