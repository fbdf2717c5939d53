"""Receivers and routes as they stand in YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import dagster as dg

from dagster_defs.lifecycle.alerts import LOUD, Cause, Route
from dagster_defs.lifecycle.receivers import PAGERDUTY, SMTP_PORT, Apprise, Mail, PagerDuty, Slack, Webhook

_NAME = dg.Resolver.default(description="The name by which routes call it.")
Name = Annotated[str, _NAME]
Secret = Annotated[
    str | None,
    dg.Resolver.default(
        description="A secret: \"{{ env('NAME', '') }}\". Unset, its alerts are reported as not delivered."
    ),
]


@dataclass
class MailReceiver(dg.Resolvable):
    """A mail server, and whom it sends alerts to."""

    name: Name
    host: Annotated[str, dg.Resolver.default(description="Of the mail server.")]
    sender: Annotated[str, dg.Resolver.default(description="Whom the mails are from.")]
    to: Annotated[
        Sequence[str],
        dg.Resolver.default(description="Addresses; none if it only sends what tasks' own `email` asks for."),
    ] = field(default_factory=list)
    port: Annotated[int, dg.Resolver.default(description="465 is TLS from the start.")] = SMTP_PORT
    user: Annotated[str | None, dg.Resolver.default(description="Whom to log in as.")] = None
    password: Secret = None
    secure: Annotated[
        bool,
        dg.Resolver.default(description="Whether the server must offer STARTTLS, before anything is said."),
    ] = True

    def receiver(self) -> Mail:
        return Mail(
            self.name, self.host, self.sender, tuple(self.to), int(self.port), self.user or "", self.password or "",
            bool(self.secure),
        )  # fmt: skip


@dataclass
class SlackReceiver(dg.Resolvable):
    """An incoming webhook of Slack's, or of what speaks like it."""

    name: Name
    url: Secret

    def receiver(self) -> Slack:
        return Slack(self.name, self.url or "")


@dataclass
class PagerDutyReceiver(dg.Resolvable):
    """A service of PagerDuty's, by its Events API."""

    name: Name
    key: Secret
    url: Annotated[
        str,
        dg.Resolver.default(
            description="Of the API; a service in Europe has https://events.eu.pagerduty.com."
        ),
    ] = PAGERDUTY

    def receiver(self) -> PagerDuty:
        return PagerDuty(self.name, self.key or "", self.url)


@dataclass
class WebhookReceiver(dg.Resolvable):
    """Anything that takes JSON."""

    name: Name
    url: Secret
    headers: Annotated[
        Mapping[str, str], dg.Resolver.default(description="Of each request, such as one with a token.")
    ] = field(default_factory=dict)

    def receiver(self) -> Webhook:
        return Webhook(self.name, self.url or "", dict(self.headers))


@dataclass
class AppriseReceiver(dg.Resolvable):
    """Anything else that the package apprise knows an address for."""

    name: Name
    url: Secret

    def receiver(self) -> Apprise:
        return Apprise(self.name, self.url or "")


@dataclass
class AlertRoute(dg.Resolvable):
    """Which alerts go where; every route that takes an alert adds its receivers."""

    receivers: Annotated[Sequence[str], dg.Resolver.default(description="Names of receivers.")]
    causes: Annotated[
        Sequence[Cause],
        dg.Resolver.default(
            description="What it takes; by default everything but retry, success, skipped and execute."
        ),
    ] = field(default_factory=lambda: sorted(LOUD))
    dags: Annotated[
        Sequence[str], dg.Resolver.default(description="Globs of DAGs or units; all by default.")
    ] = field(default_factory=list)
    owners: Annotated[
        Sequence[str], dg.Resolver.default(description="As in the mirrors' `owners`; all by default.")
    ] = field(default_factory=list)

    def route(self) -> Route:
        return Route(
            tuple(self.receivers),
            frozenset(map(Cause, self.causes)),
            tuple(self.dags),
            frozenset(self.owners),
        )
