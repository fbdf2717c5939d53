"""A task's SQL on Snowflake: what the session is told, in order. The connection is a boundary that is not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture
from snowflake.connector.errors import ProgrammingError
from typing_extensions import Self

from dagster_defs.adapters.warehouse.registry import SERVERS
from dagster_defs.adapters.warehouse.seam import CandidateWork, SqlWork
from dagster_defs.errors import StatementFailed


@dataclass
class Connection:
    """Keeps what it is told; statements with `failing` in them fail."""

    said: list[Any] = field(default_factory=list)
    failing: str = "nothing fails"
    rowcount: int = 1

    def cursor(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, statement: str, *parameters: object) -> None:
        self.said.append((statement, *parameters) if parameters else statement)
        if self.failing in statement:
            raise ProgrammingError("SQL compilation error")

    def autocommit(self, on: bool) -> None:
        self.said.append(f"autocommit {on}")

    def commit(self) -> None:
        self.said.append("commit")

    def close(self) -> None:
        self.said.append("close")


@pytest.fixture
def connection(mocker: MockerFixture) -> Connection:
    opened = Connection()
    mocker.patch("dagster_defs.adapters.warehouse.snowflake.execute.connect", return_value=opened)
    return opened


def work(**more: Any) -> SqlWork:
    workspace: Any = SimpleNamespace(credentials=None)
    settings = {"parameters": None, "autocommit": True, "timeout": 60, "say": lambda _: None, **more}
    return SqlWork(workspace=workspace, statements=["delete from t", "insert into t values (%s)"], **settings)


def candidate() -> CandidateWork:
    legacy: Any = Path()
    lacking = [("select 1 from a", "create a"), ("select 1 from b", "create b")]
    return CandidateWork("own.sql", legacy, ["CAND", "OTHER"], lacking, frozenset())


def test_the_operators_settings_are_the_sessions(connection: Connection) -> None:
    """As the hook: its autocommit, its parameters for each statement, a commit, and a time-out that ends statements."""
    SERVERS["snowflake"].execute(work(parameters=["x"]))

    assert connection.said == [
        "alter session set statement_timeout_in_seconds = 61",
        "autocommit True",
        ("delete from t", ["x"]),
        ("insert into t values (%s)", ["x"]),
        "commit",
        "close",
    ]


def test_a_candidate_runs_in_its_own_schema_and_in_one_transaction(connection: Connection) -> None:
    """Its schemas are made, its missing tables are begun where legacy has them, and nothing commits before the end."""
    connection.failing = "from b"
    SERVERS["snowflake"].execute(work(timeout=None, candidate=candidate()))

    assert connection.said == [
        "create schema if not exists CAND",
        "create schema if not exists OTHER",
        "select 1 from a",
        "create a",
        "select 1 from b",
        "use schema CAND",
        "autocommit False",
        "delete from t",
        "insert into t values (%s)",
        "commit",
        "close",
    ]


def test_a_failed_statement_commits_nothing(connection: Connection) -> None:
    """The connection is closed, which rolls back, and the error has the warehouse's words."""
    connection.failing = "insert"

    with pytest.raises(StatementFailed, match="SQL compilation error"):
        SERVERS["snowflake"].execute(work(autocommit=False))

    assert connection.said[-1] == "close"
    assert "commit" not in connection.said
