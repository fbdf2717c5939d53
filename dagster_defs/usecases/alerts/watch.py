"""The dead man's switch: looks from outside whether Dagster's daemon lives and starts what it has to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dagster_defs.adapters.dagster.alerting import alerting_among
from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.adapters.dagster.mirrors import load_components, mirrors_of_project
from dagster_defs.adapters.receivers.sending import send
from dagster_defs.errors import EventLogMissing, NoAlerts, NotDelivered, ParityError
from dagster_defs.lifecycle.alert_text import headline
from dagster_defs.lifecycle.alerts import Alert, Cause, receivers_of
from dagster_defs.lifecycle.receivers import Alerting
from dagster_defs.settings import Settings
from dagster_defs.usecases.alerts.absences import Absences
from dagster_defs.usecases.alerts.delivery import SENSOR, WATCH, Delivery, outbox_of
from dagster_defs.usecases.alerts.look import places_in
from dagster_defs.usecases.alerts.watched import Watched

if TYPE_CHECKING:
    import dagster as dg

UNREACHED = timedelta(
    minutes=10
)  # for which the daemon's sensor may try a receiver before this look fails, too


@dataclass(frozen=True)
class WatchReport:
    """`alerts`: what is wrong now, whether or not somebody was told before. `lines`: what was sent, and what was not.
    `troubles`: receivers that were not reached, by this look or by the daemon's sensor."""

    alerts: Sequence[Alert]
    lines: Sequence[str]
    troubles: Sequence[str]

    @property
    def is_well(self) -> bool:
        return not self.alerts and not self.troubles

    def as_json(self) -> dict[str, Any]:
        return {
            "well": self.is_well,
            "alerts": [{"headline": headline(each), **each.as_json()} for each in self.alerts],
            "sent": list(self.lines),
            "troubles": list(self.troubles),
        }


def watch(settings: Settings, now: datetime) -> WatchReport:
    """One look; who starts it again is cron, systemd or Kubernetes, and nothing of Dagster's.

    Raises NoAlerts and BadAlerts, EventLogMissing, and what loading the YAML raises. Where Dagster's storage or the
    ledger cannot be read, that is the alert.
    """
    components = load_components(settings.root)
    alerting = alerting_among(components)
    if alerting is None or not alerting.receivers:
        raise NoAlerts()
    if settings.dagster_home is None:
        raise EventLogMissing()
    mirrors = mirrors_of_project(settings.root, components)
    try:
        with instance_at(settings.dagster_home) as instance:
            return _look(settings, instance, alerting, mirrors, now)
    except Exception as error:  # Dagster's storages have no common base class for their errors
        return _blind(alerting, error, now)


def _look(
    settings: Settings, instance: dg.DagsterInstance, alerting: Alerting, mirrors: Any, now: datetime
) -> WatchReport:
    absences = Absences(instance, Watched.of(settings, mirrors), alerting, places_in(instance))
    found = [*absences.daemon(now), *absences.not_started(now)]
    lines: list[str] = []
    delivery = Delivery.of(instance, alerting, WATCH, lines.append)
    delivery.deliver(found, now, looked=now)
    return WatchReport(found, lines, [*delivery.outbox.troubles(), *_of_the_sensor(instance, now)])


def _of_the_sensor(instance: dg.DagsterInstance, now: datetime) -> Iterator[str]:
    """Its own troubles, once they last: whoever looks from outside is the only one who can still say so."""
    outbox = outbox_of(instance, SENSOR)
    if any(each.failures and now - each.since > UNREACHED for each in outbox.waiting):
        yield from outbox.troubles()


def _blind(alerting: Alerting, error: Exception, now: datetime) -> WatchReport:
    """Nothing can be looked up, nor remembered: everybody is told, at each look."""
    reason = " ".join((str(error).strip().splitlines() or [type(error).__name__])[:1])
    fix = () if isinstance(error, ParityError) else ("see that Dagster's storage answers",)
    alert = Alert(
        Cause.DAEMON,
        f"{Cause.DAEMON} unreadable",
        now,
        reason=f"Dagster cannot be looked at: {reason}",
        todo=fix,
    )
    names = receivers_of(alert, alerting.routes, alerting.everybody)
    lines: list[str] = []
    troubles: list[str] = []
    for receiver in alerting.receivers:
        if receiver.name not in names:
            continue
        try:
            send(receiver, alert)
            lines.append(f"{headline(alert)}: {receiver.name} was told")
        except NotDelivered as fault:
            troubles.append(f"{receiver.name} was not reached: {fault.why}")
    return WatchReport([alert], lines, troubles)
