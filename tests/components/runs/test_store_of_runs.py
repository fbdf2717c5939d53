"""A run asks the store who owns its window before it writes, wherever the store is; no answer is a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_defs.components.runs.one_writer import owned_by_dagster
from dagster_defs.errors import StoreUnreachable
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.settings import Settings
from tests.components.conftest import Project
from tests.support.estate import Estate
from tests.support.instances import instance_for_test
from tests.support.owned import entries_to
from tests.support.postgres import PostgresServer
from tests.support.records import forget, store_at, url_of
from tests.support.target_project import failure

UNIT, DAY = Unit("own", "command"), ("2024-03-02", "2024-03-02")


@pytest.fixture
def place(tmp_path: Path, postgres: PostgresServer) -> Iterator[Project]:
    """A unit whose run leaves a file, and a record in PostgreSQL. No run has a folder of marks."""
    forget(postgres)
    store_at(url_of(postgres), None).create()
    settings = {"PARITY_STORE": url_of(postgres), "PARITY_PROXIED_STATE": str(tmp_path / "nowhere")}
    with instance_for_test() as instance, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path)
        project = Project(Estate(tmp_path, instance, more_settings=settings))
        document = {
            "unit": str(UNIT),
            "schedule": {"cron": "@daily", "start": "2024-03-01"},
            "command": f"touch {tmp_path}/written",
            "shadow": "never",
            "because": "a test looks at its legacy side",
        }
        project.declare("own", ("CommandUnit", document))
        project.load()
        yield project
    forget(postgres)


def wrote(place: Project) -> bool:
    return (place.estate.root / "written").exists()


def test_only_the_owner_on_record_writes(place: Project, postgres: PostgresServer) -> None:
    """A unit that the database has as Airflow's is not written, and one that it has as retired is; no file is asked."""
    result = place.estate.run("own__command", DAY, must_succeed=False, by_owner=False)
    assert "own.command" in failure(result)
    assert "its windows are Airflow's" in failure(result)
    assert not wrote(place)

    store = store_at(url_of(postgres), None)
    for entry in entries_to(UNIT, Stage.RETIRED):
        store.append(entry)
    assert place.estate.run("own__command", DAY, by_owner=False).success
    assert wrote(place)


def test_no_answer_is_a_refusal(
    place: Project, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its schema, and without its server, the store has no answer: the run writes nothing and says why."""
    store = store_at(url_of(postgres), None)
    for entry in entries_to(UNIT, Stage.RETIRED):
        store.append(entry)
    postgres.run("alter schema airflow_parity rename to airflow_parity_away")
    try:
        said = failure(place.estate.run("own__command", DAY, must_succeed=False, by_owner=False))
    finally:
        postgres.run("alter schema airflow_parity_away rename to airflow_parity")
    assert "StoreMissing" in said
    away = {"PARITY_STORE": f"postgresql://ada@/record?host={place.estate.root}"}
    monkeypatch.setitem(place.estate.more_settings, "PARITY_STORE", away["PARITY_STORE"])
    said = failure(place.estate.run("own__command", DAY, must_succeed=False, by_owner=False))
    assert "StoreUnreachable" in said
    assert not wrote(place)
    with pytest.raises(StoreUnreachable):
        owned_by_dagster([UNIT], Settings(away))
