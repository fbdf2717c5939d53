"""The record in PostgreSQL. Airflow is told of a mark in the transaction that records it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dagster_defs.adapters.processes.collector import collector_paused
from dagster_defs.adapters.store import marks as one_dag
from dagster_defs.adapters.store.channels import Channel, ChannelReader, channel_of, compared
from dagster_defs.adapters.store.ledger_lines import plain_entry, read_entry
from dagster_defs.adapters.store.marks_folders import MarksFolders
from dagster_defs.adapters.store.postgres.heartbeats import HeartbeatRows
from dagster_defs.adapters.store.postgres.leases import SECONDS, Holder, Leases, holder_of, holders
from dagster_defs.adapters.store.postgres.schema import check_version, migrate
from dagster_defs.adapters.store.postgres.session import SCHEMA, Address, transaction
from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.adapters.store.seam import Contents
from dagster_defs.errors import (
    LedgerUnreadable,
    MoveInProgress,
    StoreNotEmpty,
    StoreRefused,
)
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.diagnosis import Skew
from dagster_defs.lifecycle.histories import UnitHistory, Unmoved, refuse_overtaken
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.moves import in_progress
from dagster_defs.lifecycle.stores import Figures, HeldUnit, Made
from dagster_defs.settings import Settings
from dagster_defs.windows import instant_text

_ENTRIES = f"select position, unit, line from {SCHEMA}.entries"  # noqa: S608 - the schema is a constant
_NEXT = f"update {SCHEMA}.head set position = position + 1 returning position"  # noqa: S608 - a constant
_INSERT = f"insert into {SCHEMA}.entries (position, unit, line) values (%s, %s, %s)"  # noqa: S608 - a constant
_MARK = f"""
insert into {SCHEMA}.marks (dag_id, task_id, proxied, position)
values (%s, %s, %s, (select max(position) from {SCHEMA}.entries where unit = %s))
on conflict (dag_id, task_id) do update set proxied = excluded.proxied, position = excluded.position
"""  # noqa: S608 - the schema is a constant
_MISPLACED = f"""
select m.dag_id || '.' || m.task_id, m.position
from {SCHEMA}.marks m
join {SCHEMA}.entries e on e.position = m.position and e.unit <> m.dag_id || '.' || m.task_id
order by 1
"""  # noqa: S608 - the schema is a constant
# Which tables cannot be written; NULL for none.
_MAY_WRITE = f"""
select string_agg(name, ', ' order by name)
from unnest(array['entries', 'head', 'leases', 'marks']) as name
where not has_table_privilege('{SCHEMA}.' || name, case name when 'entries' then 'INSERT' else 'UPDATE' end)
"""  # noqa: S608 - the schema is a constant
BATCH = 1000  # rows of an import that are sent together


@dataclass(frozen=True)
class PostgresReader:
    """`channel`: where Airflow is told its marks. A Dagster run never looks there: only what moves units and what shows
    them does."""

    address: Address
    channel: ChannelReader

    @property
    def place(self) -> str:
        return self.address.shown

    def read(self, unit: Unit | None = None) -> Contents:
        with self._looking() as cursor:
            return self._contents(cursor, unit)

    def history(self, unit: Unit) -> UnitHistory:
        return self.read(unit).histories().get(unit, Unmoved(unit))

    def marks(self, dag_id: str = "") -> Marks:
        with self._looking() as cursor:
            return _marks(cursor, dag_id)

    def marks_in_airflow(self, dag_id: str = "") -> Marks:
        return compared(self.marks(dag_id), self.channel.read(dag_id))

    def figures(self) -> Figures:
        with self._looking() as cursor:
            version = check_version(cursor, self.address)
            cursor.execute(
                f"select (select position from {SCHEMA}.head), (select count(*) from {SCHEMA}.entries), "  # noqa: S608 - constant
                f"(select count(distinct unit) from {SCHEMA}.entries), (select count(*) from {SCHEMA}.marks)"
            )
            position, entries, units, marks = cursor.fetchone()
            held = tuple(
                HeldUnit(unit, holder.who, instant_text(holder.since, "seconds"))
                for unit, holder in holders(cursor)
            )
        return Figures(
            self.place, f"schema {SCHEMA}, version {version}", entries, units, marks, position, held
        )

    def flaws(self) -> Sequence[str]:
        """Marks whose position is that of another unit's entry."""
        with self._looking() as cursor:
            cursor.execute(_MISPLACED)
            return [
                f"the mark of {unit} has position {position}, which is not an entry of that unit"
                for unit, position in cursor.fetchall()
            ]

    @contextmanager
    def _looking(self) -> Iterator[Any]:
        with transaction(self.address, writes=False) as cursor:
            check_version(cursor, self.address)
            yield cursor

    def _contents(self, cursor: Any, unit: Unit | None) -> Contents:
        if unit is None:
            cursor.execute(f"{_ENTRIES} order by position")
        else:
            cursor.execute(f"{_ENTRIES} where unit = %s order by position", (str(unit),))
        rows = cursor.fetchall()
        if unit is None:
            self._refuse_holes(cursor, rows)
        entries: list[Entry] = []
        numbers: list[int] = []
        problems: dict[Unit, LedgerUnreadable] = {}
        place = f"{self.place} position"
        with collector_paused():
            for position, name, line in rows:
                try:
                    entries.append(_entry(line, name, f"{place} {position}"))
                    numbers.append(position)
                except LedgerUnreadable as error:
                    if (about := Unit.named(name)) is None:
                        raise
                    problems.setdefault(about, LedgerUnreadable(error.where, error.reason, name))
        return Contents(tuple(entries), numbers=numbers, problems=problems, place=place)

    def _refuse_holes(self, cursor: Any, rows: Sequence[Any]) -> None:
        """Positions are 1, 2, 3 … up to the head's: an entry that is lost may have been about any unit."""
        cursor.execute(f"select position from {SCHEMA}.head")  # noqa: S608 - the schema is a constant
        head = cursor.fetchone()
        if head is None or head[0] != len(rows) or (rows and rows[-1][0] != len(rows)):
            said = f"{len(rows)} entries of {head[0] if head else 'an unknown number'} are there"
            raise LedgerUnreadable(self.place, said)


@dataclass(frozen=True)
class PostgresStore(PostgresReader):
    """`who`: who holds what this process moves, for others to read."""

    channel: Channel
    who: str = field(kw_only=True)
    leases: Leases = field(kw_only=True)

    def append(self, entry: Entry) -> None:
        line = json.dumps(entry.as_json(), ensure_ascii=False)
        with self._writing(entry.unit) as cursor:
            contents = self._contents(cursor, entry.unit)
            refuse_overtaken(contents.histories().get(entry.unit, Unmoved(entry.unit)), entry)
            cursor.execute(_NEXT)
            [position] = cursor.fetchone()
            cursor.execute(_INSERT, (position, str(entry.unit), line))

    @contextmanager
    def moving(self, unit: Unit) -> Iterator[None]:
        with transaction(self.address, writes=True) as cursor:
            check_version(cursor, self.address)
            token = self.leases.take(cursor, unit, self.who)
            holder = None if token else holder_of(cursor, unit)
        if token is None:
            raise self._who_is_moving(unit, holder)
        self.leases.hold(unit, token)
        try:
            yield
        finally:
            self.leases.give_back(unit)

    def refuse_unmarkable(self, unit: Unit) -> None:
        """Airflow is who could not be told; whether the record can be written is found out by the intent."""
        self.channel.refuse_unmarkable(unit)

    def mark(self, unit: Unit, *, proxied: bool) -> None:
        """In one transaction with what is checked before it. Airflow is told before the commit: whichever of the two
        fails leaves either both as they were, or a mark that the record does not have, with which Dagster writes
        nothing. Units of one DAG wait for each other: Airflow may be told a DAG's marks as a whole."""
        with self._writing(unit) as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"{SCHEMA} {unit.dag_id}",))
            cursor.execute(_MARK, (unit.dag_id, unit.task_id, proxied, str(unit)))
            self.channel.tell(unit, _marks(cursor, unit.dag_id))

    def heartbeats(self) -> HeartbeatRows:
        return HeartbeatRows(self.address)

    def probe(self) -> Skew:
        with transaction(self.address, writes=True) as cursor:
            check_version(cursor, self.address)
            cursor.execute(_MAY_WRITE)
            [missing] = cursor.fetchone()
            if missing:
                raise StoreRefused(
                    self.place,
                    f"this role may not write the tables {missing}",
                    "Let it: grant insert, update on …",
                )
            cursor.execute(f"select position from {SCHEMA}.head for update")  # noqa: S608 - the schema is a constant
            before = time.time()
            cursor.execute("select extract(epoch from clock_timestamp())::float8")
            [at] = cursor.fetchone()
        took = time.time() - before
        return Skew(at - before - took / 2, took / 2 + 0.01)

    def create(self) -> Made:
        with transaction(self.address, writes=True) as cursor:
            before, after = migrate(cursor, self.address)
        self.channel.set_up()
        return Made(self.place, str(before) if before else "", str(after))

    def take_in(self, entries: Sequence[Entry], marks: Marks) -> bool:
        from psycopg2.extras import execute_values

        with transaction(self.address, writes=True) as cursor:
            check_version(cursor, self.address)
            # In the order of an append, so that the two wait for each other instead of blocking each other.
            cursor.execute(f"select position from {SCHEMA}.head for update")  # noqa: S608 - the schema is a constant
            cursor.execute(f"lock table {SCHEMA}.entries, {SCHEMA}.marks in exclusive mode")
            own, own_marks = self._contents(cursor, None), dict(_marks(cursor))
            if own.entries or own_marks:
                if own.entries == tuple(entries) and own_marks == dict(marks):
                    return False
                raise StoreNotEmpty(self.place, len(own.entries), len(own_marks))
            rows = [
                (position, str(entry.unit), json.dumps(entry.as_json(), ensure_ascii=False))
                for position, entry in enumerate(entries, 1)
            ]
            execute_values(
                cursor,
                f"insert into {SCHEMA}.entries (position, unit, line) values %s",  # noqa: S608 - a constant
                rows,
                page_size=BATCH,
            )
            cursor.execute(f"update {SCHEMA}.head set position = %s", (len(rows),))  # noqa: S608 - a constant
            execute_values(
                cursor,
                f"insert into {SCHEMA}.marks (dag_id, task_id, proxied, position) values %s",  # noqa: S608 - a constant
                [(each.dag_id, each.task_id, mark, marks.position(each)) for each, mark in marks.items()],
                page_size=BATCH,
            )
        return True

    @contextmanager
    def _writing(self, unit: Unit) -> Iterator[Any]:
        """A transaction during which nobody else writes about the unit or begins to move it."""
        with transaction(self.address, writes=True) as cursor:
            check_version(cursor, self.address)
            other = self.leases.guard(cursor, unit)
            if other is not None:
                raise self._who_is_moving(unit, other)
            yield cursor

    def _who_is_moving(self, unit: Unit, holder: Holder | None) -> MoveInProgress:
        """The other command may have its lease, but not yet its intent in the ledger."""
        until = time.monotonic() + 2
        while time.monotonic() < until:
            if open_move := self.history(unit).open:
                return in_progress(open_move, half_done=False)
            time.sleep(0.1)
        who = holder.who if holder else "another command"
        since = instant_text(holder.since, "seconds") if holder else "this moment"
        return MoveInProgress(str(unit), "a move", who, since, half_done=False)


class Postgres:
    """`postgresql://user@host:5432/database`, as libpq reads it."""

    schemes: ClassVar = ("postgresql", "postgres")

    def reader(self, address: str, settings: Settings) -> PostgresReader:
        parsed = Address.parse(address)
        return PostgresReader(parsed, _channel(settings, parsed))

    def store(self, address: str, settings: Settings) -> PostgresStore:
        parsed = Address.parse(address)
        who = f"{settings.operator}, process {os.getpid()}"
        channel = _channel(settings, parsed)
        return PostgresStore(parsed, channel, who=who, leases=Leases(parsed, SECONDS))


def _channel(settings: Settings, address: Address) -> Channel:
    folders = MarksFolders.of(settings.named_proxied_state, settings)
    return channel_of(settings, folders, address.shown)


def _entry(line: str, unit: str, where: str) -> Entry:
    """Raises LedgerUnreadable also for an entry that is about another unit than its row."""
    data = line.encode()
    entry = plain_entry(data) or read_entry(data, where)
    if str(entry.unit) != unit:
        raise LedgerUnreadable(where, f"it is kept for {unit} and is about {entry.unit}")
    return entry


def _marks(cursor: Any, dag_id: str = "") -> Marks:
    chosen = "where dag_id = %s" if dag_id else ""
    cursor.execute(
        f"select dag_id, task_id, proxied, position from {SCHEMA}.marks {chosen} order by dag_id, task_id",  # noqa: S608 - constants
        (dag_id,) if dag_id else (),
    )
    tasks: dict[str, dict[str, bool]] = {dag_id: {}} if dag_id else {}
    positions: dict[str, dict[str, int]] = {}
    for dag, task_id, proxied, position in cursor.fetchall():
        tasks.setdefault(dag, {})[task_id] = proxied
        if position is not None:
            positions.setdefault(dag, {})[task_id] = position
    return Marks(
        {dag: one_dag.Marks(tasks=marks, positions=positions.get(dag, {})) for dag, marks in tasks.items()}
    )
