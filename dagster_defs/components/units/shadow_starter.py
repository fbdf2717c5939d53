"""The component that starts candidate runs."""

from __future__ import annotations

import dagster as dg


class ShadowStarter(dg.Component):
    """A component that starts candidate runs. A project's first one defines their jobs, along with its sensor.

    Dagster requires a sensor's jobs to be the same objects as the defined ones, and copies those of other components.
    """


def shadow_starter(context: dg.ComponentLoadContext) -> ShadowStarter | None:
    """The component that defines the candidate jobs of all units, if there is one."""
    starters = context.component_tree.get_all_components(of_type=ShadowStarter)  # type: ignore[type-abstract]  # a base class is fine here
    return starters[0] if starters else None
