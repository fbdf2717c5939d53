"""The evidence on a unit as a row of windows, so that a window that was left out is seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dagster_defs.lifecycle.verdicts import Evidence
from dagster_defs.parity import Verdict

_WORST_FIRST = (Verdict.MISMATCH, Verdict.INCONCLUSIVE, Verdict.MATCH)


@dataclass(frozen=True, slots=True)
class WindowFact:
    """One of the schedule's windows, and the standing verdicts on it; none: it was not compared."""

    partition: str
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> Verdict | None:
        """The worst of its outputs'."""
        found = {one.checked.verdict for one in self.evidence}
        return next((verdict for verdict in _WORST_FIRST if verdict in found), None)


@dataclass(frozen=True, slots=True)
class Compared:
    """`windows` lie side by side, the newest last; `whole` are the tables without a time column, as of the last
    window. `nothing_to_compare`: the unit leaves nothing behind that could be, only views or tests."""

    windows: tuple[WindowFact, ...] = ()
    whole: tuple[Evidence, ...] = ()
    nothing_to_compare: bool = False


def newest_partitions(evidence: Iterable[Evidence], count: int) -> list[str]:
    """The last so many windows that have a verdict of their own, in order."""
    starts = {one.partition: one.window_start for one in evidence if one.checked.partition is not None}
    return sorted(starts, key=starts.__getitem__)[-count:] if count else []


def lined_up(evidence: Sequence[Evidence], partitions: Sequence[str]) -> Compared:
    """`partitions`: every window from the first to the last that counts. A window in which not all outputs were
    compared counts as not compared."""
    whole = tuple(one for one in evidence if one.checked.partition is None)
    of_windows = [one for one in evidence if one.checked.partition is not None]
    outputs = {one.checked.check.name for one in of_windows}
    by_partition: dict[str, list[Evidence]] = {}
    for one in of_windows:
        by_partition.setdefault(one.partition, []).append(one)

    def fact(partition: str) -> WindowFact:
        found = by_partition.get(partition, [])
        complete = {one.checked.check.name for one in found} == outputs
        return WindowFact(partition, tuple(found) if complete else ())

    return Compared(tuple(map(fact, partitions)), whole)
