"""Mirrors for the units of a DAG, as YAML: what Airflow says, and a marked gap for everything that it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any

from dagster_defs.errors import ParityError
from dagster_defs.inventory.arguments import REFRESHING, SELECTING, Kind
from dagster_defs.inventory.callbacks import called, mailed
from dagster_defs.inventory.convention import Carrier, Convention, NamedWindow
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.drafts import DagDraft, Draft
from dagster_defs.inventory.environment import environment_of
from dagster_defs.inventory.records import Invocation, Trap, UnitReading
from dagster_defs.inventory.schedules import Refused, about, listed_windows, schedule_of
from dagster_defs.windows import CronTicks, OccasionKind, WindowList, compile_template
from dagster_defs.windows.values import Source, as_text, same, typed, uncarried, value_as_yaml

MIRRORED = ("build", "run", "snapshot", "seed", "test")
# One run can cover many windows only if the rows between the two bounds are exactly the window's.
BOUNDED = frozenset({Convention.HALF_OPEN, Convention.PREVIOUS_DAY})


ONE_PROJECT: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Place:
    """Where the mirrors will be: `project` is the dbt project, relative to this project's root, and `key_prefix` goes
    before the asset keys of what it builds; `refusal` says why
    Dagster cannot call the function at a dotted path, empty if it can; `crons` are Dagster's own. `default_selector` is
    the one in the project's selectors.yml, or empty. `asks`: whether `env_var()`, rather than Python code, may read a
    variable of this name; `of_profile`: those that dbt's profile reads."""

    project: str
    refusal: Callable[[str], str]
    crons: CronTicks
    default_selector: str = ""
    asks: Callable[[str], bool] = lambda _: True
    of_profile: frozenset[str] = frozenset()
    key_prefix: str = ""


def draft_dag(
    dag: Dag,
    readings: Mapping[str, UnitReading],
    place: Place,
    there: WindowList | None = None,
    places: Mapping[str, Place] = ONE_PROJECT,
) -> DagDraft:
    """`readings` by task id; `there`: the existing list of the DAG's windows; `places`: by the project of a reading,
    if the estate has several.

    Raises BadWindowList if the inventory contradicts it.
    """
    tasks = [task for task in dag.tasks if isinstance(task, Task)]
    listed: WindowList | Refused | None
    try:
        listed = listed_windows(dag, place.crons, there=there)
    except Refused as why:
        listed = why
    read = ((task, readings[task.task_id]) for task in tasks)
    drafts = tuple(
        draft_unit(dag, task, reading, places.get(reading.project, place), listed) for task, reading in read
    )
    if isinstance(listed, Refused):
        return DagDraft(dag, drafts, unlisted=listed)
    return DagDraft(dag, drafts, listed)


@dataclass
class _Attributes:
    """Collected on the way; a refusal keeps the unit from being mirrored."""

    values: dict[str, Any] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def draft_unit(
    dag: Dag, task: Task, reading: UnitReading, place: Place, listed: WindowList | Refused | None = None
) -> Draft:
    """`listed`: the DAG's windows if no cron determines them, or why they cannot be listed."""
    if reading.kind is Kind.NON_DBT:
        operator = task.classes[0].rpartition(".")[2]
        return Draft(reading.name, None, (f"{reading.name} runs no dbt ({operator}).",))
    if reading.may_run_dbt:
        return Draft(reading.name, None, (f"{reading.name}: {_one_line(reading.reason)}",), unseen=True)
    attributes = _Attributes({"unit": reading.name})
    _schedule(dag, task, place.crons, listed, attributes)
    _selection(reading, place, attributes)
    if place.project != "dbt":
        attributes.values["project"] = place.project
    if place.key_prefix:
        attributes.values["key_prefix"] = place.key_prefix
    of = about(dag)
    of_event = of is OccasionKind.EVENT
    _variables(reading, attributes, of)
    _environment(reading, place, attributes, of)
    known = reading.determined or (of_event and _only_the_run_decides(reading))
    if not known and not any(reading.reason in refusal for refusal in attributes.refusals):
        attributes.refusals.append(reading.reason)
    _of_every_mirror(dag, task, attributes)
    if task.mapped:
        attributes.refusals.append("a mapped task: how many instances it has is known only when it runs")
    calls = called(dag, task, place.refusal)
    attributes.values |= {**mailed(task), **calls.attributes}
    attributes.gaps += calls.gaps()
    left_out = _sides(reading, attributes, of)
    if attributes.refusals:
        return Draft(reading.name, None, (), tuple(dict.fromkeys(attributes.refusals)))
    warned = (f"{warning.code.value}: {_one_line(warning.message)}" for warning in reading.warnings)
    notes = (*warned, *attributes.notes)
    return Draft(reading.name, attributes.values, notes, tuple(attributes.gaps), beside=left_out)


def _sides(reading: UnitReading, attributes: _Attributes, of: OccasionKind) -> tuple[str, ...]:
    """Adds the programs that the mirror runs before and after dbt; returns those that it leaves out."""
    taken: set[str] = set()
    left_out: list[str] = []
    for side in reading.sides:
        why = side.why_not or unrendered([*side.words, *side.env.values()], of)
        if why:
            left_out.append(side.said)
            attributes.notes.append(
                f"{side.place.value} dbt, left out: {_one_line(side.said)}: {_one_line(why)}"
            )
            continue
        taken.add(side.said)
        entry: Any = list(side.words)
        if side.may_fail or side.env:
            entry = {
                "run": entry,
                **({"env": dict(side.env)} if side.env else {}),
                **({"may_fail": True} if side.may_fail else {}),
            }
        attributes.values.setdefault(side.place.value, []).append(entry)
    return tuple(dict.fromkeys([*left_out, *(said for said in reading.beside if said not in taken)]))


def unrendered(texts: Sequence[str], of: OccasionKind = OccasionKind.WINDOW) -> str:
    """Why a mirror cannot render one of these templates; empty if it can."""
    for text in texts:
        try:
            compile_template(text, about=of)
        except ParityError as error:
            return str(error)
    return ""


def plain_attributes(draft: DagDraft, task: Task, crons: CronTicks) -> tuple[dict[str, Any], list[str]]:
    """A mirror's attributes whatever its task runs, without the unit's name; and why there cannot be a mirror."""
    dag, attributes = draft.dag, _Attributes()
    _schedule(dag, task, crons, draft.unlisted or draft.listed, attributes)
    _of_every_mirror(dag, task, attributes)
    return attributes.values, attributes.refusals


def _of_every_mirror(dag: Dag, task: Task, attributes: _Attributes) -> None:
    if "." in dag.dag_id:
        attributes.refusals.append(
            "a DAG id with a dot: a unit is named dag_id.task_id, by its first dot. Give the DAG an id without one in "
            "Airflow first"
        )
    if task.owner and task.owner != "airflow" and task.owner.replace("-", "").replace("_", "").isalnum():
        attributes.values["owners"] = [f"team:{task.owner}"]
    if task.pool != "default_pool":
        attributes.values["pool"] = task.pool
    _limits(task, attributes)


def _limits(task: Task, attributes: _Attributes) -> None:
    if task.retries:
        attributes.values |= {"retries": task.retries, "retry_delay": _plain(task.retry_delay)}
    for name, seconds in (("timeout", task.timeout), ("sla", task.sla)):
        if seconds is not None:
            attributes.values[name] = _plain(seconds)
    if task.depends_on_past:
        attributes.values["depends_on_past"] = True


def _plain(seconds: float) -> float:
    """Without a fraction if it is zero, as a person would write it."""
    return int(seconds) if seconds == int(seconds) else seconds


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _schedule(
    dag: Dag, task: Task, crons: CronTicks, listed: WindowList | Refused | None, attributes: _Attributes
) -> None:
    try:
        if isinstance(listed, Refused):
            raise listed
        attributes.values["schedule"] = dict(schedule_of(dag, task, crons, listed))
    except Refused as why:
        attributes.refusals.append(str(why))


def _selection(reading: UnitReading, place: Place, attributes: _Attributes) -> None:
    calls = [call for call in reading.invocations if call.selection.command in SELECTING]
    mirrored = [call for call in calls if call.selection.command in MIRRORED]
    if not mirrored:
        attributes.refusals.append(f"there is no mirror of {', '.join(kind.value for kind in reading.kinds)}")
        return
    commands = [call.selection.command for call in mirrored]
    same = (
        len({(call.selection.select, call.selection.exclude, call.selection.selector) for call in calls}) == 1
    )
    main = min(mirrored, key=lambda call: MIRRORED.index(call.selection.command)).selection
    chained = len(set(commands)) > 1 and same
    attributes.values["command"] = "build" if chained else main.command
    listed = " && ".join(f"dbt {call.selection.command}" for call in calls)
    if reading.one_build:
        main = reading.one_build
        nodes = "the mirror runs dbt build, which executes the same nodes"
        difference = "If a test fails, it does not build what depends on the tested model"
        attributes.notes.append(f"the task runs {listed}; {nodes}. {difference}")
    elif len(calls) > 1:
        mirrors = f"the mirror runs dbt {attributes.values['command']}"
        attributes.gaps.append(
            f"the task runs {listed}; {mirrors}: see to it that it picks the same, with parity verify"
        )
    for name, words in (("select", main.select), ("exclude", main.exclude)):
        if words:
            attributes.values[name] = " ".join(words)
    # As in dbt: the default selector counts only if the command has no other selection.
    if selector := main.selector or ("" if main.select or main.exclude else place.default_selector):
        attributes.values["selector"] = selector
    if main.options:
        attributes.gaps.append(f"the mirror has no {' '.join(main.options)}")
    refreshed = {call.full_refresh for call in mirrored if call.selection.command in REFRESHING}
    sometimes = any(warning.code is Trap.FULL_REFRESH_ON_BRANCH for warning in reading.warnings)
    if refreshed == {True} and not sometimes and attributes.values["command"] in REFRESHING:
        attributes.values["full_refresh"] = True
    elif True in refreshed:
        attributes.gaps.append("the task refreshes fully in some of its calls, the mirror in none")
    if fewer := dict.fromkeys(option for call in mirrored for option in call.fewer_rows):
        attributes.gaps.append(f"the task builds from fewer rows ({', '.join(fewer)}), the mirror does not")


def _only_the_run_decides(reading: UnitReading) -> bool:
    """Whether all that is not determined are values of variables: those of a run follow from the run."""
    return reading.selection_determined and not any(
        call.unsure or call.vars_as_a_whole for call in reading.invocations
    )


def _variables(reading: UnitReading, attributes: _Attributes, of: OccasionKind) -> None:
    calls = [call for call in reading.invocations if call.selection.command in MIRRORED]
    window = reading.window
    is_bounded = window.convention in BOUNDED and of is not OccasionKind.EVENT
    bounds = {window.start_name: "lower", window.end_name: "upper"} if is_bounded else {}
    declared: dict[str, Any] = {}
    for call in calls:
        if call.vars_as_a_whole and call.vars:
            text = _one_line(call.vars_as_a_whole)
            attributes.refusals.append(f"the names of its variables come from a template: --vars {text}")
    sources = {name: source for call in reversed(calls) for name, source in call.vars_sources.items()}
    for name, value in _merged(calls, attributes).items():
        if not isinstance(name, str) or "{{" in name:
            attributes.refusals.append(
                f"a variable has the name {typed(name)}, and a mirror's have plain text"
            )
            continue
        bound = bounds.get(name) if window.carrier is Carrier.VARS else None
        declared[name] = _declared(name, value, sources.get(name), bound, attributes, of)
    if declared:
        attributes.values["vars"] = declared
    if of is OccasionKind.TICK and not bounds:
        attributes.notes.append(
            "a tick has no length, and no variables of the task are the two ends of a period: tables are compared as a "
            "whole. If two of them are, declare them with bound: lower and bound: upper"
        )
    times = next((call.event_time for call in calls if call.event_time), None)
    if times is None:
        return
    if not (times.get("start") and times.get("end")):
        attributes.refusals.append("it gives only one of --event-time-start and --event-time-end")
        return
    for end, value in times.items():
        _compile(f"--event-time-{end}", str(value), attributes, of)
    attributes.values["event_time"] = {end: str(value) for end, value in times.items()}


def _environment(reading: UnitReading, place: Place, attributes: _Attributes, of: OccasionKind) -> None:
    calls = [call for call in reading.invocations if call.selection.command in MIRRORED]
    window = NamedWindow(Convention.NONE) if of is OccasionKind.EVENT else reading.window
    environment = environment_of(window, calls, place.asks, place.of_profile)
    attributes.refusals += environment.refusals
    attributes.values |= environment.attributes
    attributes.gaps += environment.gaps
    attributes.notes += environment.notes
    for name, template in environment.templates.items():
        _compile(name, template, attributes, of)


def _declared(
    name: str,
    value: Any,
    source: Source | None,
    bound: str | None,
    attributes: _Attributes,
    of: OccasionKind,
) -> Any:
    """A variable as in the mirror's YAML, so that dbt gets a value of the same type from it."""
    if why := uncarried(value):
        attributes.refusals.append(f"the variable {name}: {why}")
        return value
    text = source.text if source else ""
    if not source or not (source.unquoted or _is_read_otherwise(value)):
        text = ""
    for template in (text,) if text else _texts(value):
        _compile(name, template, attributes, of)
    if text:
        return {"template": text, **({"bound": bound} if bound else {}), "yaml": True}
    if _is_read_otherwise(value):
        return {"template": value_as_yaml(value), "yaml": True}
    return {"template": as_text(value), "bound": bound} if bound else value


_OWN_WORDS = frozenset({"template", "bound", "yaml"})


def _is_read_otherwise(value: Any) -> bool:
    """Whether a mirror's YAML cannot contain the value as it is: Dagster reads a date there as text, a mapping with
    `template` is a variable's declaration, and a name inside a value is not a template."""
    if isinstance(value, Mapping):
        return any(name in _OWN_WORDS or (isinstance(name, str) and "{{" in name) for name in value) or any(
            _is_read_otherwise(each) for pair in value.items() for each in pair
        )
    if isinstance(value, list | tuple):
        return any(map(_is_read_otherwise, value))
    return isinstance(value, date)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value that are templates; a name inside a mapping must not be one."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _merged(calls: Sequence[Invocation], attributes: _Attributes) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for call in calls:
        for name, value in call.vars.items():
            if not same(merged.setdefault(name, value), value):
                attributes.gaps.append(
                    f"its dbt calls give {name} different values; the mirror has the first"
                )
    return merged


def _compile(name: str, text: str, attributes: _Attributes, of: OccasionKind) -> None:
    try:
        template = compile_template(text, about=of)
    except ParityError as error:
        attributes.refusals.append(f"{name}: {_one_line(str(error))}")
        return
    beside = sorted(each for each in template.names if each.startswith(("next_", "prev_")))
    if beside and "windows" in attributes.values.get("schedule", {}):
        attributes.refusals.append(
            f"{name} needs {beside[0]}, and a list of windows does not tell the run before or after a run: say it with "
            "data_interval_start or data_interval_end"
        )
