"""The partition-vars hook: a unit's variables, from Airflow's template text, for one window or for many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dagster_defs.errors import BadVariable, NotRangeable
from dagster_defs.windows.macros import WindowTemplate, compile_template
from dagster_defs.windows.partitions import PartitionedSchedule
from dagster_defs.windows.values import ValueRefused, as_text, read_yaml, uncarried
from dagster_defs.windows.vocabulary import TemplateContext
from dagster_defs.windows.window import Window


class Bound(Enum):
    """Which end of the window a variable says, and so which window gives its value in a run over several."""

    LOWER = "lower"
    UPPER = "upper"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class VariableTemplate:
    """A variable as the unit's YAML declares it: its name, its value, and its bound.

    Every text in the value, inside lists and mappings too, is Airflow's template text and stays text when it is
    rendered; other values are handed over as they are. `yaml`: the value is one text, and what it renders to is read
    as YAML, as dbt reads what stands in `--vars` without quotes.
    """

    name: str
    value: Any
    bound: Bound = Bound.NONE
    yaml: bool = False


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A variable with its templates read: `tree` is its value with a template in place of each text that is one."""

    declared: VariableTemplate
    tree: Any
    depends_on_window: bool

    def render(self, unit: str, window: Window, context: TemplateContext) -> Any:
        """Raises TemplateFailed, or BadVariable where the text is not YAML that dbt could read."""
        found = _rendered(self.tree, window, context)
        if self.declared.yaml:
            try:
                found = read_yaml(found)
            except ValueRefused as refused:
                reason = f"of {window} renders to {found[:200]!r}, and {refused}"
                raise BadVariable(unit, self.declared.name, reason) from refused
        if why := uncarried(found):
            raise BadVariable(unit, self.declared.name, f"of {window}: {why}")
        if self.declared.bound is not Bound.NONE and isinstance(found, bool | list | Mapping | None):
            reason = (
                f"of {window} is {found!r}, which is not an end of the window; declare it without `bound`"
            )
            raise BadVariable(unit, self.declared.name, reason)
        return found


def _compiled(variable: VariableTemplate, params: Mapping[str, Any]) -> _Compiled:
    templates: list[WindowTemplate] = []

    def compiled(value: Any) -> Any:
        if isinstance(value, str):
            # Jinja would take a last newline away from a text that Airflow has no reason to render.
            if not any(mark in value for mark in _MARKS):
                return value
            templates.append(compile_template(value, params))
            return templates[-1]
        if isinstance(value, Mapping):
            return {name: compiled(item) for name, item in value.items()}
        return [compiled(item) for item in value] if isinstance(value, list | tuple) else value

    tree = compiled(variable.value)
    return _Compiled(variable, tree, any(template.depends_on_window for template in templates))


_MARKS = ("{{", "{%", "{#")


def _rendered(tree: Any, window: Window, context: TemplateContext) -> Any:
    if isinstance(tree, WindowTemplate):
        return tree.render(window, context)
    if isinstance(tree, Mapping):
        return {name: _rendered(item, window, context) for name, item in tree.items()}
    return [_rendered(item, window, context) for item in tree] if isinstance(tree, list) else tree


@dataclass(frozen=True, slots=True, eq=False)
class PartitionVars:
    """The variables of one unit. Templates are read on construction, so a unit that needs what only Airflow
    knows does not load: see `compile_template` for what is raised. BadVariable is raised for a value that cannot be
    handed over.

    `params` are the defaults of the DAG and the task; `timezone` is the DAG's, where the schedule's differs.
    """

    variables: Sequence[VariableTemplate]
    partitions: PartitionedSchedule
    dag_id: str
    task_id: str
    params: Mapping[str, Any] = field(default_factory=dict)
    timezone: str | None = None
    context: TemplateContext = field(init=False, repr=False)
    _compiled: Mapping[str, _Compiled] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "variables", tuple(self.variables))
        put(
            self,
            "context",
            TemplateContext(self.partitions.schedule, self.dag_id, self.task_id, self.params, self.timezone),
        )
        for variable in self.variables:
            if why := _refusal(variable):
                raise BadVariable(self.unit, variable.name, why)
        put(self, "_compiled", {v.name: _compiled(v, self.params) for v in self.variables})

    @property
    def unit(self) -> str:
        return f"{self.dag_id}.{self.task_id}"

    @property
    def unbounded(self) -> tuple[str, ...]:
        """The variables that depend on the window and are neither of its bounds: one window at a time
        only."""
        return tuple(
            v.name
            for v in self.variables
            if v.bound is Bound.NONE and self._compiled[v.name].depends_on_window
        )

    def constants(self) -> dict[str, Any]:
        """The values of those that do not depend on the window, typed as dbt gets them. Raises as `for_window`."""
        window = self.partitions.schedule.first_window()
        return {
            name: compiled.render(self.unit, window, self.context)
            for name, compiled in self._compiled.items()
            if not compiled.depends_on_window
        }

    @property
    def can_range(self) -> bool:
        """Whether one run can take several windows."""
        return self.partitions.tile and not self.unbounded

    def bounds_in(self, values: Mapping[str, Any]) -> dict[Bound, str]:
        """The ends of a window among the values of variables, as SQL shows them."""
        bounded = (variable for variable in self.variables if variable.bound is not Bound.NONE)
        return {
            variable.bound: as_text(values[variable.name]) for variable in bounded if variable.name in values
        }

    def for_window(self, window: Window) -> dict[str, Any]:
        """The values of one window, typed as dbt gets them from Airflow's command.

        Raises TemplateFailed, or BadVariable for a value that dbt could not read."""
        return {
            name: compiled.render(self.unit, window, self.context)
            for name, compiled in self._compiled.items()
        }

    def for_range(self, first: Window, last: Window) -> dict[str, Any]:
        """The values of one run over the windows from `first` to `last`: a lower bound has the first window's
        value, an upper bound the last's. Raises `NotRangeable` unless `can_range` or both are the same
        window, and what `for_window` raises."""
        if first == last:
            return self.for_window(first)
        if not self.can_range:
            raise NotRangeable(self.unit, self.unbounded)
        window = {Bound.LOWER: first, Bound.UPPER: last, Bound.NONE: first}
        return {
            v.name: self._compiled[v.name].render(self.unit, window[v.bound], self.context)
            for v in self.variables
        }


def _refusal(variable: VariableTemplate) -> str:
    """Why a variable cannot be handed over, whatever the window; empty if it can."""
    if variable.yaml and not isinstance(variable.value, str):
        return "with `yaml: true` is not a text"
    if why := uncarried(variable.value):
        return f"has a value that cannot be handed over: {why}"
    if named := next((name for name in _names_in(variable.value) if any(m in name for m in _MARKS)), ""):
        return f"has the template {named!r} as a name inside it; write the whole value as a text with `yaml: true`"
    return ""


def _names_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from [name] if isinstance(name, str) else []
            yield from _names_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _names_in(item)
