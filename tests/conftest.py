"""Estates that several folders of tests look at. What changes its estate makes one of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from dagster_defs.adapters.airflow import reading
from dagster_defs.adapters.http import login
from tests.support.dbt_macros import keep_macros
from tests.support.estate import Estate, copy_project
from tests.support.fake_dagster import FakeDagster
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test, keep_engines, never_wait_for_the_disk
from tests.support.postgres import PostgresServer, serving

# The same examples in every run, so that a red run says something about the change that it tests. To look for
# new ones: HYPOTHESIS_PROFILE=explore, and then `--hypothesis-seed` draws them anew.
# No example has a deadline: how long one takes says something about the machine, and `make bench` measures.
untimed = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("steady", untimed, derandomize=True)
hypothesis.settings.register_profile("explore", untimed, derandomize=False, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

keep_macros()
keep_engines()
never_wait_for_the_disk()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys first: a file is run by one worker, and the longest must not begin when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("journey") is None)


@pytest.fixture(autouse=True)
def _environment_is_left_as_it_was() -> Iterator[None]:
    """`monkeypatch` puts back what it found. If that was the environment of an estate that the test had entered and has
    left by then, the next test would find it."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _nothing_is_known_of_servers() -> None:
    """What a process keeps of a server goes by its address, and a free port may be one that an earlier test's had."""
    reading._VERSIONS.clear()
    login._KEPT.clear()


@pytest.fixture(scope="session")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A copy of the project that nothing has run in. Its definitions may be looked at, not run."""
    with instance_for_test() as instance:
        yield Estate(copy_project(tmp_path_factory.mktemp("estate")), instance)


@pytest.fixture(scope="session")
def built_estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A copy of the project in which both sides have run the same windows. Tests only look at it."""
    with instance_for_test() as instance:
        built = Estate(copy_project(tmp_path_factory.mktemp("built")), instance)
        built.make_landing_data()
        built.build_both_sides()
        yield built


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server with the empty database `parity`."""
    with serving() as server:
        yield server


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    """A loopback server that speaks as much of Airflow's REST API as observing needs."""
    with FakeAirflow() as server:
        yield server


@pytest.fixture
def dagster_server() -> Iterator[FakeDagster]:
    """A loopback server that speaks as much of Dagster's GraphQL API as launching needs."""
    with FakeDagster() as server:
        yield server
