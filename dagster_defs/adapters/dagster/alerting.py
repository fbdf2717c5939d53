"""What defs/ declares about alerts, read from the YAML without building any Dagster definitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from dagster_defs.errors import BadAlerts
from dagster_defs.lifecycle.receivers import Alerting


class AlertingComponent(dg.Component):
    """Base of the component that declares receivers and routes."""

    @property
    def alerting(self) -> Alerting:
        """Raises BadAlerts."""
        raise NotImplementedError


def alerting_among(components: Iterable[Any]) -> Alerting | None:
    """None without a declaration. Raises BadAlerts for two, and for one that is impossible."""
    distinct = {id(each): each for each in components if isinstance(each, AlertingComponent)}
    if len(distinct) > 1:
        raise BadAlerts(
            [f"there are {len(distinct)} components of this type, and receivers belong in one place"]
        )
    return next((each.alerting for each in distinct.values()), None)
