"""What the watch found, for whoever reads the output of cron."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_defs.lifecycle.alert_text import body
from dagster_defs.render.text.base import print_plain, say, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster_defs.lifecycle.alerts import Alert


def print_watch(alerts: Sequence[Alert], lines: Sequence[str], troubles: Sequence[str]) -> None:
    """What is wrong goes to stdout, which cron mails; what was sent to whom goes to stderr."""
    for alert in alerts:
        print_plain(body(alert))
    for line in lines:
        say(line)
    for line in troubles:
        warn(line)
    if not alerts and not troubles:
        say("Dagster's daemon lives, and every window of a retired DAG has started in time.")
