"""The start of a candidate run on PostgreSQL: a model that reads its own past begins with a copy of legacy's.

PostgreSQL keeps no past, so legacy is copied as it is now. Which tables began that way is recorded in a table in the
candidate's schema, because dbt would overwrite a comment on the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from sqlglot import exp

from dagster_defs.adapters.warehouse.postgres.reader import PostgresSession
from dagster_defs.errors import StatementFailed
from dagster_defs.older_python import datetime_of
from dagster_defs.parity import NO_ZONES, Column, ComparisonSpec, Dialect, Relation, Zones
from dagster_defs.parity.bounds import reversed_bounds, window_filter
from dagster_defs.parity.families import parse_type
from dagster_defs.parity.fragments import stored, text
from dagster_defs.parity.schema import find_column

KEPT = "parity_baselines"


def begin_with_legacy(
    session: PostgresSession,
    legacy: Relation,
    candidate: Relation,
    time_column: str | None,
    lower: str | None,
    zones: Zones = NO_ZONES,
) -> None:
    """Copy legacy's rows before `lower` (all rows without a time column) as if the candidate had built them.

    Does nothing if the candidate has the relation, or if legacy has no relation or no such rows: then legacy began with
    this window too, and so does the candidate.
    """
    columns = session.columns(legacy) if session.columns(candidate) is None else None
    if columns is None:
        return
    source = exp.select("*").from_(stored(legacy))
    if time_column is not None and lower is not None:
        source = source.where(_before(legacy, columns, time_column, lower, zones))
    if not session.rows(_sql(source.copy().limit(1))):
        return
    kept = _sql(stored(_kept(candidate)))
    copied_at = datetime.now(timezone.utc).isoformat(sep=" ")
    # In one transaction: an interrupted run leaves neither.
    for statement in (
        f"create schema if not exists {_identifier(candidate.schema)}",
        f"create table if not exists {kept} (table_name text, copied_at text, until text)",
        f"delete from {kept} where table_name = {_values([candidate.table])}",  # noqa: S608 - quoted
        f"insert into {kept} values ({_values([candidate.table, copied_at, lower])})",  # noqa: S608 - quoted
        f"create table {_sql(stored(candidate))} as {_sql(source)}",
    ):
        session.rows(statement)
    session.rest()


def holds_copy_of(
    session: PostgresSession, candidate: Relation, lower: str | None, legacy_began: datetime | None
) -> str:
    """Why the rows of a window may be a copy of legacy's instead of the candidate's work; empty if they are not.

    `lower`: the start of the window, for a table with a time column. `legacy_began`: when legacy's run of the window
    began, None if unknown.
    """
    kept = _kept(candidate)
    if session.columns(kept) is None:
        return ""
    query = exp.select("copied_at", "until").from_(stored(kept))
    for row in session.rows(_sql(query.where(exp.column("table_name").eq(text(candidate.table))))):
        copied_at, until = row["copied_at"], row["until"]
        if until is not None and lower is not None:
            if reversed_bounds(until, lower):
                return f"the candidate began with a copy of legacy's rows before {until}, this window's too"
        elif legacy_began is None or legacy_began <= datetime_of(copied_at):
            return f"the candidate began with a copy of legacy of {copied_at}, which has this window in it"
    return ""


def _before(
    legacy: Relation, columns: Sequence[Column], time_column: str, lower: str, zones: Zones
) -> exp.Expr:
    time = find_column(time_column, columns)
    if time is None:
        raise StatementFailed(
            f"{legacy} has no column {time_column!r}: mend `time_column` in the unit's YAML"
        )
    spec = ComparisonSpec(legacy.table, legacy, legacy, time_column=time.name, upper=lower, zones=zones)
    return window_filter(spec, time, parse_type(time.type), Dialect.POSTGRES)


def _kept(candidate: Relation) -> Relation:
    return Relation(candidate.catalog, candidate.schema, KEPT)


def _values(values: Sequence[str | None]) -> str:
    return ", ".join("null" if value is None else _sql(text(value)) for value in values)


def _identifier(name: str) -> str:
    return _sql(exp.to_identifier(name, quoted=True))


def _sql(expression: exp.Expr) -> str:
    return expression.sql(dialect=Dialect.POSTGRES.value)
