"""The receivers of alerts as YAML declares them: where an alert goes, and by which name routes call it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagster_defs.lifecycle.alerts import Cause, Route

SMTP_PORT = 25
PAGERDUTY = "https://events.pagerduty.com"


@dataclass(frozen=True, slots=True)
class Mail:
    """`to` may be empty if it only sends what Airflow's `email` asks for. `secure`: STARTTLS before anything is said;
    on port 465 the connection itself is TLS."""

    name: str
    host: str
    sender: str
    to: tuple[str, ...] = ()
    port: int = SMTP_PORT
    user: str = ""
    password: str = field(default="", repr=False)
    secure: bool = True


@dataclass(frozen=True, slots=True)
class Slack:
    """`url`: of an incoming webhook, which is a secret."""

    name: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """`key`: the integration key of a service. `url`: of the events API, without its path."""

    name: str
    key: str = field(repr=False)
    url: str = PAGERDUTY


@dataclass(frozen=True, slots=True)
class Webhook:
    """Gets each alert as JSON. `headers` may hold a token."""

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Apprise:
    """Anything else that the package apprise can reach, by its kind of URL."""

    name: str
    url: str = field(repr=False)


Receiver = Mail | Slack | PagerDuty | Webhook | Apprise


@dataclass(frozen=True, slots=True)
class Alerting:
    """All that YAML says about alerts. `mails`: the name of the receiver that sends what Airflow's `email` asks for;
    empty if nobody does. All `*_after` are in seconds: how long after its time a window has not started, how long a
    wait has lasted, how long the daemon has been silent."""

    receivers: tuple[Receiver, ...] = ()
    routes: tuple[Route, ...] = ()
    mails: str = ""
    not_started_after: float = 900
    stuck_after: float = 3600
    silent_after: float = 300

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(receiver.name for receiver in self.receivers)

    @property
    def everybody(self) -> tuple[str, ...]:
        """Receivers with an address of their own."""
        return tuple(each.name for each in self.receivers if not isinstance(each, Mail) or each.to)

    def wants(self, cause: Cause) -> bool:
        """Whether anybody is to be told of such a thing, other than by a task's own addresses."""
        return any(cause in route.causes for route in self.routes) if self.routes else True

    def faults(self) -> list[str]:
        """What is contradictory or missing, one line each."""
        found = [
            f"two receivers are called {name}"
            for name in dict.fromkeys(self.names)
            if self.names.count(name) > 1
        ]
        named = [name for route in self.routes for name in route.receivers]
        unknown = dict.fromkeys(name for name in named if name not in self.names)
        found += [f"a route names the receiver {name}, and there is none" for name in unknown]
        mails = [each.name for each in self.receivers if isinstance(each, Mail)]
        if self.mails and self.mails not in mails:
            found.append(f"`mails_of_tasks` names {self.mails}, which is no receiver of e-mail")
        for name in ("not_started_after", "stuck_after", "silent_after"):
            if getattr(self, name) <= 0:
                found.append(f"`{name}` is {getattr(self, name):g}")
        return found
