"""The start of a candidate run on Snowflake: a model that reads its own past begins with a clone of legacy's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Protocol

from sqlglot import exp

from dagster_defs.errors import StatementFailed
from dagster_defs.parity import NO_ZONES, Column, ComparisonSpec, Dialect, Relation, Zones
from dagster_defs.parity.bounds import reversed_bounds, window_filter
from dagster_defs.parity.families import parse_type
from dagster_defs.parity.fragments import quoted, stored
from dagster_defs.parity.schema import find_column

_NOTE = "from legacy: rows before "  # in the table's comment
# Snowflake says this of an instant before the table was created, and of one whose data it no longer keeps.
_NO_TIME_TRAVEL = re.compile(r"time travel data is not available", re.IGNORECASE)


class Session(Protocol):
    """A session of the warehouse (`SnowflakeReader`)."""

    def columns(self, relation: Relation) -> list[Column] | None: ...

    def rows(self, statement: str) -> list[dict[str, object]]: ...


def begin_with_legacy(
    session: Session,
    legacy: Relation,
    candidate: Relation,
    time_column: str | None,
    lower: str | None,
    began: datetime | None,
    zones: Zones = NO_ZONES,
) -> None:
    """Clone legacy as it was when its run of the window `began`, as if the candidate had built it.

    Does nothing if the candidate has the relation, if legacy has none, or if legacy's run created it. With a time
    column the rows from `lower` on are deleted too: an earlier run of the window may have left some.

    Raises StatementFailed for a table without a time column whose past Snowflake no longer keeps.
    """
    columns = session.columns(legacy) if session.columns(candidate) is None else None
    if columns is None:
        return
    later: exp.Expr = exp.true()
    if time_column is not None and lower is not None:
        later = _from(legacy, columns, time_column, lower, zones)
        if not session.rows(_any_row(legacy, exp.not_(later.copy()))):
            return
    elif began is not None and _made_since(session, legacy, began):
        return
    session.rows(_schema(candidate))
    try:
        session.rows(clone(legacy, candidate, began))
    except StatementFailed as error:
        if not _NO_TIME_TRAVEL.search(error.why) or lower is None:
            raise
        session.rows(clone(legacy, candidate, None))  # what the run wrote is deleted below
    if time_column is not None and lower is not None:
        session.rows(exp.delete(stored(candidate)).where(later).sql(dialect="snowflake"))
        comment = exp.Literal.string(f"{_NOTE}{lower}").sql(dialect="snowflake")
        session.rows(f"comment on table {stored(candidate).sql(dialect='snowflake')} is {comment}")


def holds_copy_of(session: Session, candidate: Relation, lower: str | None) -> str:
    """Why the rows of a window that begins at `lower` may be a copy of legacy's; empty if they are not."""
    if lower is None:
        return ""  # a clone from before legacy's run contains nothing of the window
    for row in session.rows(_about(candidate, "comment")):
        note = str(next(iter(row.values()), ""))
        until = note.removeprefix(_NOTE)
        if note != until and reversed_bounds(until, lower):
            return f"the candidate began with a copy of legacy's rows before {until}, this window's too"
    return ""


def clone(legacy: Relation, candidate: Relation, at: datetime | None) -> str:
    """Transient, because a transient table (dbt's default) can only be cloned to one, and a permanent table to both."""
    return exp.Create(
        this=stored(candidate),
        kind="TABLE",
        clone=exp.Clone(this=stored(replace(legacy, as_of=at))),
        properties=exp.Properties(expressions=[exp.TransientProperty()]),
    ).sql(dialect="snowflake")


def _schema(candidate: Relation) -> str:
    schema = exp.Table(this=quoted(candidate.schema), db=quoted(candidate.catalog)).sql(dialect="snowflake")
    return f"create schema if not exists {schema}"


def _from(legacy: Relation, columns: list[Column], time_column: str, lower: str, zones: Zones) -> exp.Expr:
    time = find_column(time_column, columns)
    if time is None:
        raise StatementFailed(
            f"{legacy} has no column {time_column!r}: mend `time_column` in the unit's YAML"
        )
    spec = ComparisonSpec(legacy.table, legacy, legacy, time_column=time.name, lower=lower, zones=zones)
    return window_filter(spec, time, parse_type(time.type), Dialect.SNOWFLAKE)


def _any_row(relation: Relation, condition: exp.Expr) -> str:
    query = exp.select(exp.Literal.number(1)).from_(stored(relation)).where(condition).limit(1)
    return query.sql(dialect="snowflake")


def _made_since(session: Session, relation: Relation, instant: datetime) -> bool:
    """Whether the table was created after that instant: then there is no past to start from."""
    return any(made > instant for made in _instants(session.rows(_about(relation, "created"))))


def _about(relation: Relation, what: str) -> str:
    tables = exp.Table(
        this=exp.to_identifier("tables"),
        db=exp.to_identifier("information_schema"),
        catalog=quoted(relation.catalog),
    )
    names = {"table_schema": relation.schema, "table_name": relation.table}
    conditions = [exp.column(name).eq(exp.Literal.string(value)) for name, value in names.items()]
    return exp.select(what).from_(tables).where(*conditions).sql(dialect="snowflake")


def _instants(rows: list[dict[str, object]]) -> Iterator[datetime]:
    for row in rows:
        for value in row.values():
            if isinstance(value, datetime):
                yield value if value.tzinfo else value.replace(tzinfo=timezone.utc)
