"""Sends one alert to one receiver, whatever kind it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from dagster_defs.adapters.receivers.by_http import send_json, send_page
from dagster_defs.adapters.receivers.by_mail import send_mail
from dagster_defs.adapters.receivers.by_package import send_by_apprise, send_to_slack
from dagster_defs.errors import NotDelivered
from dagster_defs.lifecycle.alerts import Alert
from dagster_defs.lifecycle.receivers import Apprise, Mail, PagerDuty, Receiver, Slack, Webhook

TRIES, PAUSE = 3, 0.5  # within one look; what fails then waits for a later one

_SENDERS: Mapping[type, Callable[[Any, Alert], None]] = {
    Mail: send_mail,
    Slack: send_to_slack,
    PagerDuty: send_page,
    Webhook: send_json,
    Apprise: send_by_apprise,
}

logger = logging.getLogger(__name__)


def send(receiver: Receiver, alert: Alert) -> None:
    """Raises NotDelivered, whatever goes wrong: one receiver's fault never keeps an alert from the others."""
    retrying = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(PAUSE),
        retry=retry_if_exception(lambda error: isinstance(error, NotDelivered) and not error.lasting),
        before_sleep=_note,
        reraise=True,
    )
    try:
        retrying(_SENDERS[type(receiver)], receiver, alert.as_unicode())
    except NotDelivered:
        raise
    except Exception as error:  # a package of somebody else may raise anything
        raise NotDelivered(receiver.name, type(error).__name__) from error


def _note(state: RetryCallState) -> None:
    if state.outcome is not None:
        logger.info("%s", state.outcome.exception())
