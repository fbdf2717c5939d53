"""Receivers of every kind get an alert, on loopback ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from dagster_defs.adapters.receivers.sending import send
from dagster_defs.errors import NotDelivered
from dagster_defs.lifecycle.alerts import Addressed, Alert, Cause, Outbox
from dagster_defs.lifecycle.receivers import Apprise, Mail, PagerDuty, Slack, Webhook
from tests.support.receivers import Hook, web_hook

ALERT = Alert(
    Cause.LATE,
    "late orders.marts 2024-03-09",
    datetime(2024, 3, 10, 12, tzinfo=timezone.utc),
    "orders",
    "marts",
    "2024-03-09",
    reason="<!channel> & more",
    todo=("parity windows orders.marts",),
    link="http://dagster.example:3000/runs/1",
)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with web_hook() as hook:
        yield hook


def test_pagerduty_gets_one_incident_for_one_fact(hook: Hook) -> None:
    """The event has the service's key, a severity, the link, and the same `dedup_key` each time."""
    for _ in range(2):
        send(PagerDuty("oncall", "k3y", hook.url), ALERT)

    assert [path for path, _, _ in hook.got] == ["/v2/enqueue"] * 2
    first, second = hook.documents
    assert (first["routing_key"], first["event_action"]) == ("k3y", "trigger")
    assert first["dedup_key"] == second["dedup_key"]
    assert first["payload"]["summary"] == "orders.marts 2024-03-09 is late"
    assert first["payload"]["severity"] == "warning"
    assert first["payload"]["custom_details"]["What to do"] == ["parity windows orders.marts"]
    assert first["links"] == [{"href": ALERT.link, "text": "Dagster run"}]


# apprise imports imghdr where Python still has it.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_apprise_reaches_what_it_has_an_address_for(hook: Hook) -> None:
    """Headline and text arrive by its own kind of URL; an address that it does not know is final."""
    send(Apprise("else", hook.url.replace("http://", "json://")), ALERT)

    [document] = hook.documents
    assert document["title"] == "orders.marts 2024-03-09 is late"
    assert "parity windows orders.marts" in document["message"]
    with pytest.raises(NotDelivered, match="does not know this kind of address") as refused:
        send(Apprise("else", "nonsense"), ALERT)
    assert refused.value.lasting


def test_text_from_outside_mentions_nobody_in_slack(hook: Hook) -> None:
    """What a failed program has printed cannot call a whole channel."""
    send(Slack("chat", f"{hook.url}/services/x"), ALERT)

    assert "&lt;!channel&gt; &amp; more" in str(hook.documents[0]["blocks"])


def test_a_reason_with_bytes_of_another_encoding(hook: Hook) -> None:
    """It arrives: the name of a file that is not UTF-8 is in an error message as Python shows it."""
    send(Webhook("any", hook.url), replace(ALERT, reason="no file caf\udce9.csv"))

    assert hook.documents[0]["reason"] == r"no file caf\udce9.csv"


def test_no_log_has_an_address(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """Its path is often the secret, and the client of HTTP logs it at INFO."""
    with caplog.at_level("INFO"):
        send(Webhook("any", f"{hook.url}/s3cret"), ALERT)

    assert [path for path, _, _ in hook.got] == ["/s3cret"]
    assert "s3cret" not in caplog.text


def test_receivers_that_answer_are_told_first() -> None:
    """However many alerts wait for one that does not: a look ends once it has waited for that one."""
    mute = [Addressed(ALERT, "mute", ALERT.at, failures=number) for number in (1, 0, 0)]
    waiting = (mute[0], mute[1], Addressed(ALERT, "well", ALERT.at), mute[2])

    assert [each.receiver for each in Outbox(waiting=waiting).due(ALERT.at)] == ["well", *["mute"] * 3]


@pytest.mark.parametrize(
    "receiver",
    [
        Webhook("a", ""),
        Slack("a", ""),
        PagerDuty("a", "k", ""),
        Mail("a", "127.0.0.1", "me@example.com", port=1),
    ],
    ids=lambda receiver: type(receiver).__name__,
)
def test_whatever_is_wrong_with_a_receiver_is_one_error(
    receiver: Webhook | Slack | PagerDuty | Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that is not set, or a server that is not there, is a NotDelivered that names the receiver."""
    monkeypatch.setattr("dagster_defs.adapters.receivers.sending.PAUSE", 0)

    with pytest.raises(NotDelivered, match="the alert did not reach a"):
        send(receiver, ALERT)
