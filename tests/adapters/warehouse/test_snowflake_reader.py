"""The session of a comparison on Snowflake: what it says first, and what becomes of one that is lost.

The connection is a boundary that has to fail on purpose; that statements run is shown on fakesnow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture
from snowflake.connector.errors import OperationalError, ProgrammingError
from typing_extensions import Self

from dagster_defs.adapters.warehouse.places import Readers
from dagster_defs.adapters.warehouse.seam import TargetTable
from dagster_defs.adapters.warehouse.snowflake.reader import SnowflakeReader
from dagster_defs.errors import StatementFailed
from dagster_defs.parity import Relation


@dataclass
class Session:
    """Keeps what it is asked; `failing`: the error of every statement that begins so."""

    said: list[str] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    closed: bool = False

    def cursor(self, _: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, statement: str) -> None:
        self.said.append(statement)
        for beginning, error in self.failing.items():
            if statement.startswith(beginning):
                raise error

    def fetchall(self) -> list[dict[str, Any]]:
        return []

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sessions(mocker: MockerFixture) -> list[Session]:
    """The sessions that were opened, in order."""
    opened: list[Session] = []

    def open_one(connection: Any) -> SimpleNamespace:
        opened.append(Session())
        return SimpleNamespace(handle=opened[-1])

    manager = "dbt.adapters.snowflake.connections.SnowflakeConnectionManager"
    mocker.patch(f"{manager}.open", side_effect=open_one)
    return opened


def credentials(**more: str) -> Any:
    from dbt.adapters.snowflake import SnowflakeCredentials

    said = {
        "account": "a",
        "user": "u",
        "role": "r",
        "warehouse": "w",
        "database": "d",
        "schema": "s",
        **more,
    }
    return SnowflakeCredentials(**said)


def table(**more: str) -> TargetTable:
    return TargetTable("snowflake", Relation("D", "S", "T"), "a", credentials(**more))


def test_a_session_is_in_utc_and_tagged(sessions: list[Session]) -> None:
    """Before anything is read the session has its time zone, its tag and its time-out; at the end it is closed."""
    with SnowflakeReader(credentials(), timeout=60) as reader:
        reader.rows("select 1")

    assert sessions[0].said == [
        "alter session set timezone = 'UTC', query_tag = 'parity-compare'",
        "alter session set statement_timeout_in_seconds = 60",
        "select 1",
    ]
    assert sessions[0].closed


def test_a_session_that_cannot_be_set_up_is_closed(sessions: list[Session], mocker: MockerFixture) -> None:
    """Who may not alter the session gets the reason, and no session stays behind."""
    mocker.patch.object(Session, "execute", side_effect=ProgrammingError("Insufficient privileges"))

    with pytest.raises(StatementFailed, match="Insufficient privileges"), SnowflakeReader(credentials()):
        pass
    assert sessions[0].closed


def test_one_session_for_the_same_reader(sessions: list[Session]) -> None:
    """Comparisons share a session; another role or warehouse has its own."""
    with Readers() as readers:
        for more in ({}, {}, {"role": "other"}, {"warehouse": "larger"}, {}):
            with readers.of(table(**more), table(**more), 1):
                pass

    assert len(sessions) == 3
    assert all(session.closed for session in sessions)


@pytest.mark.parametrize(
    ("error", "opened"),
    [(OperationalError("connection reset"), 2), (ProgrammingError("no such column"), 1)],
)
def test_a_lost_session_is_opened_again(sessions: list[Session], error: Exception, opened: int) -> None:
    """A connection that went away serves no further comparison; a refused statement leaves it."""
    with Readers() as readers:
        with readers.of(table(), table(), 1) as reader:
            sessions[0].failing["select"] = error
            with pytest.raises(StatementFailed):
                reader.rows("select 1")
        with readers.of(table(), table(), 1):
            pass

    assert len(sessions) == opened
