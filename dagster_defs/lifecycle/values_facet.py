"""What Airflow rendered for a task, value by value beside what a mirror renders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dagster_defs.errors import ParityError
from dagster_defs.inventory.document import Task
from dagster_defs.inventory.holes import is_known
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.event_facets import rendered_for
from dagster_defs.lifecycle.mirrors import Declared, Rendering
from dagster_defs.lifecycle.operator_facets import given_values
from dagster_defs.windows import EventSchedule, Moment, Scheduled, scheduled_between
from dagster_defs.windows.values import same, typed


def arguments_facet(task: Task, declared: Declared, event: EventSchedule | None, *, of_ticks: bool) -> Facet:
    names = declared.fields or ("op_kwargs",)
    written = given_values(task.templated, declared)
    differences: list[str] = []
    unknown: set[str] = set()
    compared = 0
    for sample in task.samples:
        if needs := next((sample.needs[name] for name in names if name in sample.needs), ""):
            return Facet("variables", Agreement.UNDETERMINED, "?", "rendered", needs, 0)
        moment: Moment | None = (
            scheduled_as(sample.start, sample.end, of_ticks=of_ticks)
            if event is None
            else rendered_for(event, sample.start, sample.end)
        )
        if moment is None:
            continue
        theirs = given_values(sample.fields, declared)
        try:
            ours = declared.variables.for_window(moment)
        except ParityError as error:
            differences.append(" ".join(str(error).split()))
            continue
        compared += 1
        unknown |= unknown_names(theirs)
        differences += differences_between(theirs, ours, moment)
    what = "run" if event else "tick" if of_ticks else "window"
    return rendered_facet("variables", compared, differences, written, unknown, what)


def unknown_names(theirs: Mapping[Any, Any]) -> set[str]:
    """Variables whose value the exporter masked or could not know."""
    return {str(name) for name, value in theirs.items() if not is_known({name: value})}


def rendered_facet(
    name: str,
    compared: int,
    differences: Sequence[str],
    templates: Mapping[str, Any],
    unknown: Iterable[str],
    what: str,
) -> Facet:
    legacy = ", ".join(f"{key}={text}" for key, text in templates.items()) or "none"
    if differences:
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        return Facet(name, Agreement.DIFFERS, legacy, "others", differences[0] + more, compared)
    if not compared:
        reason = f"Airflow has not rendered it for any {what}"
        return Facet(name, Agreement.UNDETERMINED, legacy, "rendered", reason, 0)
    if names := ", ".join(sorted(unknown)):
        detail = f"Airflow's value of {names} is masked in the inventory, or known only while the task runs"
        return Facet(name, Agreement.UNDETERMINED, legacy, "rendered", detail, compared)
    where = f"in {compared} run that the exporter rendered" if what == "run" else f"in {compared} {what}s"
    return Facet(name, Agreement.AGREES, legacy, "the same", where, compared)


def differences_between(theirs: Mapping[Any, Any], ours: Mapping[str, Any], window: Moment) -> Iterator[str]:
    """The known differences. A masked value is never one, whatever the mirror says; a masked name may be any name."""
    any_name = any(not is_known(name) for name in theirs)
    for name in sorted(theirs.keys() | ours.keys(), key=str):
        if name in theirs and name in ours and same(theirs[name], ours[name]):
            continue
        if name in theirs and (not is_known(name) or (name in ours and not is_known(theirs[name]))):
            continue
        if name not in theirs and any_name:
            continue
        here, there = (typed(each[name]) if name in each else "missing" for each in (theirs, ours))
        yield f"{name} of {window}: {here} in Airflow, {there} in the mirror"


def event_times_of(event_times: Rendering | None, window: Moment) -> dict[str, str]:
    if event_times is None:
        return {}
    return {f"event-time-{end}": text for end, text in event_times.for_window(window).items()}


def environment_of(environment: Rendering | None, window: Moment) -> dict[str, str]:
    if environment is None:
        return {}
    return {in_env(name): text for name, text in environment.for_window(window).items()}


def in_env(name: str) -> str:
    """How an environment variable is told from a variable of dbt's of the same name."""
    return f"env {name}"


def scheduled_as(start: str, end: str, *, of_ticks: bool) -> Scheduled | None:
    """None for a run whose interval is not of the mirror's kind."""
    return scheduled_between(start, end) if (start == end) is of_ticks else None
