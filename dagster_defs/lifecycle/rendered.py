"""The window in Airflow's own command, where a comparison looks, whatever the mirror says.

A mirror whose variables name another window writes another window. If the comparison looked where the mirror wrote,
its rows would be equal; so the bounds come from what Airflow rendered, wherever that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dagster_defs.lifecycle.mirrors import Declared, Mirror, Output, TableOutput
from dagster_defs.windows import Bound, Moment, PartitionVars
from dagster_defs.windows.values import same, typed


@dataclass(frozen=True, slots=True)
class RenderedValues:
    """For one dbt call: `--vars` by name, typed as dbt reads them, the `start` and `end` of `--event-time-…`, and its
    environment as far as it is known."""

    variables: Mapping[str, Any]
    event_times: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)


def bounds_of(declared: Declared, calls: Iterable[RenderedValues]) -> dict[Bound, str]:
    """The ends of the window that the calls name; the option by which dbt filters microbatch models takes
    precedence."""
    bounds: dict[Bound, str] = {}
    for call in calls:
        for rendering, value in _beside(declared, call):
            bounds |= rendering.bounds_in(value)
    return bounds


def outputs_of(mirror: Mirror, window: Moment, calls: Sequence[RenderedValues]) -> Iterable[Output]:
    """The mirror's outputs within the bounds that Airflow rendered, or within its own if those are not known."""
    outputs = mirror.outputs_of(window)
    return within(outputs, bounds_of(mirror.declared(), calls)) if calls else outputs


def within(outputs: Iterable[Output], bounds: Mapping[Bound, str]) -> Iterator[Output]:
    """The outputs; those that have a window get these bounds instead of the mirror's own."""
    for output in outputs:
        if isinstance(output, TableOutput) and not output.as_a_whole:
            lower, upper = bounds.get(Bound.LOWER), bounds.get(Bound.UPPER)
            yield replace(output, lower=lower or output.lower, upper=upper or output.upper)
        else:
            yield output


def differing_values(declared: Declared, window: Moment, calls: Sequence[RenderedValues]) -> list[str]:
    """Where the mirror's values differ from Airflow's: `min_date is 2024-03-09, but 2024-03-10 in Airflow`."""
    differing: dict[str, str] = {}
    for call in calls:
        for rendering, theirs in _beside(declared, call):
            for name, mine in rendering.for_window(window).items():
                if name in theirs and not same(theirs[name], mine):
                    differing[name] = f"{name} is {typed(mine)}, but {typed(theirs[name])} in Airflow"
    return sorted(differing.values())


def _beside(declared: Declared, call: RenderedValues) -> Iterator[tuple[PartitionVars, Mapping[str, Any]]]:
    pairs = (
        (declared.environment, call.environment),
        (declared.variables, call.variables),
        (declared.event_times, call.event_times),
    )
    for rendering, value in pairs:
        if isinstance(rendering, PartitionVars):
            yield rendering, value
