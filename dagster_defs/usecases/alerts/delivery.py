"""Tells receivers what they have not been told: what is found is written down first, then sent, then crossed off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.kept_values import keep, kept
from dagster_defs.adapters.receivers.sending import send
from dagster_defs.errors import NotDelivered
from dagster_defs.lifecycle.alert_text import headline
from dagster_defs.lifecycle.alerts import CALLED, Addressed, Alert, Outbox
from dagster_defs.lifecycle.receivers import Alerting, Receiver

if TYPE_CHECKING:
    import dagster as dg

SENSOR, WATCH = "alerts/sensor", "alerts/watch"  # who keeps an outbox: no two processes write into one


@dataclass
class Delivery:
    """`name`: of its outbox. `say`: gets a line for each alert that is delivered or not. `call`: calls a
    function of the team, by its dotted path."""

    instance: dg.DagsterInstance
    alerting: Alerting
    name: str
    say: Callable[[str], None]
    outbox: Outbox
    call: Callable[[Alert, str], None] | None = None

    @classmethod
    def of(
        cls, instance: dg.DagsterInstance, alerting: Alerting, name: str, say: Callable[[str], None]
    ) -> Delivery:
        return cls(instance, alerting, name, say, outbox_of(instance, name))

    def deliver(
        self,
        alerts: Iterable[Alert],
        now: datetime,
        looked: datetime | None = None,
        is_spent: Callable[[], bool] = lambda: False,
    ) -> None:
        """`looked`: until when these were found. `is_spent`: whether there is no time for a further one; what is left
        waits for the next look. Each is crossed off at once, so that a process that dies repeats at most one."""
        others = [outbox_of(self.instance, name).known for name in (SENSOR, WATCH) if name != self.name]
        elsewhere = frozenset().union(*others)
        self.outbox = self.outbox.pruned(now).with_alerts(
            alerts,
            self.alerting.routes,
            self.alerting.everybody,
            now,
            mail=self.alerting.mails,
            elsewhere=elsewhere,
        )
        self._keep(looked)
        receivers = {receiver.name: receiver for receiver in self.alerting.receivers}
        unreached: set[str] = set()
        for each in self.outbox.due(now):
            if is_spent():
                break
            if each.receiver in unreached:  # its alerts come in order, and nobody waits for it more than once
                continue
            try:
                self._hand_over(each, receivers)
            except NotDelivered as error:
                self.outbox = self.outbox.failed(each, error.why, now, lasting=error.lasting)
                self.say(f"{headline(each.alert)}: {each.receiver} was not told: {error.why}")
                unreached.add(each.receiver)
            else:
                self.outbox = self.outbox.delivered(each)
                self.say(f"{headline(each.alert)}: {each.receiver} was told")
            self._keep(looked)

    def _hand_over(self, each: Addressed, receivers: Mapping[str, Receiver]) -> None:
        if each.receiver in receivers:
            send(receivers[each.receiver], each.alert)
        elif each.receiver.startswith(CALLED) and self.call is not None:
            try:
                self.call(each.alert, each.receiver.removeprefix(CALLED))
            except (Exception, SystemExit) as error:  # whatever a team's function raises
                raise NotDelivered(each.receiver, repr(error), lasting=True) from error
        else:
            raise NotDelivered(each.receiver, "no YAML declares it any more", lasting=True)

    def _keep(self, looked: datetime | None) -> None:
        if looked is not None:
            self.outbox = self.outbox.looked_until(looked)
        keep(self.instance, self.name, self.outbox.as_json())


def outbox_of(instance: dg.DagsterInstance, name: str) -> Outbox:
    """An empty one if none was kept."""
    document = kept(instance, name)
    return Outbox.from_json(document) if document else Outbox()
