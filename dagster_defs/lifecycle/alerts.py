"""What somebody is told when something goes wrong: one alert for one fact, and who receives it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from dagster_defs.older_python import StrEnum, datetime_of


class Cause(StrEnum):
    """What an alert is about; routes in YAML name these. The first five are Airflow's own occasions of a callback."""

    FAILURE = "failure"
    RETRY = "retry"
    SUCCESS = "success"
    SKIPPED = "skipped"
    EXECUTE = "execute"
    LATE = "late"
    NOT_STARTED = "not_started"
    STUCK_WAIT = "stuck_wait"
    MISMATCH = "mismatch"
    ROLLED_BACK = "rolled_back"
    DAEMON = "daemon"


#: What a route without `causes` takes: nobody is woken by a success.
LOUD = frozenset(Cause) - {Cause.RETRY, Cause.SUCCESS, Cause.SKIPPED, Cause.EXECUTE}


@dataclass(frozen=True, slots=True)
class Alert:
    """One fact, with what a person on call needs. `identity`: the same whoever finds the fact again, and after
    whatever restart. `task` is empty if it is about a whole DAG, `dag` too if it is about Dagster itself.

    `owner`: the orchestrator whose run counts for the window. `owners`: of the assets. `reason`: why, its last lines
    at the end. `todo`: what to do, a command where there is one. `link`: of the Dagster run. `mail_to`: the addresses
    that Airflow's `email` has. `calls`: functions of the team, by dotted path, that nobody else has called.
    """

    cause: Cause
    identity: str
    at: datetime
    dag: str = ""
    task: str = ""
    partition: str = ""
    window: str = ""
    attempt: str = ""
    owner: str = ""
    owners: tuple[str, ...] = ()
    reason: str = ""
    todo: tuple[str, ...] = ()
    link: str = ""
    run_id: str = ""
    mail_to: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()

    @property
    def subject_of(self) -> str:
        """The unit, the DAG, or Dagster."""
        return ".".join(filter(None, (self.dag, self.task))) or "Dagster"

    def as_unicode(self) -> Alert:
        """Without the halves of characters that Python makes of bytes of another encoding: no receiver takes them."""
        reason = self.reason.encode("utf-8", "backslashreplace").decode()
        return replace(self, reason=reason)

    def as_json(self) -> dict[str, Any]:
        return {
            "cause": self.cause.value,
            "identity": self.identity,
            "at": self.at.isoformat(),
            "dag": self.dag,
            "task": self.task,
            "partition": self.partition,
            "window": self.window,
            "attempt": self.attempt,
            "owner": self.owner,
            "owners": list(self.owners),
            "reason": self.reason,
            "todo": list(self.todo),
            "link": self.link,
            "run_id": self.run_id,
            "mail_to": list(self.mail_to),
            "calls": list(self.calls),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Alert:
        lists = {name: tuple(map(str, document[name])) for name in ("owners", "todo", "mail_to", "calls")}
        return cls(
            **{**document, **lists, "cause": Cause(document["cause"]), "at": datetime_of(document["at"])}
        )


@dataclass(frozen=True, slots=True)
class Route:
    """Which alerts go to which receivers. What is empty is no condition. `dags`: globs of DAGs or of units. `owners`:
    of the assets, as in the mirrors' YAML."""

    receivers: tuple[str, ...]
    causes: frozenset[Cause] = LOUD
    dags: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()

    def takes(self, alert: Alert) -> bool:
        """An alert about Dagster itself, which has no DAG and no owner, is everybody's."""
        if alert.cause not in self.causes:
            return False
        if not alert.dag:
            return True
        named = (alert.dag, alert.subject_of)
        is_of_dag = not self.dags or any(fnmatchcase(name, glob) for name in named for glob in self.dags)
        return is_of_dag and (not self.owners or bool(self.owners & {*alert.owners}))


@dataclass(frozen=True, slots=True)
class Addressed:
    """An alert on its way to one receiver. `failures`: tries so far; `since`: when it was first due; `again`: the next
    try is not due before. `why`: what the last try ran into."""

    alert: Alert
    receiver: str
    since: datetime
    failures: int = 0
    again: datetime | None = None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "alert": self.alert.as_json(),
            "receiver": self.receiver,
            "since": self.since.isoformat(),
            "failures": self.failures,
            "again": self.again and self.again.isoformat(),
            "why": self.why,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Addressed:
        return cls(
            Alert.from_json(document["alert"]),
            str(document["receiver"]),
            datetime_of(document["since"]),
            int(document["failures"]),
            datetime_of(document["again"]) if document["again"] else None,
            str(document["why"]),
        )


def receivers_of(alert: Alert, routes: Sequence[Route], everybody: Sequence[str]) -> tuple[str, ...]:
    """Those of all routes that take it, each once. Without any route, a loud alert goes to everybody."""
    if not routes:
        return tuple(everybody) if alert.cause in LOUD else ()
    return tuple(dict.fromkeys(name for route in routes if route.takes(alert) for name in route.receivers))


CALLED = "on_failure "  # begins the name of a receiver that is a function of the team
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0  # seconds between two tries of a receiver that cannot be reached
KEPT_DAYS = 30  # for which a fact is remembered, so that nobody is told of it twice
GIVEN_UP_DAYS = 3  # after which nobody needs to be told any more


@dataclass(frozen=True, slots=True)
class Outbox:
    """Alerts that wait for their receivers, and those that were found before: what is kept between two looks.

    `known`: by identity, when the fact was found. `looked`: until when runs were looked at; None before the first look.
    `lost`: lines about what could not be delivered in time, newest last.
    """

    known: Mapping[str, datetime] = field(default_factory=dict)
    waiting: tuple[Addressed, ...] = ()
    looked: datetime | None = None
    lost: tuple[str, ...] = ()

    def with_alerts(
        self,
        alerts: Iterable[Alert],
        address: Sequence[Route],
        everybody: Sequence[str],
        now: datetime,
        *,
        mail: str = "",
        elsewhere: Collection[str] = (),
    ) -> Outbox:
        """With the new ones among these facts, addressed. `mail`: the receiver that sends what Airflow's `email` asks
        for. `elsewhere`: identities that another look has found."""
        known, waiting = dict(self.known), list(self.waiting)
        for alert in alerts:
            if alert.identity in known or alert.identity in elsewhere:
                continue
            known[alert.identity] = now
            names = receivers_of(alert, address, everybody)
            waiting += [Addressed(replace(alert, mail_to=(), calls=()), name, now) for name in names]
            waiting += [Addressed(alert, f"{CALLED}{path}", now) for path in alert.calls]
            if alert.mail_to and mail:
                waiting.append(Addressed(alert, mail, now))
        return replace(self, known=known, waiting=tuple(waiting))

    def due(self, now: datetime) -> tuple[Addressed, ...]:
        """Those of receivers that take what they get come first: a look may end before one that does not answer has
        been waited for."""
        failures: dict[str, int] = {}
        for each in self.waiting:
            failures[each.receiver] = max(each.failures, failures.get(each.receiver, 0))
        due = [each for each in self.waiting if each.again is None or each.again <= now]
        return tuple(sorted(due, key=lambda each: failures[each.receiver]))

    def delivered(self, sent: Addressed) -> Outbox:
        return replace(self, waiting=tuple(each for each in self.waiting if each is not sent))

    def failed(self, tried: Addressed, why: str, now: datetime, *, lasting: bool = False) -> Outbox:
        """Each further try comes after twice the pause. What waits for days, or will never be taken, is given up."""
        pause = min(FIRST_PAUSE * 2**tried.failures, LONGEST_PAUSE)
        if lasting or (now - tried.since).days >= GIVEN_UP_DAYS:
            line = f"{tried.receiver} was not told of {tried.alert.identity}: {why}"
            return replace(self.delivered(tried), lost=(*self.lost, line)[-20:])
        later = replace(tried, failures=tried.failures + 1, again=now + timedelta(seconds=pause), why=why)
        return replace(self, waiting=tuple(later if each is tried else each for each in self.waiting))

    def looked_until(self, looked: datetime) -> Outbox:
        return replace(self, looked=looked)

    def pruned(self, now: datetime) -> Outbox:
        """Without facts that nothing can find again."""
        return replace(
            self, known={name: at for name, at in self.known.items() if (now - at).days < KEPT_DAYS}
        )

    def troubles(self) -> Iterator[str]:
        """Receivers that could not be reached, one line each; and what was given up."""
        failing = [each for each in self.waiting if each.failures]
        for name in sorted({each.receiver for each in failing}):
            mine = [each for each in failing if each.receiver == name]
            count = f"{len(mine)} alert{'' if len(mine) == 1 else 's'}"
            yield f"{name} was not reached, {count} wait{'s' if len(mine) == 1 else ''}: {mine[-1].why}"
        yield from self.lost

    def as_json(self) -> dict[str, Any]:
        return {
            "known": {identity: at.isoformat() for identity, at in self.known.items()},
            "waiting": [each.as_json() for each in self.waiting],
            "looked": self.looked and self.looked.isoformat(),
            "lost": list(self.lost),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Outbox:
        return cls(
            {str(identity): datetime_of(at) for identity, at in document["known"].items()},
            tuple(map(Addressed.from_json, document["waiting"])),
            datetime_of(document["looked"]) if document["looked"] else None,
            tuple(map(str, document["lost"])),
        )
