"""The record in PostgreSQL: its transactions, versions and addresses, and servers that go away."""

from __future__ import annotations

import multiprocessing
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.store import marks as one_dag
from dagster_defs.adapters.store.postgres import schema, session
from dagster_defs.adapters.store.postgres.session import Address, transaction
from dagster_defs.adapters.store.postgres.store import PostgresStore
from dagster_defs.adapters.store.proxied_state import Marks, write_mark
from dagster_defs.adapters.store.registry import open_store, store_reader
from dagster_defs.errors import (
    BadStore,
    DriverMissing,
    LedgerUnreadable,
    LedgerUnwritable,
    MarkedAsAWhole,
    NoMarksFolder,
    StoreMissing,
    StoreNotEmpty,
    StoreRefused,
    StoreUnreachable,
    StoreVersion,
)
from dagster_defs.lifecycle import Stage
from dagster_defs.lifecycle.ledger import Kind
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings
from tests.support.postgres import PostgresServer
from tests.support.records import DONE, INTENT, OTHER, UNIT, forget, store_at, url_of

FORK = multiprocessing.get_context("fork")


def test_a_killed_transaction_leaves_nothing(store: PostgresStore) -> None:
    """Who is killed between an entry and its commit leaves no entry, no position and no lock."""
    store.append(INTENT)
    wrote = FORK.Event()
    victim = FORK.Process(target=_write_and_stay, args=(store, wrote))
    victim.start()
    assert wrote.wait(timeout=120)
    victim.kill()
    victim.join(timeout=120)

    store.append(DONE)

    assert list(store.read().numbers) == [1, 2]
    assert store.read().entries == (INTENT, DONE)
    assert dict(store.marks()) == {}


def test_a_connection_that_breaks_leaves_nothing(store: PostgresStore, postgres: PostgresServer) -> None:
    """If the server ends the session in the middle, the error says that it may or may not be there, and it is not."""
    with pytest.raises(StoreUnreachable, match="was about to commit"):
        _append_until_the_end_of_the_session(store, postgres)

    assert store.read().entries == ()
    store.append(INTENT)


def test_a_mark_that_airflow_cannot_be_told_is_not_on_record(
    store: PostgresStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file that Airflow reads cannot be written, neither is the mark."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr("dagster_defs.adapters.store.proxied_state.os.fsync", full)
        with pytest.raises(LedgerUnwritable, match=r"taxi_daily\.yaml: No space left"):
            store.mark(UNIT, proxied=True)

    assert dict(store.marks()) == dict(store.marks_in_airflow()) == {}


def test_marks_that_differ_are_in_doubt(store: PostgresStore, tmp_path: Path) -> None:
    """Where Airflow is told something else than what is on record, the mark is in doubt in what moves units; a Dagster
    run still goes by the record."""
    store.append(INTENT)
    store.mark(UNIT, proxied=True)
    store.mark(OTHER, proxied=False)
    write_mark(tmp_path, UNIT, proxied=False)

    assert store.marks().get(UNIT) is True
    assert (
        store.marks_in_airflow().doubt(UNIT)
        == "of dbt_daily Airflow has been told Airflow, the record says Dagster"
    )
    assert not store.marks_in_airflow().honoured(UNIT)
    assert not store.marks_in_airflow().doubt(OTHER)
    write_mark(tmp_path, UNIT, proxied=True, position=0)  # from a backup, say
    assert store.marks_in_airflow().doubt(UNIT) == (
        "of dbt_daily Airflow has been told the mark of position 0, the record has that of 1"
    )
    (tmp_path / "taxi_daily.yaml").unlink()
    assert store.marks_in_airflow().doubt(UNIT)
    assert not store.marks_in_airflow().doubt(OTHER)  # not marked is what is on record


def test_without_airflows_folder_no_mark_is_set(url: str, tmp_path: Path) -> None:
    """A move that would set a mark is refused before it begins if nobody says where Airflow reads it, or if that folder
    is not there; what only reads the record does without."""
    for told, said in ((None, "PARITY_PROXIED_STATE is not set"), (tmp_path / "away", "away is not there")):
        store = store_at(url, told)
        with pytest.raises(NoMarksFolder, match=said):
            store.refuse_unmarkable(UNIT)
        with pytest.raises(NoMarksFolder, match=said):
            store.mark(UNIT, proxied=True)
        assert dict(store.marks()) == {}
    assert not (tmp_path / "away").exists()
    (tmp_path / "taxi_daily.yaml").write_text("proxied: true\n")
    with pytest.raises(MarkedAsAWhole):
        store_at(url, tmp_path).refuse_unmarkable(UNIT)


def test_a_mark_follows_from_an_entry(store: PostgresStore, postgres: PostgresServer) -> None:
    """A mark has the position of its unit's last entry at that moment, whatever other units do, and none before one."""
    positions = "select task_id, position from airflow_parity.marks order by 1"
    store.mark(OTHER, proxied=False)
    store.append(INTENT)
    store.append(replace(INTENT, unit=OTHER))
    store.mark(UNIT, proxied=True)

    assert postgres.run(positions) == [("dbt_daily", 1), ("dbt_zones", None)]
    assert store.flaws() == []
    postgres.run("update airflow_parity.marks set position = 2 where task_id = 'dbt_daily'")
    assert store.flaws() == [
        "the mark of taxi_daily.dbt_daily has position 2, which is not an entry of that unit"
    ]


def test_a_bad_entry_blocks_its_unit(store: PostgresStore, postgres: PostgresServer) -> None:
    """An entry that cannot be read, or that is kept for another unit, is named by its position and blocks its own unit
    alone."""
    store.append(INTENT)
    store.append(replace(INTENT, unit=OTHER))
    spoil = "update airflow_parity.entries set line = replace(line, {}) where position = 1"
    for what in ("""'{', '{broken'""", "'dbt_daily', 'dbt_other'"):
        postgres.run(spoil.format(what))
        with pytest.raises(LedgerUnreadable, match=r"ledger of taxi_daily\.dbt_daily.*position 1: "):
            store.history(UNIT)
        with pytest.raises(LedgerUnreadable):
            store.append(DONE)
        assert store.read().histories().problems.keys() == {UNIT}
        store.append(replace(INTENT, unit=OTHER, kind=Kind.DONE))
        postgres.run(
            "delete from airflow_parity.entries where position > 2",
            "update airflow_parity.head set position = 2",
            "update airflow_parity.entries set line = replace(replace(line, '{broken', '{'), 'dbt_other', 'dbt_daily')",
        )


def test_a_lost_entry_blocks_all(store: PostgresStore, postgres: PostgresServer) -> None:
    """If an entry is missing in the middle or at the end, nobody knows which unit it was about."""
    for unit in (UNIT, OTHER):
        store.append(replace(INTENT, unit=unit))
    postgres.run("delete from airflow_parity.entries where position = 2")
    with pytest.raises(LedgerUnreadable, match="1 entries of 2 are there"):
        store.read()
    postgres.run(
        "delete from airflow_parity.entries", "insert into airflow_parity.entries values (2, 'a.b', '')"
    )
    with pytest.raises(LedgerUnreadable):
        store.read()


def _calls(store: PostgresStore) -> list[Any]:
    return [
        store.read,
        store.marks,
        store.figures,
        store.flaws,
        store.marks_in_airflow,
        lambda: store.history(UNIT),
        lambda: store.append(INTENT),
        lambda: store.mark(UNIT, proxied=True),
        lambda: store.moving(UNIT).__enter__(),
        lambda: store.take_in((), Marks()),
    ]


def test_a_store_that_is_not_there_is_an_error(postgres: PostgresServer, tmp_path: Path) -> None:
    """A database without the schema is no empty record, for any call; neither is one whose creation never ended."""
    forget(postgres)
    store = store_at(url_of(postgres), tmp_path)
    for call in _calls(store):
        with pytest.raises(StoreMissing, match=r"no schema airflow_parity.*parity store init"):
            call()
    postgres.run("create schema airflow_parity", "create table airflow_parity.versions (version integer)")
    with pytest.raises(StoreMissing, match="never completed"):
        store.read()
    postgres.run("alter table airflow_parity.versions add made_at timestamptz")
    assert store.create().before == ""
    assert store.read().entries == ()


def test_another_version_is_refused(
    store: PostgresStore, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older store is brought up to date by `init`, which keeps what it holds; a newer one is left alone."""
    store.append(INTENT)
    more = (*schema.MIGRATIONS, "alter table airflow_parity.entries add note text not null default ''")
    with monkeypatch.context() as later:
        later.setattr(schema, "MIGRATIONS", more)
        for call in _calls(store):
            with pytest.raises(
                StoreVersion, match=r"has version 2, and this parity uses version 3.*store init"
            ):
                call()
        with transaction(store.address, writes=True) as cursor:
            assert schema.migrate(cursor, store.address, more) == (2, 3)
        assert store.read().entries == (INTENT,)
        store.append(DONE)
    for call in (*_calls(store), store.create):
        with pytest.raises(StoreVersion, match=r"has version 3, and .* version 2.*or a later one"):
            call()
    assert postgres.run("select version from airflow_parity.versions order by 1") == [(1,), (2,), (3,)]


def test_a_migration_that_fails_changes_nothing(store: PostgresStore, postgres: PostgresServer) -> None:
    """Of a migration that breaks off nothing is left, and the version stays."""
    broken = (*schema.MIGRATIONS, "create table airflow_parity.more (a int); select 1/0")
    with (
        pytest.raises(StoreRefused, match="division by zero"),
        transaction(store.address, writes=True) as cursor,
    ):
        schema.migrate(cursor, store.address, broken)

    assert postgres.run("select to_regclass('airflow_parity.more')") == [(None,)]
    assert store.read().entries == ()


def test_two_may_create_it_at_once(postgres: PostgresServer, tmp_path: Path) -> None:
    """Of processes that create the store at the same moment each succeeds, and there is one store."""
    forget(postgres)
    start = FORK.Event()
    racers = [FORK.Process(target=_create, args=(url_of(postgres), tmp_path, start)) for _ in range(3)]
    for racer in racers:
        racer.start()
    start.set()
    for racer in racers:
        racer.join(timeout=120)

    assert [racer.exitcode for racer in racers] == [0] * 3
    assert postgres.run("select version from airflow_parity.versions order by 1") == [(1,), (2,)]


def test_a_server_that_is_away_is_an_error(tmp_path: Path) -> None:
    """No server, no answer: an error with the place and without the password, for reading and for writing."""
    away = store_at(f"postgresql://ada:s3cr3t@/record?host={tmp_path}", tmp_path)
    for call in (*_calls(away), away.create):
        with pytest.raises(StoreUnreachable, match=r"postgresql://ada@.*/record does not answer") as refused:
            call()
        assert "s3cr3t" not in str(refused.value)


def test_a_standby_is_refused(store: PostgresStore, mocker: MockerFixture) -> None:
    """A server that follows another one may be behind it, so that it is not asked who owns a window."""
    cursor = mocker.Mock()
    cursor.fetchone.return_value = (True,)
    with pytest.raises(StoreRefused, match=r"standby, whose copy may be old\. .* Name the primary"):
        schema.check_version(cursor, store.address)
    with pytest.raises(StoreRefused, match="standby"):
        schema.migrate(cursor, store.address)


def test_a_reader_cannot_write(store: PostgresStore, postgres: PostgresServer, tmp_path: Path) -> None:
    """A reader's transaction is read-only on the server, and a role that may only read is enough for it."""
    with pytest.raises(StoreRefused, match="only reads"), transaction(store.address, writes=False) as cursor:
        cursor.execute("delete from airflow_parity.entries")
    store.append(INTENT)
    postgres.run(
        "drop role if exists looks",
        "create role looks login",
        "grant usage on schema airflow_parity to looks",
        "grant select on all tables in schema airflow_parity to looks",
    )
    try:
        looking = store_at(url_of(postgres, "looks"), tmp_path)
        assert looking.read().entries == (INTENT,)
        with pytest.raises(StoreRefused, match=r"permission denied.*Grant the role"):
            looking.append(DONE)
    finally:
        postgres.run("drop owned by looks", "drop role looks")


def test_a_schema_that_somebody_made_is_used(postgres: PostgresServer, tmp_path: Path) -> None:
    """A role that may create no schema makes the store in one that was made for it."""
    forget(postgres)
    postgres.run(
        "set client_min_messages = warning",
        "drop role if exists makes",
        "create role makes login",
        "create schema airflow_parity authorization makes",
    )
    try:
        store = store_at(url_of(postgres, "makes"), tmp_path)
        assert store.create().before == ""
        assert store.create().before == "2"
        store.append(INTENT)
    finally:
        forget(postgres)
        postgres.run("drop role makes")


def test_an_import_is_all_or_nothing(store: PostgresStore, postgres: PostgresServer) -> None:
    """An empty store takes a whole record in, the same one again without a change, and refuses another one; marks keep
    the positions that Airflow's files have."""
    entries = (INTENT, replace(INTENT, unit=OTHER), DONE)
    own = one_dag.Marks(tasks={UNIT.task_id: True}, positions={UNIT.task_id: 1})
    marks = Marks({UNIT.dag_id: own, "old": one_dag.Marks(tasks={"task": False})})
    with pytest.raises(StoreRefused):
        store.take_in(entries, Marks({UNIT.dag_id: own, "old": one_dag.Marks(tasks={"nul\0": True})}))
    assert store.read().entries == ()

    assert store.take_in(entries, marks)
    assert not store.take_in(entries, marks)
    assert (store.read().entries, dict(store.marks())) == (entries, dict(marks))
    assert postgres.run("select task_id, position from airflow_parity.marks order by 1") == [
        ("dbt_daily", 1),
        ("task", None),
    ]
    with pytest.raises(StoreNotEmpty, match="with 3 entries and 2 marks"):
        store.take_in(entries[:2], marks)
    store.append(replace(INTENT, id="b", move=Move.ROLLBACK, stage=Stage.CUT_OVER))
    assert list(store.read().numbers) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql:s3cr3t", r"\(postgresql\): it is no URL"),
        ("postgresql://ada:s3cr3t@[host/db", r"\(postgresql\): it is no URL"),
        ("postgresql://ada:s3cr3t#@host/db", r"\(postgresql\): it is no URL"),
        ("postgresql://ada:s3cr3t@host/db?nothing=1", "libpq cannot read it"),
        ("postgresql://ada:s3cr3t@host:port/db?x=%zz", "libpq cannot read it"),
    ],
)
def test_a_bad_address_is_refused(url: str, said: str) -> None:
    """An address that cannot be read is an error that repeats none of it: any part may be a password."""
    with pytest.raises(BadStore, match=said) as refused:
        store_reader(Settings({"PARITY_STORE": url})).read()
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:s3cr3t@host:5432/db?sslmode=require", "postgresql://ada@host:5432/db"),
        ("postgres://host/db?user=ada&password=s3cr3t", "postgres://ada@host/db"),
        ("postgresql://:s3cr3t@/db?host=/run/postgres", "postgresql:///run/postgres/db"),
        ("postgresql://ada:s3cr3t@one:1,two:2/db", "postgresql://ada@one:1,two:2/db"),
    ],
)
def test_a_place_has_no_secret(url: str, shown: str) -> None:
    """What is shown of an address names user, host and database, and nothing more."""
    store = open_store(Settings({"PARITY_STORE": url}))
    address = Address.parse(url)

    assert store.place == shown
    assert "s3cr3t" not in repr(store)
    assert "s3cr3t" not in address.said(Exception(f"bad: {url}, s3cr3t\nmore"))


def test_without_the_driver_the_extra_is_named(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an environment without psycopg2 the error says what to install."""
    monkeypatch.setitem(sys.modules, "psycopg2", None)

    with pytest.raises(DriverMissing, match=r"driver of a PostgreSQL store.*airflow-parity\[postgres\]"):
        store.read()


def test_a_lock_that_is_held_too_long_is_an_error(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for another command's transaction waits for a bounded time."""
    monkeypatch.setattr(session, "LOCK_WAITS", 1)
    store.append(INTENT)
    with store._writing(OTHER) as cursor:
        cursor.execute("select position from airflow_parity.head for update")
        with pytest.raises(LedgerUnwritable, match="held its lock too long"):
            store.append(DONE)


def _half_an_append(cursor: Any) -> None:
    cursor.execute("update airflow_parity.head set position = position + 1 returning position")
    [position] = cursor.fetchone()
    cursor.execute("insert into airflow_parity.entries values (%s, %s, '')", (position, str(UNIT)))
    cursor.execute(
        "insert into airflow_parity.marks values ('taxi_daily', 'dbt_daily', true, %s)", (position,)
    )


def _append_until_the_end_of_the_session(store: PostgresStore, server: PostgresServer) -> None:
    with store._writing(UNIT) as cursor:
        _half_an_append(cursor)
        server.run(f"select pg_terminate_backend({cursor.connection.info.backend_pid})")


def _write_and_stay(store: PostgresStore, wrote: Any) -> None:
    with store._writing(UNIT) as cursor:
        _half_an_append(cursor)
        wrote.set()
        while True:
            time.sleep(1)


def _create(url: str, folder: Path, start: Any) -> None:
    start.wait(timeout=120)
    store_at(url, folder).create()
