"""All units of an inventory, combined with a dbt project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dagster_defs.errors import DbtProjectUnreadable
from dagster_defs.inventory import traps
from dagster_defs.inventory.arguments import SELECTING, Kind, Selection
from dagster_defs.inventory.document import BrokenTask, Dag, Inventory, Task
from dagster_defs.inventory.holes import is_known
from dagster_defs.inventory.projects import Project, Projects, ProjectUnknown
from dagster_defs.inventory.reading import read_task
from dagster_defs.inventory.records import Invocation, Report, UnitReading


class SelectionRefused(Exception):
    """dbt cannot resolve this selection; the message says why."""


def describe(inventory: Inventory, project: Project | Projects) -> Report:
    """One row per task, whatever is wrong with it or with another."""
    projects = project if isinstance(project, Projects) else Projects({"": project})
    units = [_unit(task, dag, projects) for dag in inventory.dags for task in dag.tasks]
    shared = traps.overlaps(units)
    return Report(
        inventory.airflow_version,
        inventory.import_errors,
        tuple(unit.warned(*shared.get(unit.name, ())) for unit in units),
    )


def _unit(task: Task | BrokenTask, dag: Dag, projects: Projects) -> UnitReading:
    if isinstance(task, BrokenTask):
        return _unread(task.dag_id, task.task_id, task.reason)
    try:
        unit = read_task(task, dag, projects.read)
        path = projects.path_of(unit)
        project = projects.by_path[path]
        if projects.are_several:
            unit = replace(read_task(task, dag, project.reads), project=path)
        return _with_models(unit, project)
    except ProjectUnknown as why:
        return _without_project(unit, str(why))
    except Exception as error:  # a unit on which our parsing fails must not take the estate's map with it
        return _unread(task.dag_id, task.task_id, f"it cannot be read: {type(error).__name__}: {error}")


def _unread(dag_id: str, task_id: str, reason: str) -> UnitReading:
    return UnitReading(dag_id, task_id, (Kind.OPAQUE,), False, False, False, reason)


def _without_project(unit: UnitReading, why: str) -> UnitReading:
    """What the unit selects is not known without its project."""
    reason = "; ".join(filter(None, [unit.reason, why]))
    return replace(unit, determined=False, selection_determined=False, reason=reason)


def _shaping(invocation: Invocation, project: Project) -> dict[str, Any]:
    """The variables of the call that may shape the project and are the same in every window. Raises SelectionRefused if
    the value of one is not known."""
    given = invocation.constant_vars
    shaping = {name: value for name, value in given.items() if project.may_be_shaped_by(name)}
    rendered = bool(invocation.rendered)
    if unknown := [
        name
        for name, value in shaping.items()
        if not is_known({name: value}) or (not rendered and "{{" in str(value))
    ]:
        raise SelectionRefused(
            f"which nodes exist may depend on {', '.join(unknown)}, whose value is not in the inventory"
        )
    return shaping


def _environment(invocation: Invocation) -> dict[str, str]:
    """What the call sets for dbt, in the first window for which that is known."""
    values = {name: invocation.env_values(name) or [text] for name, text in invocation.read_env.items()}
    return {name: each[0] for name, each in values.items() if is_known(each[0]) and "{{" not in each[0]}


def _with_models(unit: UnitReading, project: Project) -> UnitReading:
    reasons = [unit.reason] if unit.reason else []
    invocations: list[Invocation] = []
    selected = unit.selection_determined
    for invocation in unit.invocations:
        resolved = invocation
        if invocation.selection.command in SELECTING and invocation.selection_determined:
            try:
                variables = _shaping(invocation, project)
                models = project.executed(invocation.selection, variables, _environment(invocation))
                resolved = replace(invocation, models=tuple(models))
            except (SelectionRefused, DbtProjectUnreadable) as error:
                selected = False
                resolved = replace(invocation, selection_determined=False)
                reasons.append(f"the selection: {' '.join(str(error).split())}")
        invocations.append(resolved)
    unit = replace(
        unit,
        invocations=tuple(invocations),
        selection_determined=selected,
        determined=unit.determined and selected,
        reason="; ".join(dict.fromkeys(reasons)),
        one_build=_one_build(invocations, project) if selected else None,
    )
    return unit.warned(*traps.of_models(unit, project.time_of))


def _one_build(invocations: Sequence[Invocation], project: Project) -> Selection | None:
    """The selection of one `dbt build` that executes exactly what the calls do, if they have one selection and an order
    that `dbt build` keeps. None if there is no such selection, or that cannot be determined."""
    calls = [call for call in invocations if call.selection.command in SELECTING]
    if tuple(call.selection.command for call in calls) not in _AS_BUILD:
        return None
    if len({str(_but_for_the_command(call)) for call in calls}) > 1:
        return None
    wanted = {node for call in calls for node in call.models}
    build = replace(calls[0].selection, command="build")
    try:
        variables, environment = _shaping(calls[0], project), _environment(calls[0])
        executed = set(project.executed(build, variables, environment))
        kinds = sorted({node.split(".")[0] for node in executed - wanted})
        if kinds and not build.selector and _LEFT_OUT.issuperset(kinds):
            build = replace(build, exclude=(*build.exclude, *(f"resource_type:{kind}" for kind in kinds)))
            executed = set(project.executed(build, variables, environment))
    except (SelectionRefused, DbtProjectUnreadable):
        return None
    return build if executed == wanted else None


# A snapshot beside models is in neither: `dbt build` takes it before a model that reads it.
_AS_BUILD = frozenset({("run", "test"), ("seed", "test"), ("snapshot", "test"), ("seed", "run", "test")})
_LEFT_OUT = frozenset({"seed", "snapshot"})  # kinds of nodes that the selection of a chain may leave out


def _but_for_the_command(call: Invocation) -> tuple[Any, ...]:
    selection = replace(call.selection, command="build")
    return selection, call.target, call.vars, call.env, call.event_time, call.fewer_rows
