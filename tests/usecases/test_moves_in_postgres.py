"""Moves whose record is in PostgreSQL, with the server gone at each transaction of each move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.store.postgres import session
from dagster_defs.adapters.store.postgres.store import PostgresStore
from dagster_defs.adapters.store.proxied_state import Marks, read_marks
from dagster_defs.errors import StoreUnreachable
from dagster_defs.lifecycle import Owner, Stage, Unit
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.moves import Begun, Planned, resume, undo
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.usecases.move.carry_out import Mover, Patience
from tests.support.model_world import UNIT, ModelWorld
from tests.support.plans import planned
from tests.support.postgres import PostgresServer
from tests.support.records import forget, store_at, url_of

AT_ONCE = Patience(0, 0, 0, 0, 0)
STAGES: dict[Begun, Stage] = {
    Move.SHADOW: Stage.OBSERVED,
    Move.CUTOVER: Stage.SHADOWED,
    Move.ROLLBACK: Stage.CUT_OVER,
    Move.RETIRE: Stage.CUT_OVER,
}
# A move's transactions that write: take the lease, intent, mark, end, give the lease back.
WRITES: dict[Begun, int] = {Move.SHADOW: 4, Move.CUTOVER: 5, Move.ROLLBACK: 5, Move.RETIRE: 4}


@dataclass
class WorldInStore(ModelWorld):
    """The model's orchestrators, and the store's marks: Airflow serves what its folder says at once."""

    store: PostgresStore = field(kw_only=True)

    def marked(self, unit: Unit) -> bool | None:
        marks = self.store.marks_in_airflow(unit.dag_id)
        return None if marks.doubt(unit) else marks.get(unit, False)

    def refuse_unmarkable(self, unit: Unit) -> None:
        self.store.refuse_unmarkable(unit)

    def mark(self, unit: Unit, owner: Owner) -> None:
        self.store.mark(unit, proxied=owner is Owner.DAGSTER)

    def served_by(self, unit: Unit) -> Owner:
        told = self.store.channel.read(unit.dag_id)
        assert isinstance(told, Marks)
        return Owner.DAGSTER if told.honoured(unit) else Owner.AIRFLOW


@dataclass
class Outage:
    """The server ends the session of one commit: before it has committed anything, or when it has and the answer is
    still on its way."""

    server: PostgresServer
    at: int
    answered: bool
    commits: int = 0

    def connect(self, driver: Any, address: session.Address) -> Any:
        return Connection(_connect(driver, address), self)

    def commit(self, connection: Any) -> None:
        self.commits += 1
        if self.commits != self.at:
            connection.commit()
            return
        if self.answered:
            connection.commit()
        self.server.run(f"select pg_terminate_backend({connection.info.backend_pid})")
        connection.cursor().execute("select 1")


_connect = session._connect


@dataclass
class Connection:
    real: Any
    outage: Outage
    writes: bool = False

    def set_session(self, **settings: Any) -> None:
        self.writes = not settings["readonly"]
        self.real.set_session(**settings)

    def commit(self) -> None:
        self.outage.commit(self.real) if self.writes else self.real.commit()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.fixture
def url(postgres: PostgresServer, tmp_path: Path) -> Iterator[str]:
    forget(postgres)
    store_at(url_of(postgres), tmp_path).create()
    yield url_of(postgres)
    forget(postgres)


def brought_to(stage: Stage, store: PostgresStore) -> None:
    """By moves that went well."""
    for move, from_ in STAGES.items():
        if from_ is stage:
            return
        at = datetime(2024, 3, 9, tzinfo=timezone.utc)
        intent = Entry(move, at, "ada@ops", UNIT, move, Kind.INTENDED, from_)
        store.append(intent)
        if move is Move.CUTOVER:
            store.mark(UNIT, proxied=True)
        store.append(replace(intent, kind=Kind.DONE))


def take(found: Planned, store: PostgresStore, operator: str) -> None:
    list(Mover(store, WorldInStore(store=store), operator, patience=AT_ONCE).apply(found))


def breaks_off(found: Planned, store: PostgresStore) -> bool:
    try:
        take(found, store, "ada@ops")
    except StoreUnreachable:
        return True
    return False


def cases() -> Iterator[tuple[Begun, int, bool, str]]:
    for move, writes in WRITES.items():
        for at in range(1, writes + 1):
            for answered in (False, True):
                yield move, at, answered, "resume" if answered or move is Move.ROLLBACK else "rollback"


@pytest.mark.parametrize(("move", "at", "answered", "way"), list(cases()))
def test_the_server_goes_away_at_each_write(
    url: str,
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    move: Begun,
    at: int,
    answered: bool,
    way: str,
) -> None:
    """Whichever write of a move breaks off, and whether it has arrived or not: the move is not begun, half-done or
    done, as what has arrived says, and the next command finishes or undoes what is half-done."""
    stage, last = STAGES[move], WRITES[move]
    brought_to(stage, store_at(url, tmp_path))
    store = store_at(url, tmp_path)
    plan = planned(UNIT, move, stage, store.history(UNIT))
    outage = Outage(postgres, at, answered)
    with monkeypatch.context() as broken:
        broken.setattr(session, "_connect", outage.connect)
        # A lease that could not be given back is no fault of the move: it ends by itself.
        assert breaks_off(plan, store) is (at < last)
    assert outage.commits >= at

    postgres.run("update airflow_parity.leases set expires_at = '-infinity'")  # as when its time is over
    later = store_at(url, tmp_path, who="eve@ops")
    begun, done = at + answered > 2, at + answered > last - 1
    open_move = later.history(UNIT).open
    assert (open_move is not None) is (begun and not done)
    if open_move:
        take(resume(open_move) if way == "resume" else undo(open_move), later, "eve@ops")

    history = later.history(UNIT)
    arrived = done or (begun and way == "resume")
    assert history.open is None
    assert (history.stage or Stage.OBSERVED) is (TRANSITIONS[stage, move] if arrived else stage)
    owned = history.stage in (Stage.CUT_OVER, Stage.RETIRED)
    assert later.marks().honoured(UNIT) is read_marks(tmp_path).honoured(UNIT) is owned
    assert not later.marks_in_airflow().doubt(UNIT)
    assert later.flaws() == []
    assert len(later.read().entries) == later.figures().position
