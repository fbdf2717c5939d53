"""The runs of one DAG in two Airflows: which of them move, and what a change of Airflow leaves out.

Two runs belong together if they are due at the same instant. The rules for the run after a change of the timetable are
those of `next_dagrun_info` of Airflow 2.11.2 and 3.3.2; `tests/windows/test_upgrade_oracle.py` asks both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dagster_defs.inventory.document import Dag
from dagster_defs.older_python import datetime_of

__all__ = ["Change", "Move", "Run", "Runs", "alone", "change_at", "moves", "runs_of"]

_OF_INTERVALS = ("cron", "delta")
_OF_TRIGGERS = ("cron-trigger", "delta-trigger")


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """A scheduled run: its data interval, whose start is the logical date, and which is empty for a tick."""

    start: datetime
    end: datetime

    @property
    def due(self) -> datetime:
        return self.end

    @property
    def ds(self) -> str:
        return self.start.date().isoformat()


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs of a DAG that are due in `[since, until)`, oldest first."""

    kind: str
    every: tuple[Run, ...]
    since: datetime
    until: datetime

    def between(self, since: datetime, until: datetime) -> tuple[Run, ...]:
        return tuple(run for run in self.every if since <= run.due < until)


@dataclass(frozen=True, slots=True)
class Move:
    """Runs whose logical date is another, moved as `by` says; `ds_moves`: how many have another `ds`. The first of them
    in both Airflows, as an example."""

    by: str
    runs: int
    ds_moves: int
    before: Run
    after: Run


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to logical dates if one Airflow has run `last` and the other goes on with `next`. `never_run`: the
    logical dates of either that neither runs; `twice`: one that both run; `skipped`: runs of the new schedule that are
    due after `last` and before `next`, which Airflow passes over."""

    last: Run
    next: Run
    never_run: tuple[datetime, ...]
    twice: tuple[datetime, ...]
    skipped: tuple[Run, ...]

    @property
    def is_smooth(self) -> bool:
        return not (self.never_run or self.twice or self.skipped)


def runs_of(dag: Dag) -> Runs | None:
    """None for a DAG without runs of a clock in the inventory, and for one of partition keys."""
    every = tuple(sorted(Run(datetime_of(start), datetime_of(end)) for start, end in dag.windows))
    if not every or dag.span is None:
        return None
    since, until = map(datetime_of, dag.span)
    # A run that is due in the span may begin before it, where the inventory has none.
    longest = max(run.end - run.start for run in every)
    return Runs(dag.schedule.kind, every, since + longest, every[-1].start if dag.windows_cut else until)


def moves(before: Sequence[Run], after: Sequence[Run]) -> tuple[Move, ...]:
    """Of the runs that are due in both, those with another logical date; the most frequent move first."""
    due = {run.due: run for run in after}
    pairs = [(run, due[run.due]) for run in before if run.due in due and due[run.due].start != run.start]
    words = [_in_words(other.start - run.start) for run, other in pairs]
    if len(set(words)) > 1 and all(run.end == other.start for run, other in pairs):
        words = ["to the end of its period"] * len(pairs)
    if len(set(words)) > 1 and all(run.start == other.end for run, other in pairs):
        words = ["to the start of its period"] * len(pairs)
    found = []
    for word, many in Counter(words).most_common():
        alike = [pair for pair, its_word in zip(pairs, words, strict=True) if its_word == word]
        ds_moves = sum(run.ds != other.ds for run, other in alike)
        found.append(Move(word, many, ds_moves, *alike[0]))
    return tuple(found)


_A_CLOCK_CHANGE = timedelta(hours=2)
_UNITS = ((timedelta(days=1), "a day", "days"), (timedelta(hours=1), "an hour", "hours"))


def _in_words(by: timedelta) -> str:
    """A length of time; a day that a clock change makes longer or shorter is a day."""
    way = "later" if by > timedelta() else "earlier"
    size = abs(by)
    for unit, one, several in _UNITS:
        many = round(size / unit)
        slack = _A_CLOCK_CHANGE if unit > _A_CLOCK_CHANGE else timedelta()
        if many and abs(size - many * unit) <= slack:
            return f"{one if many == 1 else f'{many} {several}'} {way}"
    return f"{size} {way}"


def change_at(before: Runs, after: Runs, at: datetime, *, skips_a_collision: bool) -> Change | None:
    """What a change of Airflow at an instant leaves out or does twice, if no period passes between the two.

    `skips_a_collision`: Airflow 3.3 passes over a period whose logical date has been run; 2.11 does not. None where the
    inventories do not have the runs before and after, and for timetables whose next run nobody but they know.
    """
    done = [run for run in before.every if run.due <= at]
    if not done:
        return None
    last = done[-1]
    following = _first_after(last, after, skips_a_collision)
    if following is None:
        return None
    to_come = [run.start for run in after.every if run >= following]
    behind, ahead = {run.start for run in done}, set(to_come)
    # Beyond the last run that was done, the dates of both count; before it, the old ones have all been run.
    known = {run.start for run in (*before.every, *after.every) if last.start < run.start < following.start}
    return Change(
        last,
        following,
        tuple(sorted(known - behind - ahead)),
        tuple(sorted(behind & ahead)),
        tuple(run for run in after.every if last.due < run.due < following.due),
    )


def _first_after(last: Run, after: Runs, skips_a_collision: bool) -> Run | None:
    if after.kind in _OF_TRIGGERS:
        return next((run for run in after.every if run.end > last.end), None)
    if after.kind not in _OF_INTERVALS:
        return None
    aligned = max((run.start for run in after.every if run.start <= last.end), default=None)
    if aligned is None or (after.kind == "delta" and aligned != last.end):
        return None
    starts = (run for run in after.every if run.start >= aligned)
    return next((run for run in starts if not skips_a_collision or run.start > last.start), None)


def alone(runs: Sequence[Run], others: Iterable[Run]) -> tuple[Run, ...]:
    """The runs at whose due time there is none of the others."""
    due = {run.due for run in others}
    return tuple(run for run in runs if run.due not in due)
