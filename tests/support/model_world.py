"""A world small enough to be explored thousands of times: one Airflow, one Dagster, one folder of marks.

It obeys the same protocols as the real one (`carry_out.Orchestrators`, `carry_out.LedgerStore`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from dagster_defs.errors import MoveInProgress
from dagster_defs.lifecycle import Owner, Unit
from dagster_defs.lifecycle.histories import UnitHistory, Unmoved, histories, refuse_overtaken
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.moves import in_progress
from dagster_defs.parity import Side

UNIT = Unit("taxi_daily", "dbt_daily")
WINDOW_ZERO = datetime(2024, 3, 9, tzinfo=timezone.utc)  # window n begins n days later


@dataclass
class MemoryLedger:
    """A ledger that is never torn; `lock` is a process's, so a crash releases it."""

    entries: list[Entry] = field(default_factory=list)
    locked: set[Unit] = field(default_factory=set)

    def history(self, unit: Unit) -> UnitHistory:
        own = [entry for entry in self.entries if entry.unit == unit]
        return histories(own).get(unit, Unmoved(unit))

    def append(self, entry: Entry) -> None:
        refuse_overtaken(self.history(entry.unit), entry)
        self.entries.append(entry)

    @contextmanager
    def moving(self, unit: Unit) -> Iterator[None]:
        if unit in self.locked:
            open_move = self.history(unit).open
            if open_move:
                raise in_progress(open_move, half_done=False)
            raise MoveInProgress(str(unit), "a move", "another command", "this moment", half_done=False)
        self.locked.add(unit)
        try:
            yield
        finally:
            self.locked.discard(unit)


@dataclass
class ModelWorld:
    """One unit. A window is waiting, live (somebody writes it) or written.

    Airflow's worker reads the mark when a task starts; what Airflow serves follows when the DAG is parsed. `ended`:
    Dagster runs that were told to end; they go on to write for a while. `stray`: those whose task is gone. `lost`:
    windows whose task was a proxy when Dagster had no such job; `doubled`: those that two wrote at once. `overdue`:
    windows of which a paused Airflow has made no run.
    """

    proxied: bool = False
    serves: Owner = Owner.AIRFLOW
    defined: set[Side] = field(default_factory=lambda: set(Side))
    waiting: set[int] = field(default_factory=set)
    live: dict[int, Owner] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    stray: set[int] = field(default_factory=set)
    written: dict[int, list[Owner]] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    windows: int = 0
    paused: bool = False
    overdue: set[int] = field(default_factory=set)

    # What a move reads and changes.

    def marked(self, unit: Unit) -> bool | None:
        return self.proxied

    def refuse_unmarkable(self, unit: Unit) -> None:
        """No DAG is marked as a whole here."""

    def mark(self, unit: Unit, owner: Owner) -> None:
        self.proxied = owner is Owner.DAGSTER

    def served_by(self, unit: Unit) -> Owner:
        return self.serves

    def missing_definitions(self, unit: Unit, side: Side) -> str:
        return "" if side in self.defined else "no code location has the job"

    def missing_schedule(self, unit: Unit) -> str:
        return self.missing_definitions(unit, Side.LEGACY)

    def is_paused(self, unit: Unit) -> bool:
        return self.paused

    def rest(self, unit: Unit, *, may_wake: bool) -> str:
        if self.waiting or self.live:
            if may_wake:
                self.wake(unit)
            return "Airflow still runs"
        self.paused = True
        return ""

    def wake(self, unit: Unit) -> None:
        self.paused = False
        self.waiting |= self.overdue
        self.overdue.clear()

    def next_window(self, unit: Unit) -> datetime:
        return WINDOW_ZERO + timedelta(days=self.windows - len(self.overdue))

    def live_runs(self, unit: Unit, owner: Owner) -> Sequence[str]:
        return [f"window {window}" for window, by in self.live.items() if by is owner]

    def stray_runs(self, unit: Unit) -> Sequence[str]:
        return [f"window {window}" for window in sorted(self.stray)]

    def end_runs(self, unit: Unit, *, stray: bool) -> None:
        """End the runs, which go on for a while."""
        self.ended |= self.stray if stray else {w for w, by in self.live.items() if by is Owner.DAGSTER}

    # Events that happen by themselves, or that other people cause.

    def become_due(self) -> None:
        (self.overdue if self.paused else self.waiting).add(self.windows)
        self.windows += 1

    def startable(self) -> list[int]:
        """Airflow has one try of a task at a time, and a proxy re-attaches to the live run of its window. A task
        of Airflow's own knows of no Dagster run."""
        if self.paused:
            return []
        blind = set() if self.proxied else {w for w, by in self.live.items() if by is Owner.DAGSTER}
        return sorted(self.waiting - (self.live.keys() - blind))

    def start(self, window: int) -> None:
        self.waiting.discard(window)
        owner = Owner.DAGSTER if self.proxied else Owner.AIRFLOW
        if owner is Owner.DAGSTER and Side.LEGACY not in self.defined:
            self.lost.append(window)
        elif window in self.live:
            self.doubled.append(window)
        else:
            self.live[window] = owner

    def start_by_schedule(self, takes_over: datetime) -> None:
        """Dagster's own schedule: it starts every due window from there on that nobody has begun."""
        for window in sorted(self.overdue):
            if WINDOW_ZERO + timedelta(days=window) < takes_over:
                self.lost.append(window)
            self.live[window] = Owner.DAGSTER
        self.overdue.clear()

    def finish(self, window: int) -> None:
        self.written.setdefault(window, []).append(self.live.pop(window))
        self._over(window)

    def fail(self, window: int) -> None:
        """A try fails; Airflow will start the task again."""
        del self.live[window]
        self._over(window)
        self.waiting.add(window)

    def kill(self, window: int) -> None:
        """Somebody marks a proxied task as failed: its Dagster run is told to end."""
        self.ended.add(window)
        self.stray.add(window)

    def _over(self, window: int) -> None:
        self.ended.discard(window)
        self.stray.discard(window)

    def clear(self, window: int) -> None:
        """Somebody lets Airflow rerun a window."""
        self.waiting.add(window)

    def parse(self) -> None:
        self.serves = Owner.DAGSTER if self.proxied else Owner.AIRFLOW
