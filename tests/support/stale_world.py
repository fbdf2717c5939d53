"""The model's world, where whoever asks for a mark may have an old one: two workers of Airflow's and one of Dagster's.

`COPIED`: each of them reads a copy of its own, as old as it is, and one without a copy takes its window for Airflow's:
so do folders that are synced. `SHARED`: each reads the one record at the moment in which it asks, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pendulum

from dagster_defs.errors import NotOwner
from dagster_defs.lifecycle import Owner, Stage, UnitState, tags
from dagster_defs.lifecycle.claims import RunRecord
from dagster_defs.lifecycle.histories import Unmoved, histories
from dagster_defs.lifecycle.ownership import WriteRequest, refuse_foreign_run
from dagster_defs.parity import Side
from dagster_defs.windows import Window
from tests.support.model_world import UNIT, WINDOW_ZERO, MemoryLedger, ModelWorld

COPIED, SHARED = "copied", "shared"
WORKERS = ("a", "b")
DAGSTERS = "dagster"
KEY = "2024-03-09"


@dataclass(frozen=True, slots=True)
class Version:
    """The record as it was: the mark with its position, and how many entries there were."""

    proxied: bool
    position: int
    entries: int


@dataclass
class StaleWorld(ModelWorld):
    """`copies`: of whoever reads; None for one that is not there. `away`: who reaches no record. `held`: launches that
    are under way to Dagster although Airflow has given up their tries. `turned_away`: windows whose task or schedule
    was refused although nobody was moving the unit."""

    kind: str = SHARED
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    worker: str = WORKERS[0]
    versions: list[Version] = field(default_factory=list)
    copies: dict[str, int | None] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    held: list[tuple[int, int]] = field(default_factory=list)
    turned_away: list[int] = field(default_factory=list)

    def __setattr__(self, name: str, value: object) -> None:
        """Each mark that is set is a version of the record."""
        super().__setattr__(name, value)
        if name == "proxied" and hasattr(self, "turned_away"):
            number = len(self.ledger.entries)
            self.versions.append(Version(bool(value), number, number))

    def refresh(self) -> None:
        self.away.clear()
        self.copies.clear()

    def spoil(self, reader: str, age: int | None) -> None:
        """What `reader` has of the record is `age` marks old from now on, or it has none."""
        if self.kind == SHARED:
            self.away.add(reader)
        else:
            self.copies[reader] = None if age is None else max(0, len(self.versions) - 1 - age)

    def read(self, reader: str) -> Version | None:
        """None if there is nothing to read."""
        number = len(self.ledger.entries)
        newest = self.versions[-1] if self.versions else Version(self.proxied, 0, 0)
        fresh = Version(self.proxied, newest.position, number)
        if reader in self.away:
            return None
        if reader not in self.copies or self.kind == SHARED:
            return fresh
        copy = self.copies[reader]
        return None if copy is None else self.versions[copy] if self.versions else fresh

    def startable(self) -> list[int]:
        """A proxy follows the live run of its window; a task of Airflow's own knows of no run in Dagster."""
        if self.paused:
            return []
        told = self.read(self.worker)
        own = (told is None and self.kind == COPIED) or (told is not None and not told.proxied)
        blind = {w for w, by in self.live.items() if by is Owner.DAGSTER} if own else set()
        return sorted(self.waiting - (self.live.keys() - blind))

    def start(self, window: int) -> None:
        told = self.read(self.worker)
        if told is None and self.kind == SHARED:
            self.waiting.add(window)  # the try fails, and Airflow tries again
            return
        self.waiting.discard(window)
        if told is None or not told.proxied:
            self._write(window, Owner.AIRFLOW)
        elif Side.LEGACY not in self.defined:
            self.lost.append(window)
        elif not self.launch(window, told.position):
            self.waiting.add(window)
            if self.read(DAGSTERS) is not None or self.kind == COPIED:
                self._turn_away(window)

    def launch(self, window: int, position: int) -> bool:
        """Whether Dagster's run of it writes, or one that does already is followed."""
        if self.live.get(window) is Owner.DAGSTER:
            return True
        if not self._may_write(_request(window, position)):
            return False
        self._write(window, Owner.DAGSTER)
        return True

    def arrive(self) -> None:
        """A launch arrives whose try Airflow has given up."""
        window, position = self.held.pop(0)
        if Side.LEGACY in self.defined and self.launch(window, position):
            self.waiting.discard(window)

    def start_by_schedule(self, takes_over: datetime) -> None:
        if self.overdue and not self._may_write(_request(min(self.overdue), None)):
            if self.read(DAGSTERS) is not None or self.kind == COPIED:
                self._turn_away(min(self.overdue))
            return
        super().start_by_schedule(takes_over)

    def _write(self, window: int, owner: Owner) -> None:
        if window in self.live:
            self.doubled.append(window)
        else:
            self.live[window] = owner

    def _may_write(self, request: WriteRequest) -> bool:
        """As Dagster's run decides it, by the product's own rule."""
        known = self.read(DAGSTERS)
        if known is None:
            return False
        entries = self.ledger.entries[: known.entries]
        history = histories(entries).get(UNIT, Unmoved(UNIT))
        owner = Owner.DAGSTER if known.proxied else Owner.AIRFLOW
        state = UnitState(UNIT, history.stage or Stage.OBSERVED, owner)
        request = WriteRequest(
            request.windows, request.keys, request.run, request.bounds, request.earlier, known.position
        )
        try:
            refuse_foreign_run(state, history, request)
        except NotOwner:
            return False
        return True

    def _turn_away(self, window: int) -> None:
        if self.ledger.history(UNIT).open is None:
            self.turned_away.append(window)


def _request(window: int, position: int | None) -> WriteRequest:
    """A run of the window; None: one that nobody has launched for Airflow."""
    start = WINDOW_ZERO + timedelta(days=window)
    about = Window(pendulum.instance(start), pendulum.instance(start).add(days=1))
    of_job = {tags.UNIT: str(UNIT), tags.SIDE: Side.LEGACY.value}
    if position is None:
        return WriteRequest([about], (KEY, KEY), RunRecord("r", UNIT.identifier, of_job))
    said: Mapping[str, str] = {
        **of_job,
        tags.AIRFLOW_DAG: UNIT.dag_id,
        tags.AIRFLOW_RUN: f"scheduled__{window}",
        tags.AIRFLOW_TASK: UNIT.task_id,
        tags.AIRFLOW_TASK_INSTANCE: f"{UNIT} scheduled__{window}",
        tags.AIRFLOW_MAP_INDEX: "-1",
        tags.AIRFLOW_TRY: "1",
        tags.AIRFLOW_ROUND: "7.0",
        tags.AIRFLOW_UPSTREAM: "",
        tags.LAUNCH: "0123456789abcdef0123456789abcdef",
        tags.PARTITION: KEY,
        tags.WINDOW_START: about.start.isoformat(),
        tags.WINDOW_END: about.end.isoformat(),
        tags.POSITION: str(position),
    }
    return WriteRequest([about], (KEY, KEY), RunRecord("r", UNIT.identifier, said), about)
