"""Signs of life of runs, in either store: counted, forgotten, and declared lost only where they stand still."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dagster_defs.adapters.store.files import FileStore
from dagster_defs.adapters.store.heartbeats import FOLDER
from dagster_defs.adapters.store.seam import Heartbeat, Heartbeats
from dagster_defs.errors import LedgerUnreadable, LedgerUnwritable
from tests.support.records import forget, store_at, url_of

RUN, UNIT, OTHER = "0a1b", "taxi_daily.dbt/daily", "taxi_daily.dbt_zones"


@pytest.fixture(params=["file", "postgresql"])
def heartbeats(request: pytest.FixtureRequest, tmp_path: Path) -> Heartbeats:
    if request.param == "file":
        return FileStore(tmp_path).heartbeats()
    server = request.getfixturevalue("postgres")
    forget(server)
    store = store_at(url_of(server), tmp_path)
    store.create()
    return store.heartbeats()


def test_beats_are_counted_until_a_step_rests(heartbeats: Heartbeats) -> None:
    """Each step of each run by itself."""
    assert [heartbeats.beat(RUN, UNIT) for _ in range(3)] == [True] * 3
    assert heartbeats.beat(RUN, OTHER)
    before = {each.unit: each.count for each in heartbeats.all()}
    assert [heartbeats.beat(RUN, UNIT), heartbeats.beat(RUN, UNIT)] == [True, True]
    after = {each.unit: each.count for each in heartbeats.all()}
    assert after == {**before, UNIT: before[UNIT] + 2}

    heartbeats.rest(RUN, UNIT)
    heartbeats.rest(RUN, "never.began")

    assert list(heartbeats.all()) == [Heartbeat(RUN, OTHER, before[OTHER])]


def test_steps_that_come_and_go_do_not_stand_still(heartbeats: Heartbeats) -> None:
    """Each try of a step in one run, such as each look of a sensor that reschedules itself, has counts of its own:
    whoever looks in the same moment of each would else take them for one."""
    counts = set()
    for _ in range(5):
        heartbeats.beat(RUN, UNIT)
        counts |= {each.count for each in heartbeats.all()}
        heartbeats.rest(RUN, UNIT)

    assert len(counts) == 5


def test_only_what_stands_still_is_declared_lost(heartbeats: Heartbeats) -> None:
    """A beat in between, or a rest, and the declaration fails; after it no beat counts any more."""
    heartbeats.beat(RUN, UNIT)
    [seen] = heartbeats.all()
    heartbeats.beat(RUN, UNIT)
    assert not heartbeats.declare_lost(seen)
    [seen] = heartbeats.all()

    assert heartbeats.declare_lost(seen)

    assert not heartbeats.declare_lost(seen)
    assert not heartbeats.beat(RUN, UNIT)
    assert list(heartbeats.all()) == [Heartbeat(RUN, UNIT, seen.count, lost=True)]
    heartbeats.rest(RUN, UNIT)
    assert not heartbeats.declare_lost(seen)


def test_a_beat_and_a_declaration_exclude_each_other(heartbeats: Heartbeats) -> None:
    """At once, many times: either the run has beaten and lives, or it is lost and knows it."""
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            run = f"{RUN}{number}"
            heartbeats.beat(run, UNIT)
            [seen] = [each for each in heartbeats.all() if each.run_id == run]
            lives, lost = pool.submit(heartbeats.beat, run, UNIT), pool.submit(heartbeats.declare_lost, seen)
            assert lives.result() is not lost.result()


def test_a_folder_that_takes_no_beats(tmp_path: Path) -> None:
    """It is an error with the file, and never a run without a pulse."""
    (tmp_path / FOLDER).touch()
    with pytest.raises(LedgerUnwritable):
        FileStore(tmp_path).heartbeats().beat(RUN, UNIT)
    (tmp_path / FOLDER).unlink()
    heartbeats = FileStore(tmp_path).heartbeats()
    heartbeats.beat(RUN, UNIT)
    [file] = (tmp_path / FOLDER).glob("*.json")
    file.write_text("{")
    with pytest.raises(LedgerUnreadable, match=file.name):
        heartbeats.all()
