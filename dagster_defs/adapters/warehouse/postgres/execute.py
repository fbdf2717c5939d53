"""A task's SQL on PostgreSQL, as Airflow's hook runs it; a candidate's transaction is looked through before it ends."""

from __future__ import annotations

from typing import Any

from dagster_defs.adapters.warehouse.postgres.reader import connect, said_of
from dagster_defs.adapters.warehouse.seam import CandidateWork, SqlWork
from dagster_defs.errors import StatementFailed, WritesToLegacy
from dagster_defs.parity.fragments import quoted

# Triggers, rules and functions write too: the server itself counts the rows that a transaction has changed.
_WRITTEN = """
select schemaname, relname from pg_catalog.pg_stat_xact_user_tables
where n_tup_ins + n_tup_upd + n_tup_del > 0 and schemaname !~ '^pg_(temp|toast)'
order by 1, 2
"""


def execute(work: SqlWork) -> None:
    import psycopg2

    connection = connect(work.workspace.credentials)
    try:
        connection.commit()  # dbt has set its role
        connection.autocommit = work.autocommit and work.candidate is None
        with connection.cursor() as cursor:
            _settle(cursor, work)
            if work.candidate is not None:
                _make_lacking(connection, cursor, work.candidate)
            work.run(cursor)
            if work.candidate is not None:
                _refuse_others(cursor, work.candidate)
        connection.commit()
    except psycopg2.Error as error:
        raise StatementFailed(said_of(error)) from None  # the original error reveals more than that
    finally:
        connection.close()  # rolls back what is not committed


def _settle(cursor: Any, work: SqlWork) -> None:
    schema = quoted(work.workspace.credentials.schema).sql(dialect="postgres")
    if work.candidate is None:
        cursor.execute(f'set search_path to {schema}, "$user", public')
    else:
        # Nothing of legacy's is found by a name without a schema, functions and operators included.
        cursor.execute(f"set search_path to {schema}")
    if work.timeout is not None:
        cursor.execute(f"set statement_timeout = {int(work.timeout * 1000) + 1000}")


def _make_lacking(connection: Any, cursor: Any, candidate: CandidateWork) -> None:
    """In transactions of their own, which the table of legacy's may be missing from."""
    import psycopg2

    for schema in candidate.schemas:
        cursor.execute(f"create schema if not exists {schema}")
    connection.commit()
    for probe, make in candidate.lacking:
        try:
            cursor.execute(probe)
        except psycopg2.Error:
            connection.rollback()
            continue
        cursor.execute(make)
        connection.commit()


def _refuse_others(cursor: Any, candidate: CandidateWork) -> None:
    cursor.execute(_WRITTEN)
    others = [
        f"{schema}.{table}" for schema, table in cursor.fetchall() if (schema, table) not in candidate.tables
    ]
    if others:
        remedy = (
            "It was rolled back. Declare `shadow: never` and `because`, or take the trigger or function away"
        )
        raise WritesToLegacy(candidate.unit, f"table {', '.join(others)}", remedy)
