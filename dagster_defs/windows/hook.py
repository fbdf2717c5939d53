"""The partition-vars hook: a unit's variables, from Airflow's template text, for one window or for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dagster import BackfillPolicy

from dagster_defs.errors import NotRangeable
from dagster_defs.windows.macros import WindowTemplate, compile_template
from dagster_defs.windows.partitions import PartitionedSchedule
from dagster_defs.windows.vocabulary import TemplateContext
from dagster_defs.windows.window import Window


class Bound(Enum):
    """Which end of the window a variable says, and so which window gives its value in a run over several."""

    LOWER = "lower"
    UPPER = "upper"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class VariableTemplate:
    """A variable as the unit's YAML declares it: its name, Airflow's template text, and its bound."""

    name: str
    text: str
    bound: Bound = Bound.NONE


@dataclass(frozen=True, slots=True, eq=False)
class PartitionVars:
    """The variables of one unit. Templates are read on construction, so a unit that needs what only Airflow
    knows does not load: see `compile_template` for what is raised.

    `params` are the defaults of the DAG and the task; `timezone` is the DAG's, where the schedule's differs.
    """

    variables: Sequence[VariableTemplate]
    partitions: PartitionedSchedule
    dag_id: str
    task_id: str
    params: Mapping[str, Any] = field(default_factory=dict)
    timezone: str | None = None
    context: TemplateContext = field(init=False, repr=False)
    _templates: Mapping[str, WindowTemplate] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "variables", tuple(self.variables))
        put(
            self,
            "context",
            TemplateContext(self.partitions.schedule, self.dag_id, self.task_id, self.params, self.timezone),
        )
        put(self, "_templates", {v.name: compile_template(v.text, self.params) for v in self.variables})

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
            if v.bound is Bound.NONE and self._templates[v.name].depends_on_window
        )

    @property
    def can_range(self) -> bool:
        """Whether one run can take several windows."""
        return not self.unbounded

    @property
    def backfill_policy(self) -> BackfillPolicy:
        """One run for a whole backfill where that is right, else one run for each partition."""
        return BackfillPolicy.single_run() if self.can_range else BackfillPolicy.multi_run(1)

    def bounds_in(self, values: Mapping[str, str]) -> dict[Bound, str]:
        """The ends of a window among the values of variables."""
        bounded = (variable for variable in self.variables if variable.bound is not Bound.NONE)
        return {variable.bound: values[variable.name] for variable in bounded if variable.name in values}

    def for_window(self, window: Window) -> dict[str, str]:
        """The values of one window, as Airflow renders them. Raises `TemplateFailed`."""
        return {name: template.render(window, self.context) for name, template in self._templates.items()}

    def for_range(self, first: Window, last: Window) -> dict[str, str]:
        """The values of one run over the windows from `first` to `last`: a lower bound has the first window's
        value, an upper bound the last's. Raises `NotRangeable` unless `can_range` or both are the same
        window."""
        if first == last:
            return self.for_window(first)
        if not self.can_range:
            raise NotRangeable(self.unit, self.unbounded)
        window = {Bound.LOWER: first, Bound.UPPER: last, Bound.NONE: first}
        return {v.name: self._templates[v.name].render(window[v.bound], self.context) for v in self.variables}
