"""The leases of a PostgreSQL store: who moves a unit, and who has lost it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.store.postgres.session import transaction
from dagster_defs.adapters.store.postgres.store import PostgresStore
from dagster_defs.errors import LeaseLost, MoveInProgress, ParityError
from dagster_defs.lifecycle import Stage
from dagster_defs.lifecycle.ledger import Kind
from tests.support.postgres import PostgresServer
from tests.support.records import DONE, INTENT, LEASE, UNIT, store_at

FORK = multiprocessing.get_context("fork")


def test_a_lease_is_renewed(store: PostgresStore, tmp_path: Path) -> None:
    """A move that lasts longer than a lease keeps its unit, and gives it back at its end."""
    other = store_at(store.address.url, tmp_path, who="bob@ops", seconds=LEASE)
    with store.moving(UNIT):
        store.append(INTENT)
        began = time.monotonic()
        while time.monotonic() - began < 2.5 * LEASE:
            [held] = other.figures().held or ()
            assert (held.unit, held.who) == (str(UNIT), "ada@ops")
            time.sleep(0.2)
        with pytest.raises(MoveInProgress), other.moving(UNIT):
            pass
    with other.moving(UNIT):
        pass


def test_the_holder_is_named_before_its_intent(store: PostgresStore, tmp_path: Path) -> None:
    """Who has the lease and no entry yet is named by the lease."""
    other = store_at(store.address.url, tmp_path, who="bob@ops", seconds=30)
    with (
        other.moving(UNIT),
        pytest.raises(MoveInProgress, match="in the middle of a move, begun by bob@ops at 20"),
        store.moving(UNIT),
    ):
        pass
    with other.moving(UNIT), pytest.raises(MoveInProgress, match="bob@ops"):
        store.append(INTENT)  # without a lease of its own


def test_who_has_lost_its_lease_writes_nothing(store: PostgresStore, tmp_path: Path) -> None:
    """A process that was frozen in the middle of a move, and whose lease somebody has taken over, can write neither an
    entry nor a mark when it goes on, and is told who moves the unit."""
    began, go_on, outcomes = FORK.Event(), FORK.Event(), FORK.Queue()
    frozen = FORK.Process(target=_move_in_two_halves, args=(store, began, go_on, outcomes))
    frozen.start()
    assert began.wait(timeout=120)
    assert frozen.pid is not None
    os.kill(frozen.pid, signal.SIGSTOP)
    other = store_at(store.address.url, tmp_path, who="bob@ops", seconds=30)
    try:
        _take_over(other)
        other.append(replace(INTENT, kind=Kind.TURNED_BACK, operator="bob@ops"))
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    go_on.set()
    said = [outcomes.get(timeout=120) for _ in range(2)]
    frozen.join(timeout=120)

    assert [kind for kind, _ in said] == [LeaseLost.__name__] * 2
    assert all("bob@ops has taken over" in words for _, words in said)
    assert [entry.kind for entry in other.read().entries] == [Kind.INTENDED, Kind.TURNED_BACK]
    assert dict(other.marks()) == {}
    assert not list(tmp_path.glob("*.yaml"))
    other.leases.give_back(UNIT)


def test_a_lease_that_is_over_and_free_still_counts(store: PostgresStore, postgres: PostgresServer) -> None:
    """A holder that comes back before anybody has taken over goes on: no other move has begun."""
    with store.moving(UNIT):
        store.append(INTENT)
        postgres.run("update airflow_parity.leases set expires_at = clock_timestamp() - interval '1 hour'")
        store.append(DONE)

    assert store.history(UNIT).stage is Stage.CUT_OVER


def _take_over(store: PostgresStore) -> None:
    """Hold the unit from the moment when its lease is over."""
    until = time.monotonic() + 60
    while True:
        with transaction(store.address, writes=True) as cursor:
            token = store.leases.take(cursor, UNIT, store.who)
        if token is not None:
            store.leases.hold(UNIT, token)
            return
        assert time.monotonic() < until, "the lease does not end"
        time.sleep(0.1)


def _move_in_two_halves(store: PostgresStore, began: Any, go_on: Any, outcomes: Any) -> None:
    with store.moving(UNIT):
        store.append(INTENT)
        began.set()
        go_on.wait(timeout=120)
        writes: list[Callable[[], None]] = [
            lambda: store.append(DONE),
            lambda: store.mark(UNIT, proxied=True),
        ]
        for write in writes:
            try:
                write()
                outcomes.put(("", "written"))
            except ParityError as error:
                outcomes.put((type(error).__name__, str(error)))
