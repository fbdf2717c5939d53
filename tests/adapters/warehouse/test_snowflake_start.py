"""A candidate on Snowflake begins with a clone: the statements, word for word, and that they run on fakesnow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pytest

from dagster_defs.adapters.warehouse.snowflake.start import begin_with_legacy, holds_copy_of
from dagster_defs.errors import StatementFailed
from dagster_defs.parity import Column, Relation

LEGACY, CANDIDATE = Relation("TAXI", "LEGACY", "METRICS"), Relation("TAXI", "CANDIDATE", "METRICS")
BEGAN = datetime(2024, 3, 10, 11, 0, 7, tzinfo=timezone.utc)
DAY = Column("TRIP_DATE", "DATE")
TABLE, COPY = '"TAXI"."LEGACY"."METRICS"', '"TAXI"."CANDIDATE"."METRICS"'
AT = "AT (TIMESTAMP => CAST('2024-03-10T11:00:07+00:00' AS TIMESTAMPTZ))"
SCHEMA = 'create schema if not exists "TAXI"."CANDIDATE"'
FROM_THE_DAY = "\"TRIP_DATE\" >= CAST('2024-03-09' AS DATE)"


@dataclass
class Scripted:
    """A session that answers from a list, and keeps what was sent."""

    there: tuple[Relation, ...] = (LEGACY,)
    answers: dict[str, Any] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def columns(self, relation: Relation) -> list[Column] | None:
        return [DAY] if relation in self.there else None

    def rows(self, statement: str) -> list[dict[str, object]]:
        self.sent.append(statement)
        for part, answer in self.answers.items():
            if part in statement:
                if isinstance(answer, Exception):
                    raise answer
                return list(answer)
        return []


def begin(session: Any, time_column: str | None, began: datetime | None = BEGAN) -> None:
    begin_with_legacy(session, LEGACY, CANDIDATE, time_column, "2024-03-09" if time_column else None, began)


def test_a_window_is_cut_off_the_clone() -> None:
    """With a time column: legacy as it was when its run began, without the window's rows and later ones."""
    session = Scripted(answers={"SELECT 1": [{"1": 1}]})

    begin(session, "trip_date")

    assert session.sent == [
        f"SELECT 1 FROM {TABLE} WHERE NOT {FROM_THE_DAY} LIMIT 1",  # noqa: S608 - what was sent
        SCHEMA,
        f"CREATE TRANSIENT TABLE {COPY} CLONE {TABLE} {AT}",
        f"DELETE FROM {COPY} WHERE {FROM_THE_DAY}",  # noqa: S608 - what was sent
        f"comment on table {COPY} is 'from legacy: rows before 2024-03-09'",
    ]


def test_a_table_without_a_window_is_cloned_as_it_was() -> None:
    """Without a time column: legacy as it was when its run began, if the table is older than that."""
    session = Scripted(answers={"created": [{"CREATED": datetime(2024, 1, 1, tzinfo=timezone.utc)}]})

    begin(session, None)

    assert session.sent[1:] == [SCHEMA, f"CREATE TRANSIENT TABLE {COPY} CLONE {TABLE} {AT}"]
    assert session.sent[0] == (
        "SELECT created FROM \"TAXI\".information_schema.tables WHERE table_schema = 'LEGACY'"
        " AND table_name = 'METRICS'"
    )


def test_a_past_that_is_not_kept_is_cut_off_the_present() -> None:
    """Where Snowflake's time travel does not reach back, a table with a time column is cloned as it is, and cut off."""
    gone = StatementFailed("000707: Time travel data is not available for table METRICS")
    session = Scripted(answers={"SELECT 1": [{"1": 1}], AT: gone})

    begin(session, "trip_date")

    clone = f"CREATE TRANSIENT TABLE {COPY} CLONE {TABLE}"
    assert session.sent[2:-1] == [f"{clone} {AT}", clone, f"DELETE FROM {COPY} WHERE {FROM_THE_DAY}"]  # noqa: S608 - what was sent


def test_a_past_that_is_not_kept_is_an_error_without_a_window() -> None:
    """There is nothing to cut off by: the error is Snowflake's own."""
    session = Scripted(answers={"CLONE": StatementFailed("Time travel data is not available")})

    with pytest.raises(StatementFailed, match="Time travel"):
        begin(session, None)


@pytest.mark.parametrize(
    ("session", "time_column"),
    [
        (Scripted(there=(LEGACY, CANDIDATE)), "trip_date"),
        (Scripted(there=()), "trip_date"),
        (Scripted(), "trip_date"),
        (
            Scripted(
                answers={"created": [{"CREATED": datetime(2024, 3, 10, 11, 0, 9, tzinfo=timezone.utc)}]}
            ),
            None,
        ),
    ],
    ids=["candidate has it", "legacy has none", "nothing before the window", "made by this run"],
)
def test_nothing_to_begin_with(session: Scripted, time_column: str | None) -> None:
    """No table is made where there is one, and where legacy began with this window too."""
    begin(session, time_column)

    assert [each for each in session.sent if "CLONE" in each or "create" in each.split()[0]] == []


@dataclass
class Fakesnow:
    cursor: Any

    def columns(self, relation: Relation) -> list[Column] | None:
        from snowflake.connector.errors import ProgrammingError

        try:
            found = self.rows(f'describe table "{relation.catalog}"."{relation.schema}"."{relation.table}"')
        except ProgrammingError:
            return None
        return [Column(str(row["name"]), str(row["type"])) for row in found]

    def rows(self, statement: str) -> list[dict[str, Any]]:
        return list(self.cursor.execute(statement).fetchall())


@pytest.fixture
def fakesnow_session() -> Iterator[Fakesnow]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the connector warns about what is installed beside it
        import fakesnow
        import snowflake.connector

        with (
            fakesnow.patch(),
            snowflake.connector.connect(database="TAXI", schema="LEGACY") as connection,
        ):
            yield Fakesnow(connection.cursor(snowflake.connector.DictCursor))


def test_it_runs_on_fakesnow(fakesnow_session: Fakesnow) -> None:
    """The statements hold as plumbing; fakesnow keeps no past, so this is the clone of the present."""
    fakesnow_session.rows("create table legacy.metrics (trip_date date, trips int)")
    fakesnow_session.rows("insert into legacy.metrics values ('2024-03-08', 1), ('2024-03-09', 2)")

    begin(fakesnow_session, "trip_date", began=None)

    assert fakesnow_session.rows("select trips from candidate.metrics") == [{"TRIPS": 1}]
    assert holds_copy_of(fakesnow_session, CANDIDATE, "2024-03-09") == ""
    assert "rows before 2024-03-09, this window's too" in holds_copy_of(
        fakesnow_session, CANDIDATE, "2024-03-08"
    )
