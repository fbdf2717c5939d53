"""Whether a comparison says something: both sides must still be what the two runs of the window have left behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from dagster_defs.parity import Check, Verdict


@dataclass(frozen=True, slots=True)
class Write:
    """One write of an asset. `position` orders the writes that Dagster's event log knows; instants are UTC."""

    position: int
    partition: str | None
    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of both sides of one output and window, right after they were compared.

    `legacy`, `candidate`: the last write of the window; `newest_legacy`, `newest_candidate`: of any window.
    `made_for`: position of the legacy write that the candidate run was started for. `started_since`: runs of
    the legacy task that have started since its write and touch the output, in words; None if Airflow could not
    be asked. `not_built`: why this run has not built the candidate, if it should have.
    """

    as_a_whole: bool
    legacy: Write | None
    candidate: Write | None
    newest_legacy: Write | None = None
    newest_candidate: Write | None = None
    made_for: int | None = None
    started_since: tuple[str, ...] | None = ()
    not_built: str = ""


NOT_ASKED = "Airflow could not be asked whether it has started the task again"


def judged(check: Check, standing: Standing) -> Check:
    """The check as it stands; `inconclusive`, with the reason, where the comparison would be unfair."""
    if check.verdict is Verdict.INCONCLUSIVE and not standing.not_built:
        return check
    if reason := why_unfair(standing):
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason=reason)
    if standing.started_since is None:
        return replace(check, reason=f"{check.reason}; {NOT_ASKED}")
    return check


def why_unfair(standing: Standing) -> str:
    """Empty for a fair comparison. A table without a time column is the work of every window's run."""
    legacy, candidate = standing.legacy, standing.candidate
    if standing.not_built:
        return standing.not_built
    if legacy is None:
        return "no legacy run of this window is known"
    if candidate is None:
        return "no candidate run of this window is known"
    if standing.made_for != legacy.position and legacy.ended > candidate.began:
        return f"legacy has moved on: it has run this window again, until {_text(legacy.ended)}"
    if standing.started_since:
        return f"legacy has moved on: {', '.join(standing.started_since)} started since"
    if not standing.as_a_whole:
        return ""
    for side, own, newest in (
        ("legacy", legacy, standing.newest_legacy),
        ("candidate", candidate, standing.newest_candidate),
    ):
        if newest and newest.position > own.position and newest.partition != own.partition:
            return f"{side} has moved on: the run of {newest.partition} has rebuilt the whole table since"
    return NOT_ASKED if standing.started_since is None else ""


def _text(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
