"""A store in the tests' own PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_defs.adapters.store.postgres.store import PostgresStore
from tests.support.postgres import PostgresServer
from tests.support.records import LEASE, forget, store_at, url_of


@pytest.fixture
def url(postgres: PostgresServer, tmp_path: Path) -> str:
    """The address of an empty store."""
    forget(postgres)
    found = url_of(postgres)
    store_at(found, tmp_path).create()
    return found


@pytest.fixture
def store(url: str, tmp_path: Path) -> PostgresStore:
    return store_at(url, tmp_path, seconds=LEASE)
