"""Whether a comparison is meaningful: both sides must still be as the two runs of the window left them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from dagster_defs.parity import Check, Verdict
from dagster_defs.windows import instant_text


@dataclass(frozen=True, slots=True)
class Write:
    """One write of an asset. `position` orders the writes in Dagster's event log; instants are UTC."""

    position: int
    partition: str | None
    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Upstream:
    """What legacy wrote upstream of both sides, between its own run of the window and the candidate's; in words.

    `spoiling`: writes that may have changed rows that the window is made from. `beside`: writes about other windows; a
    run may read more than its window, and that is not known.
    """

    spoiling: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known about both sides of one output and window, right after they were compared.

    `legacy`, `candidate`: the last write of the window; `newest_legacy`, `newest_candidate`: of any window.
    `made_for`: position of the legacy write that the candidate run was started for. `started_since`: runs of the
    legacy task that have started since its write and touch the output, in words; None if Airflow could not be
    asked. `not_built`: why this run has not built the candidate, if it should have. `not_made`: what the candidate
    should have read and legacy has for this window, but no candidate run has made, each with the reason.
    `other_legacy`, `other_candidate`: runs that have written the same rows since the window's own run, according to
    observations: runs of another unit that builds the same table, or without a partition. `copied`: why the
    candidate's rows may be a copy of legacy's rather than its own work.
    """

    as_a_whole: bool
    legacy: Write | None
    candidate: Write | None
    newest_legacy: Write | None = None
    newest_candidate: Write | None = None
    made_for: int | None = None
    started_since: tuple[str, ...] | None = ()
    not_built: str = ""
    not_made: tuple[str, ...] = ()
    other_legacy: tuple[str, ...] = ()
    other_candidate: tuple[str, ...] = ()
    upstream: Upstream = Upstream()
    copied: str = ""


LATER_INPUT = "legacy has moved on: the candidate read what was written upstream after legacy's run began"
NOT_ASKED = "Airflow could not be asked whether it has started the task again"


def judged(check: Check, standing: Standing) -> Check:
    """The check as it is; `inconclusive`, with the reason, if the comparison would be unfair."""
    if check.verdict is Verdict.INCONCLUSIVE and not standing.not_built:
        return check
    if reason := unfair_reason(standing):
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason=reason)
    if check.verdict is Verdict.MISMATCH and standing.upstream.spoiling:
        reason = f"{LATER_INPUT}: {', '.join(standing.upstream.spoiling)}; {check.reason}"
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason=reason)
    notes = [NOT_ASKED] if standing.started_since is None else []
    if check.verdict is Verdict.MISMATCH and standing.upstream.beside:
        notes.append(f"{LATER_INPUT}, of other windows: {', '.join(standing.upstream.beside)}")
    return replace(check, reason="; ".join([check.reason, *notes])) if notes else check


def unfair_reason(standing: Standing) -> str:
    """Empty for a fair comparison. A table without a time column is the work of every window's run."""
    legacy, candidate = standing.legacy, standing.candidate
    if standing.not_built:
        return standing.not_built
    if legacy is None:
        return "no legacy run of this window is known"
    if candidate is None:
        return "no candidate run of this window is known"
    if standing.copied:
        return standing.copied
    if standing.not_made:
        return f"the candidate lacked some of its input: {'; '.join(standing.not_made)}"
    if standing.made_for != legacy.position and legacy.ended > candidate.began:
        return f"legacy has moved on: it has run this window again, until {_text(legacy.ended)}"
    if standing.started_since:
        return f"legacy has moved on: {', '.join(standing.started_since)} started since"
    for side, others in (("legacy", standing.other_legacy), ("candidate", standing.other_candidate)):
        if others:
            return f"{side} has moved on: {', '.join(others)} has written the same rows since"
    if not standing.as_a_whole:
        return ""
    for side, own, newest in (
        ("legacy", legacy, standing.newest_legacy),
        ("candidate", candidate, standing.newest_candidate),
    ):
        if newest and newest.position > own.position and newest.partition != own.partition:
            return f"{side} has moved on: the run of {newest.partition} has rebuilt the whole table since"
    return NOT_ASKED if standing.started_since is None else ""


def read_as_of(standing: Standing) -> Standing:
    """As if nothing had happened since legacy's run: for a warehouse that shows a table as of the run's end."""
    return replace(standing, started_since=(), newest_legacy=None, other_legacy=())


def unfair_tests_reason(standing: Standing, started: tuple[str, ...] | None) -> str:
    """Why tests of legacy as it is now may not be compared with those of the candidate run; empty if they may.

    A test looks at the whole table, so whatever any window's run has written since counts. `started`: runs of the
    legacy task, for any window, that have started since; None if Airflow could not be asked.
    """
    return unfair_reason(replace(standing, as_a_whole=True, started_since=started))


def _text(moment: datetime) -> str:
    return instant_text(moment, "seconds")
