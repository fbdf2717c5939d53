"""What people are told of real runs, by real receivers on loopback ports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dagster_defs.lifecycle import tags
from tests.components.alerts.conftest import Alerted
from tests.support.receivers import Hook, Mailbox


def mail_of(box: Mailbox, **more: Any) -> dict[str, Any]:
    return {
        "name": "mail", "host": "127.0.0.1", "port": box.port, "sender": "parity@example.com",
        "to": ["oncall@example.com"], "secure": False, **more,
    }  # fmt: skip


@pytest.fixture
def everywhere(alerted: Alerted, mailbox: Mailbox, hook: Hook, slack: Hook) -> Alerted:
    """Failures go to a mail server, a webhook and Slack."""
    alerted.receivers = {
        "email": [mail_of(mailbox)],
        "webhook": [{"name": "hook", "url": hook.url + "/in", "headers": {"X-Token": "t0ken"}}],
        "slack": [{"name": "chat", "url": slack.url + "/services/T0/B0/x"}],
        "routes": [{"receivers": ["mail", "hook", "chat"], "causes": ["failure"]}],
    }
    return alerted


def test_a_failure_reaches_everybody_once(
    everywhere: Alerted, mailbox: Mailbox, hook: Hook, slack: Hook
) -> None:
    """A failed run is one mail, one request and one message, with unit, window, owner, try, reason, the next command
    and the run's link; further ticks, and a new process's, tell nothing again."""
    everywhere.declare("fails", retries=1, retry_delay=0)
    assert everywhere.tick() == "nothing to tell"
    run = everywhere.run()

    said = everywhere.tick()

    for receiver in ("mail", "hook", "chat"):
        assert f"own.python 2024-03-09 failed: {receiver} was told" in said
    [mail] = mailbox.mails
    assert mail["Subject"] == "[parity] own.python 2024-03-09 failed"
    assert (mail["From"], mail["To"]) == ("parity@example.com", "oncall@example.com")
    text = mail.get_content()
    for line in (
        "DAG: own",
        "Task: python",
        "Window: [2024-03-09 11:00 UTC, 2024-03-10 10:00 UTC)",
        "Try: 2 of 2",
        "Window owned by: dagster",
        "Owners: team:data-platform",
        f"Run: http://dagster.example:3000/runs/{run.run_id}",
        "OSError: the share is not there",
        "parity windows own.python",
    ):
        assert line in text, text
    [(path, headers, document)] = hook.got
    assert (path, headers["X-Token"]) == ("/in", "t0ken")
    assert document["headline"] == "own.python 2024-03-09 failed"
    assert (document["cause"], document["dag"], document["task"]) == ("failure", "own", "python")
    [(path, _, message)] = slack.got
    assert path == "/services/T0/B0/x"
    assert message["text"] == "own.python 2024-03-09 failed"
    assert "the share is not there" in str(message["blocks"])

    everywhere.project.load()
    assert everywhere.tick() == "nothing to tell"
    assert (len(mailbox.mails), len(hook.got), len(slack.got)) == (1, 1, 1)


def test_what_airflow_launched_airflow_tells_of(everywhere: Alerted, hook: Hook) -> None:
    """A failed run that Airflow's proxy launched is Airflow's to tell of."""
    everywhere.declare("fails")
    everywhere.tick()
    everywhere.run(tags={tags.AIRFLOW_TRY: "1"})

    assert everywhere.tick() == "nothing to tell"
    assert hook.got == []


def test_a_receiver_that_is_down_keeps_nothing_from_the_others(
    everywhere: Alerted, mailbox: Mailbox, hook: Hook, slack: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are told at once; the one that is down is told later, once, and is named in the meantime."""
    monkeypatch.setattr("dagster_defs.adapters.receivers.sending.PAUSE", 0)
    monkeypatch.setattr("dagster_defs.lifecycle.alerts.FIRST_PAUSE", 0)
    hook.answers = [503]
    everywhere.declare("fails")
    everywhere.tick()
    everywhere.run()

    said = everywhere.tick()
    assert "hook was not told: it answered 503" in said
    assert "hook was not reached, 1 alert waits: it answered 503" in said
    assert (len(mailbox.mails), len(hook.got), len(slack.got)) == (1, 0, 1)

    hook.answers = [200]
    assert everywhere.tick() == "own.python 2024-03-09 failed: hook was told"
    assert (len(mailbox.mails), len(hook.got), len(slack.got)) == (1, 1, 1)


def test_a_short_outage_is_tried_again_at_once(everywhere: Alerted, hook: Hook) -> None:
    """Within one look a receiver that answers 503 is asked again."""
    hook.answers = [503, 200]
    everywhere.declare("fails")
    everywhere.tick()
    everywhere.run()

    assert "hook was told" in everywhere.tick()
    assert len(hook.got) == 1


def test_what_is_refused_for_good_is_not_tried_again(everywhere: Alerted, hook: Hook) -> None:
    """A 404 is final: the trouble is shown, and the alert does not wait."""
    hook.answers = [404]
    everywhere.declare("fails")
    everywhere.tick()
    everywhere.run()
    assert "hook was not told: it answered 404" in everywhere.tick()

    hook.answers = [200]
    assert "hook was not told of failure own.python" in everywhere.tick()
    assert hook.got == []


def test_a_secret_is_in_no_message(everywhere: Alerted, hook: Hook) -> None:
    """The address of a webhook that does not answer is not in what the sensor says."""
    everywhere.receivers["webhook"][0]["url"] = "http://127.0.0.1:1/s3cret"
    everywhere.declare("fails")
    everywhere.tick()
    everywhere.run()

    said = everywhere.tick()

    assert "hook was not told" in said
    assert "s3cret" not in said


def test_a_night_of_failures_is_told_of_whole(
    everywhere: Alerted, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More failed runs than one query reads, and then than one look reads, are all told of, each once."""
    monkeypatch.setattr("dagster_defs.usecases.alerts.runs.RUNS", 2)
    everywhere.declare("fails")
    everywhere.tick()
    days = [f"2024-03-{day:02}" for day in range(4, 9)]
    for day in days:
        everywhere.run((day, day))
    everywhere.tick()
    assert sorted(each["partition"] for each in hook.documents) == days

    monkeypatch.setattr("dagster_defs.usecases.alerts.runs.PAGES", 1)
    monkeypatch.setattr("dagster_defs.usecases.alerts.runs.OVERLAP", timedelta(microseconds=1))
    more = [f"2024-03-{day:02}" for day in range(9, 14)]
    for day in more:
        everywhere.run((day, day))
    for _ in more:
        everywhere.tick()
    assert sorted(each["partition"] for each in hook.documents) == [*days, *more]
