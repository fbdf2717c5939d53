"""The law of `test_law.py` on a PostgreSQL server: the same reference, PostgreSQL's types, and its own SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_defs.adapters.warehouse.postgres.reader import PostgresSession
from dagster_defs.parity import Relation, Side
from tests.parity.law_reference import Case
from tests.parity.law_values import POSTGRES_FAMILIES
from tests.parity.postgres_types import SETUP, literal
from tests.parity.test_law import agree_on, cases
from tests.support.postgres import PostgresServer


class LawSession(PostgresSession):
    """Keeps every statement that it was asked; what a case stores is gone before the next one."""

    def __init__(self, credentials: Any) -> None:
        super().__init__(credentials, writes=True)
        self.statements: list[str] = []

    def rows(self, statement: str) -> list[dict[str, Any]]:
        self.statements.append(statement)
        return super().rows(statement)

    def begin_anew(self) -> None:
        self._session.rollback()

    def put(self, side: Side, columns: Mapping[str, str], rows: Iterable[tuple[Any, ...]]) -> Relation:
        """The one table of a side: names and types of its columns, then its rows."""
        quoted = {f'"{name.replace(chr(34), chr(34) * 2)}"': kind for name, kind in columns.items()}
        table = f"create table {side}.t ({', '.join(f'{name} {kind}' for name, kind in quoted.items())})"
        kinds = [kind.partition(" collate ")[0] for kind in columns.values()]
        casts = ", ".join(f"%s::{kind}" for kind in kinds)
        rows = list(rows)
        values = [literal(value) for row in rows for value in row]
        insert = f"; insert into {side}.t values {', '.join([f'({casts})'] * len(rows))}" if rows else ""  # noqa: S608 - fixed
        self._answer(table.replace("%", "%%") + insert, values)
        return Relation("parity", side.value, "t")


@pytest.fixture(scope="module")
def session(postgres: PostgresServer) -> Iterator[LawSession]:
    postgres.run(SETUP, *(f"create schema if not exists {side}" for side in Side))
    with LawSession(postgres.credentials()) as session:
        yield session


@pytest.mark.thorough
@pytest.mark.timeout(2400)
@settings(
    max_examples=2_000,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(case=cases(POSTGRES_FAMILIES), sample_limit=st.sampled_from([0, 0, 0, 100]), as_wide=st.booleans())
def test_verdict_and_counts_are_those_of_the_reference(
    session: LawSession, case: Case, sample_limit: int, as_wide: bool
) -> None:
    """For any two small tables of PostgreSQL the engine says what comparing value by value in Python says."""
    session.begin_anew()
    agree_on(case, session, session.put, sample_limit, as_wide)
