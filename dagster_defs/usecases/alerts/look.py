"""What the daemon's sensor tells: everything that has happened, or has not, since its last look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.sensor_cursors import cursors_in
from dagster_defs.lifecycle.alerts import Alert, Cause
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.receivers import Alerting
from dagster_defs.lifecycle.started import SCHEDULES, Place, places
from dagster_defs.settings import Settings
from dagster_defs.usecases.alerts.absences import Absences
from dagster_defs.usecases.alerts.delivery import SENSOR, Delivery
from dagster_defs.usecases.alerts.runs import RunLook
from dagster_defs.usecases.alerts.watched import Watched

if TYPE_CHECKING:
    import dagster as dg


def tell(
    settings: Settings,
    instance: dg.DagsterInstance,
    alerting: Alerting,
    mirrors: Iterable[Mirror],
    now: datetime,
    say: Callable[[str], None],
    is_spent: Callable[[], bool] = lambda: False,
) -> list[str]:
    """What troubles there are with receivers, one line each. What happened before the very first look is nobody's
    alert. Raises what reading the store raises."""
    delivery = Delivery.of(instance, alerting, SENSOR, say)
    since = delivery.outbox.looked
    if since is None:
        delivery.deliver((), now, looked=now, is_spent=is_spent)
        return []
    watched = Watched.of(settings, mirrors)
    delivery.call = watched.call
    runs = RunLook(instance, watched, alerting.wants).since(since, now)
    absences = Absences(instance, watched, alerting, places_in(instance))
    found = [*runs.alerts, *_absent(absences, since, now)]
    delivery.deliver(found, now, looked=runs.until, is_spent=is_spent)
    return list(delivery.outbox.troubles())


def _absent(absences: Absences, since: datetime, now: datetime) -> Iterator[Alert]:
    yield from absences.rolled_back(since)
    yield from absences.stuck(now)
    yield from absences.late(since, now)
    if absences.alerting.wants(Cause.NOT_STARTED):
        yield from absences.not_started(now)


def places_in(instance: dg.DagsterInstance) -> Mapping[str, Place]:
    """By DAG, how far its schedule has come."""
    found: dict[str, Place] = {}
    for cursor in cursors_in(instance, SCHEDULES):
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # another sensor of that name
            found |= places(cursor)
    return found
