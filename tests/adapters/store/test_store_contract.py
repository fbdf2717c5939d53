"""What every store of the record keeps, wherever it is: files in a folder, or a PostgreSQL database."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_defs.adapters.store.files import FileStore
from dagster_defs.adapters.store.proxied_state import read_marks
from dagster_defs.adapters.store.seam import Store
from dagster_defs.errors import MoveInProgress, MoveOvertaken, ParityError
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move
from tests.support.postgres import PostgresServer
from tests.support.records import DONE, INTENT, LEASE, NIGHT, OTHER, UNIT, forget, store_at, url_of

FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Place:
    """Where a store is, for several processes to open. `url`: empty for files."""

    folder: Path
    url: str = ""

    def open(self, who: str = "ada@ops") -> Store:
        return store_at(self.url, self.folder, who=who, seconds=LEASE) if self.url else FileStore(self.folder)


@pytest.fixture(params=["file", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A store that was just created."""
    if request.param == "file":
        found = Place(tmp_path)
    else:
        server = request.getfixturevalue("postgres")
        forget(server)
        found = Place(tmp_path, url_of(server))
    found.open().create()
    return found


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()


def test_what_is_appended_is_read(store: Store) -> None:
    """A store begins empty, and has what was appended in its order, of all units and of one."""
    assert store.read().entries == ()
    assert store.history(UNIT).entries == ()
    other = replace(INTENT, id="b", unit=OTHER, reason='a "reason", with\nlines, and \u2028 – ü 🚕')
    for entry in (INTENT, other, DONE):
        store.append(entry)

    assert store.read().entries == (INTENT, other, DONE)
    assert store.read(UNIT).entries == store.history(UNIT).entries == (INTENT, DONE)
    assert store.history(UNIT).stage is Stage.CUT_OVER
    assert list(store.read(UNIT).numbers) == [1, 3]


def test_an_append_rests_on_what_is_there(store: Store) -> None:
    """A second intent and an end of a move that is over are refused, and leave no entry."""
    store.append(INTENT)
    with pytest.raises(MoveInProgress, match="ada@ops"):
        store.append(replace(INTENT, id="b2", operator="bob@ops"))
    store.append(DONE)
    with pytest.raises(MoveOvertaken):
        store.append(DONE)

    assert store.read().entries == (INTENT, DONE)


def test_one_moves_a_unit_at_a_time(place: Place) -> None:
    """While a unit is moved nobody else can, but for other units; afterwards anybody can."""
    ada, bob = place.open(), place.open("bob@ops")
    with ada.moving(UNIT):
        ada.append(INTENT)
        with pytest.raises(MoveInProgress, match=r"begun by ada@ops.*still running"), bob.moving(UNIT):
            pass
        with bob.moving(OTHER):
            bob.append(replace(INTENT, unit=OTHER))
        ada.append(DONE)
    with bob.moving(UNIT):
        pass


def test_a_mark_is_on_record_and_in_airflow(place: Place) -> None:
    """A mark that was set is read on Dagster's side and in the files that Airflow reads, and so is its end."""
    store = place.open()
    store.refuse_unmarkable(UNIT)
    with store.moving(UNIT):
        store.append(INTENT)
        store.mark(UNIT, proxied=True)

        assert store.marks().get(UNIT) is store.marks_in_airflow("taxi_daily").get(UNIT) is True
        assert dict(read_marks(place.folder)) == {UNIT: True}
        store.append(DONE)
        store.mark(UNIT, proxied=False)
    positions = (store.marks().position(UNIT), read_marks(place.folder).position(UNIT))
    assert positions == (2, 2), "a mark has the position of its unit's last entry"
    assert dict(store.marks("taxi_daily")) == dict(store.marks_in_airflow()) == {UNIT: False}
    assert dict(store.marks("another")) == {}
    assert store.flaws() == []


def test_a_store_is_created_once(place: Place) -> None:
    """Creating it again changes nothing, and says what was there."""
    store = place.open()
    store.append(INTENT)
    store.mark(UNIT, proxied=True)
    before = store.read(), dict(store.marks())

    made = store.create()

    assert made.before == made.after != ""
    assert (place.folder / ".parity-marks").is_file()  # by which tasks in Airflow know the folder
    assert (store.read(), dict(store.marks())) == before


def test_the_figures_are_those_of_the_record(place: Place) -> None:
    """Entries, units, marks and the newest position are counted, and no secret is part of the place."""
    store = place.open()
    store.append(INTENT)
    store.append(DONE)
    store.append(replace(INTENT, unit=OTHER))
    store.mark(UNIT, proxied=True)

    figures = store.figures()

    assert (figures.entries, figures.units, figures.marks, figures.position) == (3, 2, 1, 3)
    assert figures.place == store.place
    assert not figures.held


def test_of_two_operators_one_wins(place: Place) -> None:
    """Of eight processes that begin a move at the same moment one does, and each other is told who and what."""
    start, outcomes = FORK.Event(), FORK.Queue()
    racers = [FORK.Process(target=_begin, args=(place, f"op{n}@ops", start, outcomes)) for n in range(8)]
    for racer in racers:
        racer.start()
    start.set()
    found = [outcomes.get(timeout=120) for _ in racers]
    for racer in racers:
        racer.join(timeout=120)

    [winner] = [operator for operator, said in found if said == ""]
    losers = [said for _, said in found if said]
    assert len(losers) == 7
    assert all(f"middle of cutover, begun by {winner}" in said for said in losers)
    [entry] = place.open().read().entries
    assert entry.operator == winner


def test_many_units_at_once_lose_no_entry(place: Place) -> None:
    """Processes that move different units share the store: every entry of each is there, in its unit's order."""
    workers = [FORK.Process(target=_append_many, args=(place, f"task_{n}")) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=300)

    contents = place.open().read()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert [len(history.entries) for history in contents.histories().values()] == [20] * 4
    assert list(contents.numbers) == [*range(1, 81)]


def test_a_killed_process_holds_nothing(place: Place) -> None:
    """Who is killed in the middle of a move holds the unit for its lease's time at most; the move is half-done."""
    began = FORK.Event()
    victim = FORK.Process(target=_begin_and_stay, args=(place, began))
    victim.start()
    assert began.wait(timeout=120)
    store = place.open("bob@ops")
    with pytest.raises(MoveInProgress, match="still running"), store.moving(UNIT):
        pass
    victim.kill()
    victim.join(timeout=120)
    killed = time.monotonic()

    _take(store, UNIT)

    assert time.monotonic() - killed < LEASE + 20  # a loaded machine's own delays
    assert store.history(UNIT).open is not None


UNITS = [Unit("dag", f"task_{n}") for n in range(2)]
ENTRIES = st.builds(
    Entry,
    id=st.sampled_from(["a", "b"]),
    at=st.integers(0, 10**9).map(lambda seconds: NIGHT + timedelta(microseconds=seconds)),
    operator=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    unit=st.sampled_from(UNITS),
    move=st.sampled_from([Move.SHADOW, Move.CUTOVER, Move.ROLLBACK]),
    kind=st.sampled_from([Kind.INTENDED, Kind.INTENDED, Kind.DONE, Kind.DONE, Kind.TURNED_BACK, Kind.UNDONE]),
    stage=st.sampled_from([Stage.OBSERVED, Stage.SHADOWED, Stage.CUT_OVER]),
    reason=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    forced=st.lists(st.sampled_from(["windows", "held"]), max_size=2).map(tuple),
)


@pytest.fixture(scope="module")
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    yield url_of(postgres)
    forget(postgres)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(entries=st.lists(ENTRIES, min_size=3, max_size=10))
def test_both_stores_say_the_same(postgres: PostgresServer, empty_url: str, entries: list[Entry]) -> None:
    """Whatever is appended in whatever order, each store accepts what the other does, refuses the rest with the same
    words, and reads back the same entries."""
    forget(postgres)
    with TemporaryDirectory() as folder:
        files, database = FileStore(Path(folder)), store_at(empty_url, Path(folder))
        database.create()
        for entry in entries:
            assert _outcome(files, entry) == _outcome(database, entry)
        ours, theirs = files.read(), database.read()

        assert ours.entries == theirs.entries
        assert dict(ours.histories()) == dict(theirs.histories())


def _outcome(store: Store, entry: Entry) -> str:
    try:
        store.append(entry)
    except ParityError as error:
        return (
            f"{type(error).__name__}: {str(error).replace(store.place, '')}"
            if _is_refusal(error)
            else type(error).__name__
        )
    return ""


def _is_refusal(error: ParityError) -> bool:
    """Where an unreadable history stands is said differently."""
    return isinstance(error, MoveInProgress | MoveOvertaken)


def _take(store: Store, unit: Unit) -> None:
    """Move the unit as soon as nobody else does."""
    until = time.monotonic() + 60
    while True:
        try:
            with store.moving(unit):
                return
        except MoveInProgress:
            assert time.monotonic() < until, "the unit stays held"
            time.sleep(0.05)


def _begin(place: Place, operator: str, start: Any, outcomes: Any) -> None:
    start.wait(timeout=120)
    store = place.open(operator)
    try:
        with store.moving(UNIT):
            store.append(replace(INTENT, id=operator, operator=operator))
            until = time.monotonic() + 3
            while time.monotonic() < until:  # others meet a move that is under way, or one that is half-done
                time.sleep(0.05)
        outcomes.put((operator, ""))
    except MoveInProgress as error:
        outcomes.put((operator, str(error)))


def _append_many(place: Place, task: str) -> None:
    store = place.open()
    for number in range(10):
        stage, move = (Stage.SHADOWED, Move.CUTOVER) if number % 2 == 0 else (Stage.CUT_OVER, Move.ROLLBACK)
        intent = Entry(f"{task}{number}", NIGHT, "o", Unit("dag", task), move, Kind.INTENDED, stage)
        with store.moving(intent.unit):
            store.append(intent)
            store.append(replace(intent, kind=Kind.DONE))


def _begin_and_stay(place: Place, began: Any) -> None:
    store = place.open()
    with store.moving(UNIT):
        store.append(INTENT)
        began.set()
        while True:
            time.sleep(1)
