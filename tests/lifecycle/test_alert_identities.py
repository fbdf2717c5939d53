"""Who is told of what, and what is kept between two looks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dagster_defs.lifecycle.alert_text import body, headline
from dagster_defs.lifecycle.alerts import (
    FIRST_PAUSE,
    GIVEN_UP_DAYS,
    KEPT_DAYS,
    LONGEST_PAUSE,
    LOUD,
    Alert,
    Cause,
    Outbox,
    Route,
    receivers_of,
)
from dagster_defs.lifecycle.receivers import Alerting, Mail, Webhook

NOW = datetime(2024, 3, 10, 12, tzinfo=timezone.utc)
FAILED = Alert(
    Cause.FAILURE,
    "failure orders.marts 1",
    NOW,
    "orders",
    "marts",
    "2024-03-09",
    "[2024-03-09 11:00 UTC, 2024-03-10 10:00 UTC)",
    owners=("team:sales",),
    reason="OSError: the share is not there",
    todo=("parity windows orders.marts",),
)


@pytest.mark.parametrize(
    ("route", "takes"),
    [
        (Route(("a",)), True),
        (Route(("a",), causes=frozenset({Cause.SUCCESS})), False),
        (Route(("a",), dags=("orders",)), True),
        (Route(("a",), dags=("orders.m*",)), True),
        (Route(("a",), dags=("stock", "orders.x")), False),
        (Route(("a",), owners=frozenset({"team:sales"})), True),
        (Route(("a",), owners=frozenset({"team:stock"})), False),
        (Route(("a",), dags=("orders",), owners=frozenset({"team:stock"})), False),
    ],
)
def test_a_route_takes_what_meets_all_its_conditions(route: Route, takes: bool) -> None:
    """Cause, DAG or unit, and owner; what is empty is no condition."""
    assert route.takes(FAILED) is takes


def test_what_is_about_dagster_itself_is_everybodys() -> None:
    """A silent daemon has no DAG and no owner: conditions on these keep it from nobody."""
    silent = Alert(Cause.DAEMON, "daemon never", NOW)

    assert Route(("a",), dags=("orders",), owners=frozenset({"team:sales"})).takes(silent)
    assert not Route(("a",), causes=frozenset({Cause.FAILURE})).takes(silent)


def test_each_receiver_is_told_once() -> None:
    """Two routes to one receiver are one alert; without routes what is loud goes to everybody."""
    routes = [Route(("a", "b")), Route(("b", "c"), dags=("orders",))]

    assert receivers_of(FAILED, routes, ["x"]) == ("a", "b", "c")
    assert receivers_of(FAILED, [], ["x", "y"]) == ("x", "y")
    assert receivers_of(replace(FAILED, cause=Cause.SUCCESS), [], ["x", "y"]) == ()
    assert Cause.SUCCESS not in LOUD


def test_a_fact_is_known_after_it_was_kept() -> None:
    """An outbox that is written and read again, as after a restart, adds no fact a second time, and has not lost what
    waits; nor does it add what another look knows."""
    outbox = Outbox().with_alerts([FAILED, FAILED], [], ["a"], NOW)
    assert [each.receiver for each in outbox.waiting] == ["a"]

    again = Outbox.from_json(json.loads(json.dumps(outbox.as_json())))
    assert again == outbox
    assert again.with_alerts([FAILED], [], ["a"], NOW) == outbox
    assert Outbox().with_alerts([FAILED], [], ["a"], NOW, elsewhere={FAILED.identity}) == Outbox()
    [waiting] = again.waiting
    assert again.delivered(waiting).waiting == ()


def test_a_receiver_that_is_down_is_asked_less_and_less_often() -> None:
    """The pauses double up to an hour; after days the alert is given up, and said to be lost."""
    outbox, now, pauses = Outbox().with_alerts([FAILED], [], ["a"], NOW), NOW, []
    while outbox.waiting:
        [waiting] = outbox.waiting
        outbox = outbox.failed(waiting, "it answered 503", now)
        if outbox.waiting:
            assert outbox.due(now) == ()
            again = outbox.waiting[0].again
            assert again is not None
            pauses.append((again - now).total_seconds())
            now = again
            assert outbox.due(now) == outbox.waiting

    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert max(pauses) == LONGEST_PAUSE
    assert now - NOW >= timedelta(days=GIVEN_UP_DAYS)
    assert [*outbox.troubles()] == ["a was not told of failure orders.marts 1: it answered 503"]


def test_facts_are_forgotten_when_nothing_can_find_them_again() -> None:
    """After a month, so that the outbox does not grow for ever."""
    outbox = Outbox().with_alerts([FAILED], [], [], NOW)

    assert outbox.pruned(NOW + timedelta(days=KEPT_DAYS - 1)).known
    assert not outbox.pruned(NOW + timedelta(days=KEPT_DAYS)).known


def test_the_text_has_what_a_person_on_call_needs() -> None:
    """What happened, to what, whose it is, why, and what to do; nothing that is not known has a line."""
    assert headline(FAILED) == "orders.marts 2024-03-09 failed"
    assert body(FAILED) == (
        "orders.marts 2024-03-09 failed\n\n"
        "DAG: orders\nTask: marts\nWindow: [2024-03-09 11:00 UTC, 2024-03-10 10:00 UTC)\nOwners: team:sales\n\n"
        "OSError: the share is not there\n\n"
        "What to do:\n  parity windows orders.marts\n"
    )


def test_what_is_declared_wrong_is_said() -> None:
    """Two receivers of one name, a route to none, a server of tasks' mails that is none, and a limit of nothing."""
    wrong = Alerting(
        (Webhook("a", "x"), Mail("a", "host", "me@example.com")),
        (Route(("b",)),),
        mails="c",
        silent_after=0,
    )

    assert wrong.faults() == [
        "two receivers are called a",
        "a route names the receiver b, and there is none",
        "`mails_of_tasks` names c, which is no receiver of e-mail",
        "`silent_after` is 0",
    ]
