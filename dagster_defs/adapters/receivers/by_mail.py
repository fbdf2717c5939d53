"""An alert as an e-mail, by SMTP."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime

from dagster_defs.errors import NotDelivered
from dagster_defs.lifecycle.alert_text import body, headline
from dagster_defs.lifecycle.alerts import Alert
from dagster_defs.lifecycle.receivers import Mail

SECONDS = 10.0
TLS_PORT = 465


def send_mail(receiver: Mail, alert: Alert) -> None:
    """To the receiver's own addresses, or to those that Airflow's `email` has. Raises NotDelivered."""
    to = alert.mail_to or receiver.to
    message = message_of(receiver, alert, to)
    try:
        with _connection(receiver) as server:
            if receiver.secure and receiver.port != TLS_PORT:
                server.starttls(context=ssl.create_default_context())
            if receiver.user:
                server.login(receiver.user, receiver.password)
            refused = server.send_message(message)
    except smtplib.SMTPResponseException as error:
        # A 4xx is a server's "not now"; a 5xx is its last word.
        why = f"{error.smtp_code} {_text(error.smtp_error)}"
        raise NotDelivered(receiver.name, why, lasting=error.smtp_code >= 500) from error
    except smtplib.SMTPRecipientsRefused as error:
        raise NotDelivered(receiver.name, _refusals(error.recipients), lasting=True) from error
    except smtplib.SMTPNotSupportedError as error:
        raise NotDelivered(receiver.name, f"{error}; without TLS say secure: false", lasting=True) from error
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(receiver.name, f"{receiver.host}:{receiver.port}: {error}") from error
    if refused:  # the others have it: another try would tell them again
        raise NotDelivered(receiver.name, _refusals(refused), lasting=True)


def message_of(receiver: Mail, alert: Alert, to: tuple[str, ...]) -> EmailMessage:
    """The same fact has the same Message-ID, by which mailboxes know what they already have."""
    message = EmailMessage()
    message["Subject"] = f"[parity] {headline(alert)}".replace("\n", " ").replace("\r", " ")
    message["From"] = receiver.sender
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(alert.at)
    identity = hashlib.sha256(f"{alert.identity} {sorted(to)}".encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{identity}@{receiver.sender.rpartition('@')[2].rstrip('>') or 'parity'}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body(alert))
    return message


def _connection(receiver: Mail) -> smtplib.SMTP:
    if receiver.port == TLS_PORT:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(receiver.host, receiver.port, timeout=SECONDS, context=context)
    return smtplib.SMTP(receiver.host, receiver.port, timeout=SECONDS)


def _refusals(recipients: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{address}: {code} {_text(why)}" for address, (code, why) in recipients.items())


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:200]
