"""A unit's evidence as a row of windows, so that an omitted window is visible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dagster_defs.lifecycle.verdicts import Evidence
from dagster_defs.parity import Verdict

_WORST_FIRST = (Verdict.MISMATCH, Verdict.INCONCLUSIVE, Verdict.MATCH)


def window_verdict(evidence: Iterable[Evidence], missing: Sequence[str]) -> Verdict | None:
    """The worst of the outputs' verdicts, and a match only if every output has one. None: nothing was compared.

    Gates and reports both use it. `missing`: the unit's outputs without a verdict on this window.
    """
    verdicts = {item.checked.verdict for item in evidence}
    if verdicts and missing:
        verdicts.add(Verdict.INCONCLUSIVE)
    return next((verdict for verdict in _WORST_FIRST if verdict in verdicts), None)


def missing_outputs(evidence: Iterable[Evidence], wanted: Iterable[str]) -> tuple[str, ...]:
    """The outputs of a window, `wanted`, that have no verdict."""
    return tuple(sorted(set(wanted) - {item.checked.check.name for item in evidence}))


def windowed_outputs(evidence: Iterable[Evidence]) -> set[str]:
    """The outputs that have a verdict of their own on some window; a whole table has one for the last run only."""
    return {item.checked.check.name for item in evidence if item.checked.partition is not None}


@dataclass(frozen=True, slots=True)
class WindowFact:
    """One of the schedule's windows and the standing verdicts on it; without any it was not compared.

    `missing`: outputs without a verdict on it.
    """

    partition: str
    evidence: tuple[Evidence, ...]
    missing: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        return window_verdict(self.evidence, self.missing)


@dataclass(frozen=True, slots=True)
class Compared:
    """`windows` are consecutive, the newest last; `whole` are the tables without a time column, as of the last
    window. `nothing_to_compare`: the unit leaves nothing to compare, only views or tests. `never`: outputs that the
    unit's own runs should compare, but for which no verdict is known at all."""

    windows: tuple[WindowFact, ...] = ()
    whole: tuple[Evidence, ...] = ()
    nothing_to_compare: bool = False
    never: tuple[str, ...] = ()


def newest_partitions(evidence: Iterable[Evidence], count: int) -> list[str]:
    """The last `count` windows that have a verdict of their own, in order."""
    starts = {item.partition: item.window_start for item in evidence if item.checked.partition is not None}
    return sorted(starts, key=starts.__getitem__)[-count:] if count else []


def runs_between(known: Sequence[str], compared: Sequence[str]) -> list[str]:
    """For a unit without a clock: every known run from the first to the last that was compared, even if it was not
    compared itself, and compared runs that are no longer known."""
    places = [place for place, run in enumerate(known) if run in compared]
    line = list(known[places[0] : places[-1] + 1]) if places else []
    return [*(run for run in compared if run not in line), *line]


def lined_up(
    evidence: Sequence[Evidence], partitions: Sequence[str], own_outputs: Iterable[str] = ()
) -> Compared:
    """`partitions`: every window from the first to the last that counts. `own_outputs`: what the unit's candidate runs
    compare, if known."""
    whole = tuple(each for each in evidence if each.checked.partition is None)
    of_windows = [each for each in evidence if each.checked.partition is not None]
    outputs = windowed_outputs(of_windows)
    by_partition: dict[str, list[Evidence]] = {}
    for each in of_windows:
        by_partition.setdefault(each.partition, []).append(each)

    def fact(partition: str) -> WindowFact:
        items = by_partition.get(partition, [])
        return WindowFact(partition, tuple(items), missing_outputs(items, outputs))

    return Compared(tuple(map(fact, partitions)), whole, never=missing_outputs(evidence, own_outputs))
