"""A unit's own limits for the gates of its moves, in its YAML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import dagster as dg

from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle.settings import FACETS, Gate, GateSettings

_USUAL = GateSettings()


@dataclass
class Gates(dg.Resolvable):
    """What must hold before the unit is moved; anything omitted has the usual value."""

    windows: Annotated[
        int, dg.Resolver.default(description="How many windows in a row must match before a cutover.")
    ] = _USUAL.windows
    undetermined: Annotated[
        Sequence[str], dg.Resolver.default(description="Facets of `parity verify` that may be undetermined.")
    ] = field(default_factory=list)
    slowdown: Annotated[
        float,
        dg.Resolver.default(description="A candidate run may take this many times as long as legacy's …"),
    ] = _USUAL.slowdown
    slack: Annotated[float, dg.Resolver.default(description="… plus this many seconds.")] = _USUAL.slack
    soak_days: Annotated[
        float, dg.Resolver.default(description="Days for which the unit soaks after a cutover.")
    ] = _USUAL.soak_days
    soak_windows: Annotated[
        int, dg.Resolver.default(description="Windows that must be compared while it soaks.")
    ] = _USUAL.soak_windows
    rollback_on_failure: Annotated[
        bool,
        dg.Resolver.default(
            description="Whether a proxied run's failure rolls the unit back while it soaks."
        ),
    ] = _USUAL.rollback_on_failure
    without: Annotated[
        Sequence[str],
        dg.Resolver.default(description="Gates that this unit does not have.", examples=[["rehearsed"]]),
    ] = field(default_factory=list)

    def settings(self, unit: str) -> GateSettings:
        """Raises BadUnit for an impossible limit."""
        for name in ("windows", "slowdown", "slack", "soak_days", "soak_windows"):
            if getattr(self, name) < 0:
                raise BadUnit(unit, f"`gates.{name}` is {getattr(self, name):g}", "Fix it in its YAML")
        for name, known in (("without", tuple(Gate)), ("undetermined", FACETS)):
            if strange := [each for each in getattr(self, name) if each not in known]:
                reason = f"`gates.{name}` names {', '.join(strange)}"
                raise BadUnit(unit, reason, f"Known names: {', '.join(known)}")
        return GateSettings(
            self.windows,
            tuple(self.undetermined),
            self.slowdown,
            self.slack,
            self.soak_days,
            self.soak_windows,
            tuple(map(Gate, self.without)),
            self.rollback_on_failure,
        )
