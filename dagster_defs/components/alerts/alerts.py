"""Who is told when something goes wrong, in one place for the whole estate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import dagster as dg

from dagster_defs.adapters.dagster.alerting import AlertingComponent, alerting_among
from dagster_defs.components.alerts.alert_sensor import build_alert_sensor
from dagster_defs.components.alerts.receivers import (
    AlertRoute,
    AppriseReceiver,
    MailReceiver,
    PagerDutyReceiver,
    SlackReceiver,
    WebhookReceiver,
)
from dagster_defs.components.units.unit import project_units
from dagster_defs.errors import BadAlerts
from dagster_defs.lifecycle.receivers import Alerting

_USUAL = Alerting()
_Declared = MailReceiver | SlackReceiver | PagerDutyReceiver | WebhookReceiver | AppriseReceiver


@dataclass
class Alerts(AlertingComponent, dg.Resolvable):
    """Receivers of alerts, and routes to them.

    A sensor tells of what happens to runs, windows, waits, verdicts and rollbacks. It cannot tell that its own daemon
    is silent: for that, `parity watch` is started from outside, by cron, systemd or Kubernetes, with the same
    receivers.
    """

    email: Annotated[Sequence[MailReceiver], dg.Resolver.default(description="Receivers of e-mail.")] = field(
        default_factory=list
    )
    slack: Annotated[Sequence[SlackReceiver], dg.Resolver.default(description="Channels of Slack.")] = field(
        default_factory=list
    )
    pagerduty: Annotated[
        Sequence[PagerDutyReceiver], dg.Resolver.default(description="Services of PagerDuty.")
    ] = field(default_factory=list)
    webhook: Annotated[
        Sequence[WebhookReceiver], dg.Resolver.default(description="Addresses that take JSON.")
    ] = field(default_factory=list)
    apprise: Annotated[
        Sequence[AppriseReceiver], dg.Resolver.default(description="Addresses of the package apprise.")
    ] = field(default_factory=list)
    routes: Annotated[
        Sequence[AlertRoute], dg.Resolver.default(description="Without any, everything goes to everybody.")
    ] = field(default_factory=list)
    mails_of_tasks: Annotated[
        str | None,
        dg.Resolver.default(
            description="The receiver of e-mail that sends what the mirrors' `email` asks for; the only one by default."
        ),
    ] = None
    not_started_after: Annotated[
        float, dg.Resolver.default(description="Seconds after its turn in which a window must have started.")
    ] = _USUAL.not_started_after
    stuck_after: Annotated[
        float,
        dg.Resolver.default(description="Seconds after which a window's wait for another DAG is an alert."),
    ] = _USUAL.stuck_after
    silent_after: Annotated[
        float, dg.Resolver.default(description="Seconds without a sign of life of Dagster's daemon.")
    ] = _USUAL.silent_after
    poll_seconds: Annotated[int, dg.Resolver.default(description="Seconds between two looks.")] = 30

    @property
    def alerting(self) -> Alerting:
        declared: list[_Declared] = [*self.email, *self.slack, *self.pagerduty, *self.webhook, *self.apprise]
        mails = self.mails_of_tasks or (self.email[0].name if len(self.email) == 1 else "")
        alerting = Alerting(
            tuple(each.receiver() for each in declared),
            tuple(each.route() for each in self.routes),
            mails,
            self.not_started_after,
            self.stuck_after,
            self.silent_after,
        )
        if faults := alerting.faults():
            raise BadAlerts(faults)
        return alerting

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Raises BadAlerts."""
        project, alerting = project_units(context), self.alerting
        alerting_among(context.component_tree.get_all_components(of_type=AlertingComponent))
        if len(project.parts) < len(project.sound):  # for a run of one unit: no sensor has a part in it
            return dg.Definitions()
        sensor = build_alert_sensor(alerting, project.sound, self.poll_seconds, context.project_root)
        return dg.Definitions(sensors=[sensor])
