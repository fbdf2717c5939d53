"""The terms on which a unit's output is compared, as declared in its YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import dagster as dg

from dagster_defs.errors import BadUnit, UsageError
from dagster_defs.lifecycle.mirrors import Terms
from dagster_defs.parity import SAMPLE_LIMIT, Zones
from dagster_defs.usecases.compare.spec import declared_tolerances
from dagster_defs.windows import zone_named


@dataclass
class ComparisonTerms(dg.Resolvable):
    """Base class of everything that is compared; not a component type itself."""

    tolerances: Annotated[
        Sequence[Mapping[str, Any]],
        dg.Resolver.passthrough(
            description=(
                "Differences that are excused, and counted. `kind` is ignored, absolute, relative or "
                "timestamp_precision; `value` is its bound; `reason` is required; `expires` is the last day on which "
                "it applies."
            ),
            examples=[[{"column": "loaded_at", "kind": "ignored", "reason": "the time of the run"}]],
        ),
    ] = field(default_factory=list, kw_only=True)
    masked: Annotated[
        Sequence[str], dg.Resolver.default(description="Columns whose values are shown as ***.")
    ] = field(default_factory=list, kw_only=True)
    samples: Annotated[
        int, dg.Resolver.default(description="Differing rows to keep per kind; 0 for none.")
    ] = field(default=SAMPLE_LIMIT, kw_only=True)

    def terms(self, unit: str, where: str, name: str, key: Sequence[str]) -> Terms:
        """`where`: the place in the unit's YAML. Raises BadUnit for mistakes visible without looking at the tables."""
        for field_name, value in (("key", key), ("masked", self.masked), ("tolerances", self.tolerances)):
            if isinstance(
                value, str
            ):  # Dagster would take it for a template, and Python for a list of letters
                reason = f"`{where}`: `{field_name}` of {name} must be a list such as [a, b], not {value!r}"
                raise BadUnit(unit, reason, "Fix it in its YAML")
        try:
            tolerances = declared_tolerances(name, key, self.tolerances)
        except UsageError as error:
            raise BadUnit(unit, f"`{where}`: {error}", "Fix it in its YAML") from error
        if self.samples < 0:
            raise BadUnit(unit, f"`{where}`: `samples` of {name} is {self.samples}", "Fix it in its YAML")
        return Terms(tolerances, tuple(self.masked), self.samples)


@dataclass
class TimeTerms(ComparisonTerms):
    """Base class of tables, which are compared window by window; not a component type itself."""

    time_column: Annotated[
        str | None,
        dg.Resolver.default(
            description="Column that the window's bounds apply to; without it, the table is compared as a whole."
        ),
    ] = field(default=None, kw_only=True)
    naive_zone: Annotated[
        str | None,
        dg.Resolver.default(
            description=(
                "Time zone of a time column that has none; by default UTC, and for a DATE the schedule's."
            ),
            examples=["America/New_York"],
        ),
    ] = field(default=None, kw_only=True)
    bound_zone: Annotated[
        str | None,
        dg.Resolver.default(
            description=(
                "Time zone of bounds without an offset; without it, they are plain values of the time column."
            ),
            examples=["UTC"],
        ),
    ] = field(default=None, kw_only=True)

    def zones(self, unit: str, where: str, window: str | None) -> Zones:
        """`window`: the schedule's zone. Raises BadUnit for a zone that does not exist."""
        for name in (self.naive_zone, self.bound_zone):
            try:
                _ = name and zone_named(name)
            except ValueError as error:
                raise BadUnit(unit, f"`{where}`: {error}", "Fix it in its YAML") from error
        return Zones(window, self.naive_zone, self.bound_zone)
