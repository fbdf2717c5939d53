"""An alert by a package that a team installs for it, with the extra `alerts`: Slack's own, and apprise for the rest."""

from __future__ import annotations

import html
from typing import Any

from dagster_defs.adapters.http.question import PASSING
from dagster_defs.errors import NotDelivered
from dagster_defs.lifecycle.alert_text import body, facts, headline, last_lines
from dagster_defs.lifecycle.alerts import Alert
from dagster_defs.lifecycle.receivers import Apprise, Slack

SECONDS = 10
LONGEST = 2900  # characters of one block; Slack's limit is 3,000
MISSING = "the package {package} is not installed: pip install 'airflow-parity[alerts]'"


def send_to_slack(receiver: Slack, alert: Alert) -> None:
    """Raises NotDelivered."""
    try:
        from slack_sdk.webhook import WebhookClient
    except ImportError as error:
        raise NotDelivered(receiver.name, MISSING.format(package="slack-sdk"), lasting=True) from error
    client = WebhookClient(receiver.url, timeout=SECONDS)
    try:
        answer = client.send(text=_plain(headline(alert)), blocks=blocks(alert))
    except OSError as error:
        raise NotDelivered(receiver.name, str(getattr(error, "reason", error))) from error
    if answer.status_code != 200:
        said = f"it answered {answer.status_code} {answer.body[:100]}"
        lasting = answer.status_code < 500 and answer.status_code not in PASSING
        raise NotDelivered(receiver.name, said, lasting=lasting)


def blocks(alert: Alert) -> list[dict[str, Any]]:
    """Slack's message: what happened, the facts, the reason as it stands, and the commands to copy."""
    made = [_section(f"*{_plain(headline(alert))}*")]
    lines = [f"*{label}:* {_plain(value)}" for label, value in facts(alert)]
    if lines:
        made.append(_section("\n".join(lines)))
    if alert.reason:
        # The end of a reason tells more than its beginning.
        made.append(_section(f"```{_plain(last_lines(alert.reason))[-LONGEST + 10 :]}```"))
    if alert.todo:
        made.append(_section("\n".join(f"• `{_plain(each)}`" for each in alert.todo)))
    return made


def send_by_apprise(receiver: Apprise, alert: Alert) -> None:
    """Raises NotDelivered. Apprise says only whether it was delivered; why it was not is in its log."""
    try:
        import apprise
    except ImportError as error:
        raise NotDelivered(receiver.name, MISSING.format(package="apprise"), lasting=True) from error
    sender = apprise.Apprise()
    if not sender.add(receiver.url):
        raise NotDelivered(receiver.name, "apprise does not know this kind of address", lasting=True)
    if not sender.notify(title=headline(alert), body=body(alert)):
        raise NotDelivered(receiver.name, "apprise did not deliver it")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:LONGEST]}}


def _plain(text: str) -> str:
    """Text that mentions nobody and links nothing, whatever is in it."""
    return html.escape(text, quote=False)
