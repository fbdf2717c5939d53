"""A task's SQL on Snowflake, as Airflow's hook runs it."""

from __future__ import annotations

from typing import Any

from dagster_defs.adapters.warehouse.seam import CandidateWork, SqlWork
from dagster_defs.adapters.warehouse.snowflake.reader import connect, first_line
from dagster_defs.errors import StatementFailed

QUERY_TAG = "parity"


def execute(work: SqlWork) -> None:
    from snowflake.connector.errors import Error

    connection = connect(work.workspace.credentials, QUERY_TAG)
    try:
        with connection.cursor() as cursor:
            if work.timeout is not None:
                seconds = int(work.timeout) + 1
                cursor.execute(f"alter session set statement_timeout_in_seconds = {seconds}")
            if work.candidate is not None:
                _make_lacking(cursor, work.candidate)
                cursor.execute(f"use schema {work.candidate.schemas[0]}")
            connection.autocommit(work.autocommit and work.candidate is None)
            work.run(cursor)
        connection.commit()
    except Error as error:
        raise StatementFailed(first_line(error)) from error
    finally:
        connection.close()  # rolls back what is not committed


def _make_lacking(cursor: Any, candidate: CandidateWork) -> None:
    from snowflake.connector.errors import ProgrammingError

    for schema in candidate.schemas:
        cursor.execute(f"create schema if not exists {schema}")
    for probe, make in candidate.lacking:
        try:
            cursor.execute(probe)
        except ProgrammingError:
            continue  # legacy does not have it either
        cursor.execute(make)
