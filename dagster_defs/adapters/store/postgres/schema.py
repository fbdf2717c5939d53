"""The store's tables, as a row of migrations: version n is what the first n of them have made."""

from __future__ import annotations

from typing import Any

from dagster_defs.adapters.store.postgres.session import SCHEMA, Address
from dagster_defs.errors import StoreMissing, StoreRefused, StoreVersion

MIGRATIONS: tuple[str, ...] = (
    # An entry's position is the number of entries up to it: `head` is locked by each append, so that positions have no
    # holes and become visible in their order. A mark has the position of its unit's last entry when it was set; NULL
    # for one that is older than every entry. A lease's token grows with each holder and is never used again.
    f"""
    create table {SCHEMA}.head (
        is_only boolean primary key default true check (is_only),
        position bigint not null
    );
    insert into {SCHEMA}.head (position) values (0);
    create table {SCHEMA}.entries (
        position bigint primary key check (position > 0),
        unit text not null,
        line text not null,
        written_at timestamptz not null default clock_timestamp()
    );
    create index entries_of_a_unit on {SCHEMA}.entries (unit, position);
    create table {SCHEMA}.marks (
        dag_id text not null,
        task_id text not null,
        proxied boolean not null,
        position bigint references {SCHEMA}.entries (position),
        primary key (dag_id, task_id)
    );
    create table {SCHEMA}.leases (
        unit text primary key,
        token bigint not null,
        holder text not null,
        taken_at timestamptz not null,
        expires_at timestamptz not null
    );
    """,  # noqa: S608 - the schema is a constant
    # Of steps that are at work; `beat_at` is for people.
    f"""
    create table {SCHEMA}.heartbeats (
        run_id text not null,
        unit text not null,
        count bigint not null,
        lost boolean not null default false,
        beat_at timestamptz not null default clock_timestamp(),
        primary key (run_id, unit)
    );
    """,
)
_LOCK = 7_236_410_019  # any number of our own: two commands that create the store wait for each other


def migrate(cursor: Any, address: Address, migrations: tuple[str, ...] = MIGRATIONS) -> tuple[int, int]:
    """Bring the store up to date in the cursor's transaction; returns the version before and after.

    Raises StoreVersion for a store that a later version of parity has made, and StoreRefused for a standby.
    """
    _refuse_standby(cursor, address)
    cursor.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    if not _exists(cursor, "to_regnamespace", SCHEMA):  # somebody else may have made it for this role
        cursor.execute(f"create schema {SCHEMA}")
    if not _exists(cursor, "to_regclass", f"{SCHEMA}.versions"):
        cursor.execute(
            f"create table {SCHEMA}.versions (version integer primary key, "
            "made_at timestamptz not null default clock_timestamp())"
        )
    before = _version(cursor)
    if before > len(migrations):
        raise StoreVersion(address.shown, before, len(migrations))
    for number, statements in enumerate(migrations[before:], before + 1):
        cursor.execute(statements)
        cursor.execute(f"insert into {SCHEMA}.versions (version) values (%s)", (number,))  # noqa: S608 - a constant
    return before, len(migrations)


def check_version(cursor: Any, address: Address, wanted: int | None = None) -> int:
    """Raises StoreVersion unless the store is of this version, StoreMissing if there is none, and StoreRefused for a
    standby: what it shows may be old. `wanted`: by default, the newest."""
    _refuse_standby(cursor, address)
    found, wanted = _version(cursor), wanted or len(MIGRATIONS)
    if not found:
        raise StoreMissing(address.shown, f"its schema {SCHEMA} was never completed")
    if found != wanted:
        raise StoreVersion(address.shown, found, wanted)
    return found


def _refuse_standby(cursor: Any, address: Address) -> None:
    cursor.execute("select pg_catalog.pg_is_in_recovery()")
    if cursor.fetchone()[0]:
        raise StoreRefused(
            address.shown, "the server is a standby, whose copy may be old", "Name the primary server"
        )


def _exists(cursor: Any, look_up: str, name: str) -> bool:
    cursor.execute(f"select pg_catalog.{look_up}(%s) is not null", (name,))
    return bool(cursor.fetchone()[0])


def _version(cursor: Any) -> int:
    cursor.execute(f"select coalesce(max(version), 0) from {SCHEMA}.versions")  # noqa: S608 - the schema is a constant
    return int(cursor.fetchone()[0])
