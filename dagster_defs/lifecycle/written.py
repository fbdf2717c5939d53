"""Who wrote the windows of a unit: writes, gaps, overlaps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, groupby
from typing import Any

from dagster_defs.lifecycle.units import Owner, Unit
from dagster_defs.lifecycle.waits import WaitedFor
from dagster_defs.older_python import StrEnum
from dagster_defs.windows import instant_text


class Extent(StrEnum):
    """How much of a window has been written; each window is in exactly one of these states.

    `part`: only some assets of the unit. `gap`: nothing, although a later window has been written. `skipped`: nothing,
    because the task was skipped, by Airflow or by a run in Dagster. `waiting`: it is over, but so far neither it nor a
    later window has been written, or its run has not finished.
    """

    WRITTEN = "written"
    PART = "part"
    GAP = "gap"
    SKIPPED = "skipped"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Wrote:
    """One run's write of one window. A proxied run is Dagster's.

    `at`: when Dagster learned of it; `began`, `ended` are None if not known. `root` is the same in every try of one
    run; `run`, `address` are empty if not known. `live`: the run has not finished. `asked`: it was a requested
    backfill. `skipped`: its only trace is that it skipped the task, so it wrote nothing.
    """

    owner: Owner
    partition: str
    at: datetime
    run: str = ""
    root: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    assets: frozenset[str] = frozenset()
    address: str = ""
    live: bool = False
    asked: bool = False
    skipped: bool = False

    @property
    def when(self) -> datetime:
        return self.ended or self.at

    def collides_with(self, other: Wrote) -> bool:
        """Whether both wrote the same asset at the same time, and neither is a later try of the other."""
        if self.root == other.root or not self.assets & other.assets:
            return False
        if not (self.began and self.ended and other.began and other.ended):
            return False
        return self.began < other.ended and other.began < self.ended

    def as_json(self) -> Mapping[str, Any]:
        return {
            "by": self.owner.value,
            "run": self.run,
            "address": self.address,
            "began": self.began and self.began.isoformat(),
            "ended": self.ended and self.ended.isoformat(),
            "at": self.at.isoformat(),
        }

    def __str__(self) -> str:
        run = f" ({self.run})" if self.run else ""
        return f"{self.owner}{run} at {instant_text(self.when, 'seconds')}"


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A run that wrote nothing: `why`, in words. `live`: it has not finished. `at`: when it was reported."""

    why: str
    skipped: bool = False
    live: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive windows, given by the keys of the first and the last."""

    first: str
    last: str
    windows: int = 1

    def as_json(self) -> Mapping[str, Any]:
        return {"first": self.first, "last": self.last, "windows": self.windows}

    def __str__(self) -> str:
        return self.first if self.windows == 1 else f"{self.first} … {self.last} ({self.windows:,})"


@dataclass(frozen=True, slots=True)
class WindowWrites:
    """One window. `wrote`: oldest first. `why`: what is known about one that is not, or not fully, written."""

    partition: str
    extent: Extent
    wrote: tuple[Wrote, ...] = ()
    why: str = ""

    @property
    def owners(self) -> frozenset[Owner]:
        return frozenset(write.owner for write in self.wrote)

    @property
    def overlap(self) -> str:
        """Why it has more than one writer; empty if it has not, or if somebody has requested another write since.

        A second write by the same orchestrator at a later time is not an overlap.
        """
        *before, last = self.wrote or (None,)
        if last and last.asked and last.began and all(each and each.when <= last.began for each in before):
            return ""
        if len(self.owners) > 1:
            return "both orchestrators wrote it"
        if any(each.collides_with(other) for each, other in combinations(self.wrote, 2)):
            return f"two runs of {self.wrote[0].owner} wrote it at the same time"
        return ""


@dataclass(frozen=True, slots=True)
class UnwrittenSpan:
    """Consecutive windows that are not, or not fully, written for the same reason, and what to do about it."""

    span: Span
    extent: Extent
    why: str
    remedy: str

    def as_json(self) -> Mapping[str, Any]:
        kind = {"kind": self.extent.value, "why": self.why, "remedy": self.remedy}
        return {**self.span.as_json(), **kind}

    def __str__(self) -> str:
        return f"{self.span}{f' ({self.why})' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class Continuity:
    """The windows of one unit from the first since its enrolment to the last that is over, oldest first.

    `enrolled`: according to the ledger, else the first known write; None without either. `lacks` are the gaps and what
    is written in part. `unknown`: written keys that the schedule does not have, as after a change of it. `problem`: why
    continuity cannot be determined. `nothing_to_write`: the unit has no asset of its own, because it only runs tests.
    `of_event`: its DAG has no clock, and `windows` are the known runs, by their ids. `waited_for`: by partition, what
    its retired DAG's schedule waits for before it starts the window. `started_by`: what starts a DAG without a clock in
    Dagster, and `last_event`: what of that was seen last, and what is waited for.
    """

    unit: Unit
    owner: Owner
    enrolled: datetime | None = None
    windows: tuple[WindowWrites, ...] = ()
    lacks: tuple[UnwrittenSpan, ...] = ()
    waiting: tuple[UnwrittenSpan, ...] = ()
    unknown: tuple[str, ...] = ()
    problem: str = ""
    nothing_to_write: bool = False
    of_event: bool = False
    waited_for: Mapping[str, Sequence[WaitedFor]] = field(default_factory=dict)
    started_by: str = ""
    last_event: str = ""

    @property
    def overlaps(self) -> tuple[WindowWrites, ...]:
        return tuple(window for window in self.windows if window.overlap)

    @property
    def by_owner(self) -> Mapping[Owner, tuple[Span, ...]]:
        """What each has written, also in part; a window that both wrote is in both."""
        wrote = {
            owner: {window.partition for window in self.windows if owner in window.owners} for owner in Owner
        }
        return {owner: self._spans(keys) for owner, keys in wrote.items()}

    @property
    def skipped(self) -> tuple[Span, ...]:
        return self._spans({window.partition for window in self.windows if window.extent is Extent.SKIPPED})

    @property
    def is_continuous(self) -> bool:
        """Whether nobody has to look: one writer per window, except for those that are still expected."""
        return not (self.lacks or self.overlaps or self.problem)

    @property
    def gap_keys(self) -> list[str]:
        """Partitions that are not, or not fully, written: what a backfill would fill, oldest first."""
        return [window.partition for window in self.windows if window.extent in (Extent.GAP, Extent.PART)]

    @property
    def against(self) -> tuple[str, ...]:
        """What speaks against calling the unit continuous, one clause each."""
        reasons = [self.problem] if self.problem else []
        reasons += [f"{_IN_WORDS[lack.extent]}: {lack}" for lack in self.lacks]
        reasons += [f"{each.overlap}: {each.partition}" for each in self.overlaps]
        is_over = any(each.wrote or each.extent is Extent.SKIPPED for each in self.windows)
        if not reasons and not self.nothing_to_write and not is_over:
            event = "no run is known to have written it"
            reasons.append(event if self.of_event else "no window is known to be written")
        return tuple(reasons)

    def remedy_of(self, overlap: WindowWrites) -> str:
        if self.of_event:
            return f"See what is there: parity check {self.unit}"
        window = f"{self.unit} --from {overlap.partition}"
        again = f". To write it again: parity backfill {window}"
        return f"See what is there: parity check {window}{again if self.owner is Owner.DAGSTER else ''}"

    def as_json(self) -> Mapping[str, Any]:
        """See docs/reference.md."""
        return {
            "unit": str(self.unit),
            "owner": self.owner.value,
            "enrolled": self.enrolled and self.enrolled.isoformat(),
            "windows": len(self.windows),
            "of_event": self.of_event,
            "continuous": self.is_continuous,
            "written": {
                owner.value: [span.as_json() for span in spans] for owner, spans in self.by_owner.items()
            },
            "gaps": [lack.as_json() for lack in self.lacks],
            "overlaps": [
                {
                    "window": overlap.partition,
                    "why": overlap.overlap,
                    "remedy": self.remedy_of(overlap),
                    "wrote": [wrote.as_json() for wrote in overlap.wrote],
                }
                for overlap in self.overlaps
            ],
            "skipped": [span.as_json() for span in self.skipped],
            "waiting": [lack.as_json() for lack in self.waiting],
            "waited_for": [
                {"window": partition, **each.as_json()}
                for partition, waits in self.waited_for.items()
                for each in waits
            ],
            "started_by": self.started_by,
            "last_event": self.last_event,
            "unknown": list(self.unknown),
            "problem": self.problem,
        }

    def _spans(self, wanted: Collection[str]) -> tuple[Span, ...]:
        return spans((window.partition for window in self.windows), wanted)


_IN_WORDS = {Extent.GAP: "written by nobody", Extent.PART: "written in part"}


def spans(line: Iterable[str], wanted: Collection[str]) -> tuple[Span, ...]:
    """The stretches of `wanted` keys in a line of keys that is in the order of their windows."""
    groups = [list(keys) for is_wanted, keys in groupby(line, key=wanted.__contains__) if is_wanted]
    return tuple(Span(keys[0], keys[-1], len(keys)) for keys in groups)
