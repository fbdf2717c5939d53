"""What Airflow rendered for a task, value by value beside what a mirror renders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.errors import ParityError
from dagster_defs.inventory.document import Sample, Task
from dagster_defs.inventory.holes import is_known
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.event_facets import rendered_for
from dagster_defs.lifecycle.mirrors import Declared, Rendering
from dagster_defs.lifecycle.operator_facets import SIDE, given_values
from dagster_defs.lifecycle.python_calls import (
    FIELDS,
    NoSignature,
    Signature,
    call_of,
    other_need,
    signature_of,
)
from dagster_defs.windows import EventSchedule, Moment, PartitionVars, Scheduled, scheduled_between
from dagster_defs.windows.values import same, typed


def arguments_facet(task: Task, declared: Declared, event: EventSchedule | None, *, of_ticks: bool) -> Facet:
    given = _Fields(declared) if declared.fields else _function(task, declared)
    if isinstance(given, Facet):
        return given
    differences: list[str] = []
    unknown: set[str] = set()
    compared = 0
    for sample in task.samples:
        if needs := given.needs(sample):
            return Facet("variables", Agreement.UNDETERMINED, "?", "rendered", needs, 0)
        moment: Moment | None = (
            scheduled_as(sample.start, sample.end, of_ticks=of_ticks)
            if event is None
            else rendered_for(event, sample.start, sample.end)
        )
        if moment is None:
            continue
        theirs = given.of(sample.fields)
        try:
            ours = declared.variables.for_window(moment)
        except ParityError as error:
            differences.append(" ".join(str(error).split()))
            continue
        compared += 1
        unknown |= unknown_names(theirs)
        ours = {name: value for name, value in ours.items() if name not in given.of_context}
        differences += differences_between(theirs, ours, moment)
    what = "run" if event else "tick" if of_ticks else "window"
    return rendered_facet("variables", compared, differences, given.of(task.templated), unknown, what)


@dataclass(frozen=True)
class _Fields:
    """The operator's fields that a mirror has."""

    declared: Declared
    of_context: tuple[str, ...] = ()

    def of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return given_values(fields, self.declared)

    def needs(self, sample: Sample) -> str:
        names = self.declared.fields or ("op_kwargs",)
        return next((sample.needs[name] for name in names if name in sample.needs), "")


@dataclass(frozen=True)
class _Arguments:
    """What a function is called with, but for its side and for XComs. `of_context`: what Airflow's context gives it,
    and the mirror's templates with the same names."""

    signature: Signature
    xcoms: Collection[str]
    of_context: tuple[str, ...]

    def of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        given = self.signature.arguments(fields)
        return {name: value for name, value in given.items() if name != SIDE and name not in self.xcoms}

    def needs(self, sample: Sample) -> str:
        if self.xcoms:
            return other_need(sample)
        return next((sample.needs[name] for name in FIELDS if name in sample.needs), "")


def _function(task: Task, declared: Declared) -> _Fields | _Arguments | Facet:
    """A facet if what the mirror calls the function with differs before anything is rendered."""
    try:
        call, signature = call_of(task), signature_of(task.source)
    except NoSignature:
        return _Fields(declared)
    if call.xcoms != declared.xcoms:
        legacy, mine = (", ".join(f"{name}={xcom}" for name, xcom in sorted(each.items())) or "none"
                        for each in (call.xcoms, declared.xcoms))  # fmt: skip
        return Facet("variables", Agreement.DIFFERS, f"XComs {legacy}", f"XComs {mine}")
    templates = declared.variables.variables if isinstance(declared.variables, PartitionVars) else ()
    same_name = {each.name for each in templates if each.value == f"{{{{ {each.name} }}}}"}
    return _Arguments(signature, call.xcoms, tuple(same_name.intersection(call.of_context)))


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
