"""An alert in words, as a person on call reads it."""

from __future__ import annotations

from collections.abc import Iterator

from dagster_defs.lifecycle.alerts import Alert, Cause

MOST_LINES, LONGEST_LINE = 15, 400

HAPPENED = {
    Cause.FAILURE: "failed",
    Cause.RETRY: "failed and is tried again",
    Cause.SUCCESS: "succeeded",
    Cause.SKIPPED: "was skipped",
    Cause.EXECUTE: "started",
    Cause.LATE: "is late",
    Cause.NOT_STARTED: "did not start",
    Cause.STUCK_WAIT: "still waits",
    Cause.MISMATCH: "does not match",
    Cause.ROLLED_BACK: "was rolled back by itself",
    Cause.DAEMON: "the daemon is silent",
}


def headline(alert: Alert) -> str:
    """One line: what, when, and what happened to it."""
    if alert.cause is Cause.DAEMON:
        return f"Dagster: {HAPPENED[alert.cause]}"
    window = f" {alert.partition}" if alert.partition else ""
    return f"{alert.subject_of}{window} {HAPPENED[alert.cause]}"


def facts(alert: Alert) -> Iterator[tuple[str, str]]:
    """Label and value, without those that are not known."""
    named = (
        ("DAG", alert.dag),
        ("Task", alert.task),
        ("Window", alert.window),
        ("Try", alert.attempt),
        ("Window owned by", alert.owner),
        ("Owners", ", ".join(alert.owners)),
        ("Run", alert.link or alert.run_id),
    )
    return ((label, value) for label, value in named if value)


def last_lines(text: str) -> str:
    """The end of a reason: the innermost error of a long stack is there."""
    lines = [line.rstrip()[:LONGEST_LINE] for line in text.strip().splitlines()]
    return "\n".join(lines[-MOST_LINES:])


def body(alert: Alert) -> str:
    """All of it as plain text."""
    parts = ["\n".join(f"{label}: {value}" for label, value in facts(alert))]
    if alert.reason:
        parts.append(alert.reason)
    if alert.todo:
        parts.append("\n".join(["What to do:", *(f"  {each}" for each in alert.todo)]))
    return "\n\n".join(filter(None, [headline(alert), *parts])) + "\n"
