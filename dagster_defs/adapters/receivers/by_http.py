"""An alert as a request: to any webhook, and to PagerDuty's Events API (v2)."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from dagster_defs.adapters.http.question import PASSING
from dagster_defs.errors import NotDelivered
from dagster_defs.lifecycle.alert_text import facts, headline, last_lines
from dagster_defs.lifecycle.alerts import Alert, Cause
from dagster_defs.lifecycle.receivers import PagerDuty, Webhook

SECONDS = 10.0
LONGEST_SUMMARY = 1024  # PagerDuty's
_WARNINGS = frozenset({Cause.RETRY, Cause.LATE, Cause.STUCK_WAIT, Cause.MISMATCH, Cause.ROLLED_BACK})
_NEWS = frozenset({Cause.SUCCESS, Cause.SKIPPED, Cause.EXECUTE})


def send_json(receiver: Webhook, alert: Alert) -> None:
    """The fields of the alert and its headline. A server that gets one twice knows it by `Idempotency-Key`. Raises
    NotDelivered."""
    document = {"headline": headline(alert), **alert.as_json()}
    post(receiver.name, receiver.url, document, {**receiver.headers, "Idempotency-Key": _digest(alert)})


def send_page(receiver: PagerDuty, alert: Alert) -> None:
    """The same fact is one incident. Raises NotDelivered."""
    document = {
        "routing_key": receiver.key,
        "event_action": "trigger",
        "dedup_key": _digest(alert),
        "payload": {
            "summary": headline(alert)[:LONGEST_SUMMARY],
            "source": alert.subject_of,
            "severity": severity(alert.cause),
            "timestamp": alert.at.isoformat(),
            "custom_details": {
                **dict(facts(alert)),
                "Reason": last_lines(alert.reason),
                "What to do": list(alert.todo),
            },
        },
        "links": [{"href": alert.link, "text": "Dagster run"}] if alert.link else [],
    }
    post(receiver.name, f"{receiver.url.rstrip('/')}/v2/enqueue", document, {})


def severity(cause: Cause) -> str:
    if cause in _NEWS:
        return "info"
    return "warning" if cause in _WARNINGS else "error"


def post(name: str, url: str, document: Any, headers: Mapping[str, str]) -> None:
    """The address is in no message: its path is often the secret. Raises NotDelivered."""
    try:
        with _unlogged():
            answer = httpx.post(url, json=document, headers=dict(headers), timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        lasting = not isinstance(error, httpx.TransportError) or isinstance(error, httpx.UnsupportedProtocol)
        why = "its address is none" if lasting else str(error) or type(error).__name__
        raise NotDelivered(name, why, lasting=lasting) from error
    if not answer.is_success:
        lasting = answer.status_code < 500 and answer.status_code not in PASSING
        raise NotDelivered(name, f"it answered {answer.status_code}", lasting=lasting)


@contextmanager
def _unlogged() -> Iterator[None]:
    """httpx logs each address at INFO, and Dagster keeps what is logged where `managed_python_loggers` says so."""
    mine, logger = threading.get_ident(), logging.getLogger("httpx")

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != mine

    logger.addFilter(is_of_another)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another)


def _digest(alert: Alert) -> str:
    return hashlib.sha256(alert.identity.encode()).hexdigest()[:32]
