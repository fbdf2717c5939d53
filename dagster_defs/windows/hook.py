"""The partition-vars hook: a unit's variables for one window or several, rendered from Airflow's template text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dagster_defs.errors import BadVariable, HasNoWindows, NotRangeable, Unaligned
from dagster_defs.windows.macros import WindowTemplate, compile_template
from dagster_defs.windows.occasions import EventContext, EventSchedule, Occasion, OccasionKind
from dagster_defs.windows.partitions import Partitions
from dagster_defs.windows.values import ValueRefused, as_text, read_yaml, uncarried
from dagster_defs.windows.vocabulary import TemplateContext
from dagster_defs.windows.window import Scheduled, Tick

# What one run is about: a window, a tick, or a run of a DAG without a clock.
Moment = Scheduled | Occasion
Times = Partitions[Scheduled] | EventSchedule  # what tells which moments a unit has
_Context = TemplateContext | EventContext


def zone_of(times: Times) -> str:
    """The name of the zone in which a unit's days are counted."""
    return times.timezone if isinstance(times, EventSchedule) else times.schedule.timezone


def about(times: Times) -> OccasionKind:
    """What the runs of a unit are about."""
    if isinstance(times, EventSchedule):
        return OccasionKind.EVENT
    return OccasionKind.TICK if times.of_ticks else OccasionKind.WINDOW


def name_of(times: Times, moment: Moment) -> str:
    """The partition's key, or the id of a run without a window. Raises Unaligned for a window without a partition, and
    HasNoWindows for a window of a DAG without a clock."""
    if isinstance(moment, Occasion):
        return moment.run_id
    if isinstance(times, EventSchedule):
        raise HasNoWindows("a unit", str(times))
    return times.key_of(moment)


class Bound(Enum):
    """Which end of the window a variable stands for, and so which window's value is used in a run over several."""

    LOWER = "lower"
    UPPER = "upper"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class VariableTemplate:
    """A variable as the unit's YAML declares it: its name, its value, and its bound.

    Every string in the value, also inside lists and mappings, is Airflow's template text and renders to a string; other
    values are passed on unchanged. `yaml`: the value is one string, and its rendered text is read as YAML, just as dbt
    reads an unquoted value in `--vars`.
    """

    name: str
    value: Any
    bound: Bound = Bound.NONE
    yaml: bool = False


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A variable with compiled templates: `tree` is its value with every template text replaced by a template."""

    declared: VariableTemplate
    tree: Any
    depends_on_window: bool

    def render(self, unit: str, window: Moment, context: _Context) -> Any:
        """Raises TemplateFailed, or BadVariable if the text is not YAML that dbt could read."""
        value = _rendered(self.tree, window, context)
        if self.declared.yaml:
            try:
                value = read_yaml(value)
            except ValueRefused as refused:
                reason = f"renders to {value[:200]!r} for {window}, and {refused}"
                raise BadVariable(unit, self.declared.name, reason) from refused
        if why := uncarried(value):
            raise BadVariable(unit, self.declared.name, f"has an unusable value for {window}: {why}")
        if self.declared.bound is not Bound.NONE and isinstance(value, bool | list | Mapping | None):
            reason = (
                f"is {value!r} for {window}, which is not an end of the window; declare it without `bound`"
            )
            raise BadVariable(unit, self.declared.name, reason)
        return value


def _compiled(variable: VariableTemplate, params: Mapping[str, Any], of: OccasionKind) -> _Compiled:
    templates: list[WindowTemplate] = []

    def compiled(value: Any) -> Any:
        if isinstance(value, str):
            # Jinja would strip the trailing newline of a text without any template, which Airflow leaves as it is.
            if not any(mark in value for mark in _MARKS):
                return value
            templates.append(compile_template(value, params, about=of))
            return templates[-1]
        if isinstance(value, Mapping):
            return {name: compiled(item) for name, item in value.items()}
        return [compiled(item) for item in value] if isinstance(value, list | tuple) else value

    tree = compiled(variable.value)
    return _Compiled(variable, tree, any(template.depends_on_window for template in templates))


_MARKS = ("{{", "{%", "{#")
_OTHER_KIND = "A tick has no length, and a window has: neither stands for the other"


def _rendered(tree: Any, window: Moment, context: _Context) -> Any:
    if isinstance(tree, WindowTemplate):
        return tree.render(window, context)
    if isinstance(tree, Mapping):
        return {name: _rendered(item, window, context) for name, item in tree.items()}
    return [_rendered(item, window, context) for item in tree] if isinstance(tree, list) else tree


@dataclass(frozen=True, slots=True, eq=False)
class PartitionVars:
    """The variables of one unit. Templates are compiled on construction, so a unit that needs something only Airflow
    knows does not load: see `compile_template` for the errors. Raises BadVariable for a value that cannot be passed to
    dbt.

    `params` are the defaults of the DAG and the task; `timezone` is the DAG's, if it differs from the schedule's. For a
    DAG without a clock, `partitions` says so, and a variable is rendered for one of its runs instead of a window.
    """

    variables: Sequence[VariableTemplate]
    partitions: Times
    dag_id: str
    task_id: str
    params: Mapping[str, Any] = field(default_factory=dict)
    timezone: str | None = None
    context: _Context = field(init=False, repr=False)
    _compiled: Mapping[str, _Compiled] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "variables", tuple(self.variables))
        put(self, "context", self._context())
        for variable in self.variables:
            why = _refusal(variable)
            if variable.bound is not Bound.NONE and isinstance(self.partitions, EventSchedule):
                why = why or "has a bound, but its DAG has no clock and so no windows"
            if why:
                raise BadVariable(self.unit, variable.name, why)
        of = about(self.partitions)
        compiled = {v.name: _compiled(v, self.params, of) for v in self.variables}
        put(self, "_compiled", compiled)

    def _context(self) -> _Context:
        times = self.partitions
        if isinstance(times, EventSchedule):
            return EventContext(times, self.dag_id, self.task_id)
        return TemplateContext(times.schedule, self.dag_id, self.task_id, self.params, self.timezone)

    @property
    def unit(self) -> str:
        return f"{self.dag_id}.{self.task_id}"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(variable.name for variable in self.variables)

    @property
    def unbounded(self) -> tuple[str, ...]:
        """The variables that depend on the window and are neither of its bounds: with them a run takes one window
        only."""
        return tuple(
            v.name
            for v in self.variables
            if v.bound is Bound.NONE and self._compiled[v.name].depends_on_window
        )

    def constants(self) -> dict[str, Any]:
        """The values of the variables that do not depend on the window, typed as dbt gets them. Raises like
        `for_window`."""
        fixed = {name: each for name, each in self._compiled.items() if not each.depends_on_window}
        if not fixed:
            return {}
        times = self.partitions
        moment = times.example() if isinstance(times, EventSchedule) else times.schedule.first_window()
        return {name: compiled.render(self.unit, moment, self.context) for name, compiled in fixed.items()}

    @property
    def can_range(self) -> bool:
        """Whether one run can take several windows."""
        return not isinstance(self.partitions, EventSchedule) and self.partitions.tile and not self.unbounded

    def bounds_in(self, values: Mapping[str, Any]) -> dict[Bound, str]:
        """The ends of a window among the variables' values, as they print in SQL."""
        bounded = (variable for variable in self.variables if variable.bound is not Bound.NONE)
        return {
            variable.bound: as_text(values[variable.name]) for variable in bounded if variable.name in values
        }

    def for_window(self, window: Moment) -> dict[str, Any]:
        """The values for one window, or for one run without a window, typed as dbt gets them from Airflow's command.

        Raises TemplateFailed, BadVariable for a value that dbt could not read, HasNoWindows for a window of a DAG
        without a clock, and Unaligned for a tick where the schedule has windows, and the other way round."""
        times = self.partitions
        if isinstance(times, EventSchedule):
            if not isinstance(window, Occasion):
                raise HasNoWindows(self.unit, str(times))
        elif not isinstance(window, Occasion) and isinstance(window, Tick) is not times.of_ticks:
            raise Unaligned(str(times.schedule), str(window), (), _OTHER_KIND)
        return {
            name: compiled.render(self.unit, window, self.context)
            for name, compiled in self._compiled.items()
        }

    def for_range(self, first: Moment, last: Moment) -> dict[str, Any]:
        """The values for one run over the windows from `first` to `last`: a lower bound has the first window's
        value, an upper bound the last one's. Raises `NotRangeable` unless `can_range` or both are the same
        window, and everything that `for_window` raises."""
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
    """Why a variable cannot be passed to dbt for any window; empty if it can."""
    if variable.yaml and not isinstance(variable.value, str):
        return "has `yaml: true`, but its value is not a text"
    if why := uncarried(variable.value):
        return f"has an unusable value: {why}"
    if template := next((name for name in _names_in(variable.value) if any(m in name for m in _MARKS)), ""):
        return f"has the template {template!r} as a key inside it; write the whole value as a text with `yaml: true`"
    return ""


def _names_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from [name] if isinstance(name, str) else []
            yield from _names_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _names_in(item)
